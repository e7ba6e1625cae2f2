"""A local copy of a changelog: one SQLite file for each task, whose last row says how far it has come.

The changelog is the truth, the copy a cache of it. It is thrown away whenever it might not be what the changelog says:
when it belongs to another topic, lies ahead of the changelog's end, or is so old that tombstones it has not seen may be
gone. It is never synced by a commit: after a power loss it is as it was a little earlier, rows and checkpoint together.

Whoever owns a task has its copy locked. So has a standby, which follows the changelog of a task that another machine
runs; but that gives the copy up as soon as a process of this folder asks for it.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import sleep
from typing import Final, NamedTuple

from mainstem.clock import Clock
from mainstem.database import Changes, FileLock, Mark, RowsFile
from mainstem.errors import DatabaseError, MainstemError
from mainstem.telemetry import log

FORMAT: Final = 2
LOOK_SECONDS: Final = 0.05
"""So long it is looked whether whoever holds a copy is a standby, or about to let it go anyway."""
YIELD_SECONDS: Final = 3.0
"""A standby that has been asked for its copy has so long; one that stands still would hold up the new owner."""
AGAIN_SECONDS: Final = 0.005
_NAME: Final = "folder-id"


class Changelog(NamedTuple):
    """What a copy is compared with: the topic's id, the partition's start, and its end as it is now."""

    topic_id: str
    start: int
    end: int


class Replica:
    """The rows of one task. Any thread reads; one at a time applies."""

    def __init__(self, file: RowsFile, path: Path, clock: Clock, lock: FileLock) -> None:
        """``file`` has a mark that can be trusted, and ``lock`` is held."""
        mark = file.mark()
        assert mark is not None
        self._file, self._path, self._clock, self._lock = file, path, clock, lock
        self.next = mark.next
        self.closed = False

    @property
    def asked(self) -> bool:
        """Whether another process of this folder needs it."""
        return self._lock.asked

    def hurry(self, *, much: bool) -> None:
        """Much is to be taken in, or not any more."""
        self._file.hurry(much=much)

    def apply(self, changes: Changes, before: int, after: int, *, whole: bool) -> None:
        """Take in the changes between two offsets of the changelog; ``before`` must be how far the copy has come.

        ``whole``: it has all that the changelog has now. One that has not been whole for long is not trusted, however
        much it was written to: a deletion that it is still to see may be gone by then.
        """
        if not self._file.write(changes, before, after, self._clock.now_ms() if whole else None):
            raise DatabaseError(
                "The local copy has come to another place than its owner believes",
                where=f"{self._path}, expected at {before}",
                why="something else has written to it",
                remedy="nothing: the task is taken over anew, and the copy made again",
            )
        self.next = after

    def get_many(self, store: str, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """The values of those keys that have one."""
        return self._file.rows.get_many(store, keys)

    def scan(
        self, store: str, start: bytes, stop: bytes | None, *, limit: int, reverse: bool = False
    ) -> Sequence[tuple[bytes, bytes]]:
        """Rows with ``start <= key < stop`` in key order, at most ``limit``."""
        return self._file.rows.scan(store, start, stop, limit=limit, reverse=reverse)

    def close(self) -> None:
        """Let the file go; a second time nothing happens."""
        if self.closed:
            return
        self.closed = True
        self._file.close()
        self._lock.release()
        self._lock.close()

    def keep(self, changelog: Changelog, oldest_ms: int) -> str | None:
        """Let a standby's copy become the owner's; says why it might not be what the changelog says."""
        mark = self._file.mark()
        why = "it has no mark" if mark is None else _distrusted(mark, changelog, oldest_ms)
        if why is None:
            self._lock.lend(lent=False)
        return why


class ReplicaFolder:
    """The copies on this machine, which its processes share: each is locked by whoever owns the task."""

    def __init__(self, folder: Path, clock: Clock, *, oldest_seconds: float) -> None:
        """Nothing is made yet. A copy that has not been written for ``oldest_seconds`` is not trusted."""
        self._folder = folder
        self._clock = clock
        self._oldest_ms = round(oldest_seconds * 1_000)

    def identity(self, new: Callable[[], str]) -> str:
        """What the folder is called by all processes that share it. ``new`` gives it a name, if it has none."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / _NAME
        if not path.exists():
            name = new()
            draft = path.with_name(f"{_NAME}.{name}")
            draft.write_text(name)
            # Never there without its text: whoever read it empty would take this for another folder.
            with suppress(FileExistsError):
                path.hardlink_to(draft)
            draft.unlink()
        # A copy of the folder on another machine has the same file.
        return f"{path.read_text().strip()}-{path.stat().st_ino:x}"

    def open(self, group: str, task: int, changelog: Changelog) -> Replica:
        """The copy of a task that this process owns now. Blocks for a moment."""
        path = self._path(group, task)
        lock = FileLock(path.with_suffix(".lock"), self._clock)
        if self._acquired(lock):
            self._clear_up(path)
        else:
            # An owner that has been fenced and does not know it yet. It gets nothing done, but it has the file.
            holder = lock.holder()
            lock.close()
            log.warning("%s is held by %s: this process keeps a copy of its own", path, holder)
            path = self._folder / f"{group}.{task}.{self._clock.now_ms()}.db"
            lock = FileLock(path.with_suffix(".lock"), self._clock)
            lock.acquire()
        return self._opened(path, lock, changelog)

    def standby(self, group: str, task: int, changelog: Changelog) -> Replica | None:
        """The copy of a task that another folder has; None while somebody holds it. Blocks for a moment."""
        path = self._path(group, task)
        lock = FileLock(path.with_suffix(".lock"), self._clock)
        if not lock.try_acquire():
            lock.close()
            return None
        lock.lend(lent=True)
        return self._opened(path, lock, changelog)

    def keep(self, replica: Replica, changelog: Changelog) -> bool:
        """Let a standby's copy become that of the owner in the same process; one that cannot be trusted is closed."""
        why = replica.keep(changelog, self._clock.now_ms() - self._oldest_ms)
        if why is not None:
            log.info("the copy of a standby is not used: %s", why)
            replica.close()
        return why is None

    def _path(self, group: str, task: int) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / f"{group}.{task}.db"

    def _acquired(self, lock: FileLock) -> bool:
        """Take the lock; a standby is asked for it, and does not let this wait for long."""
        waited = 0.0
        while not lock.try_acquire():
            if waited > (YIELD_SECONDS if lock.lent else LOOK_SECONDS):
                return False
            lock.ask()
            sleep(AGAIN_SECONDS)
            waited += AGAIN_SECONDS
        return True

    def _opened(self, path: Path, lock: FileLock, changelog: Changelog) -> Replica:
        now = self._clock.now_ms()
        try:
            file = _trusted(path, changelog, now, now - self._oldest_ms)
        except BaseException:
            lock.release()
            lock.close()
            raise
        return Replica(file, path, self._clock, lock)

    def _clear_up(self, path: Path) -> None:
        """Throw away further copies of a task that nobody has open any more."""
        for other in self._folder.glob(f"{path.stem}.*.db"):
            if other.stem.removeprefix(f"{path.stem}.").isdigit():
                lock = FileLock(other.with_suffix(".lock"), self._clock)
                if lock.try_acquire():
                    _unlink(other)
                    other.with_suffix(".lock").unlink(missing_ok=True)
                    lock.release()
                lock.close()


def _unlink(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).unlink()


def _trusted(path: Path, changelog: Changelog, now_ms: int, oldest_ms: int) -> RowsFile:
    """The copy that is there, or a new one where it might not be what the changelog says."""
    try:
        file = RowsFile(path)
        mark = file.mark()
        why = None if mark is None else _distrusted(mark, changelog, oldest_ms)
        if why is not None:
            file.close()
    except MainstemError as error:
        why = str(error)
    if why is not None:
        log.info("the local copy %s is made anew: %s", path, why)
        _unlink(path)
        file, mark = RowsFile(path), None
    if mark is None:
        file.begin(Mark(FORMAT, changelog.topic_id, changelog.start, now_ms))
    return file


def _distrusted(mark: Mark, changelog: Changelog, oldest_ms: int) -> str | None:
    if mark.form != FORMAT:
        return f"it has format {mark.form}"
    if mark.source != changelog.topic_id:
        return "the changelog has been deleted and created again"
    if not changelog.start <= mark.next <= changelog.end:
        return f"it has come to {mark.next}, and the changelog goes from {changelog.start} to {changelog.end}"
    if mark.whole_ms < oldest_ms:
        return "it has not been whole for so long that deletions may be missing"
    return None
