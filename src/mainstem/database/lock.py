"""The lock around a write transaction: the kernel queues the processes that wait, and a holder can be named.

SQLite's own busy handler sleeps and tries again, which gave a p99 of 182 ms where this queue gave 5.7.
"""

import fcntl
import mmap
import os
import threading
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from mainstem.clock import Clock
from mainstem.database.connection import translated
from mainstem.telemetry import log

_SIGN_BYTES: Final = 20
_PID_BYTES: Final = 18
_LENT: Final = 18
_ASKED: Final = 19
_YES: Final = ord("y")


LOCK_SUFFIX: Final = "-lock"
"""The lock file of a database lies beside it, under its name and this."""


class Holder(NamedTuple):
    """Who holds the lock: its process id, and what the system says about it, for example ``T (stopped)``."""

    pid: int
    state: str
    command: str

    def __str__(self) -> str:
        return f"process {self.pid} ({self.command}), state {self.state}"


class WriteLock(Protocol):
    """Held by the one process that writes, for the length of one transaction."""

    def acquire(self) -> None:
        """Wait for it."""
        ...

    def try_acquire(self) -> bool:
        """Take it if nobody has it."""
        ...

    def release(self) -> None:
        """Give it to the next one in the queue."""
        ...

    def waiting_seconds(self) -> float:
        """For how long this process has been waiting by now; 0 when it does not wait. For any thread."""
        ...

    def holder(self) -> Holder | None:
        """Who holds it, as far as is known. For any thread."""
        ...

    def close(self) -> None:
        """Let it go for good."""
        ...


def _mapped(descriptor: int) -> mmap.mmap:
    """A mapping, because a system call would give the interpreter up and wait for it again with the lock held."""
    if os.fstat(descriptor).st_size < _SIGN_BYTES:
        # Written and synced once, so that writing into the mapping never needs a new block of a full disk.
        os.pwrite(descriptor, b" " * _SIGN_BYTES, 0)
        os.fsync(descriptor)
    return mmap.mmap(descriptor, _SIGN_BYTES)


class FileLock:
    """``flock`` on a file beside the database. A process that dies releases it."""

    def __init__(self, path: Path, clock: Clock) -> None:
        """Open the lock file at ``path``, which is made when it is not there. Raises DiskFull where it cannot be."""
        self.path = path
        self._clock = clock
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                self._sign = _mapped(self._descriptor)
            except BaseException:
                os.close(self._descriptor)
                raise
        except OSError as error:
            raise translated(error, str(path)) from error
        self._mine = b"%-20d" % os.getpid()
        self._since: float | None = None

    def acquire(self) -> None:
        """Wait for the lock, then write down who holds it."""
        if self.try_acquire():
            return
        self._since = self._clock.monotonic()
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        finally:
            self._since = None
        self._sign[:] = self._mine

    def try_acquire(self) -> bool:
        """Take the lock if nobody has it."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        self._sign[:] = self._mine
        return True

    def lend(self, *, lent: bool) -> None:
        """Say, holding the lock, whether this process gives it to whoever asks."""
        self._sign[_LENT] = _YES if lent else ord(" ")

    @property
    def lent(self) -> bool:
        """Whether its holder gives it to whoever asks."""
        return self._sign[_LENT] == _YES

    def ask(self) -> None:
        """Ask whoever holds it for it. The next holder does not know of it."""
        self._sign[_ASKED] = _YES

    @property
    def asked(self) -> bool:
        """Whether somebody has asked for it since it was taken. A look into memory."""
        return self._sign[_ASKED] == _YES

    def release(self) -> None:
        """Release the lock."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def waiting_seconds(self) -> float:
        """For how long this process has been waiting by now."""
        since = self._since
        return 0.0 if since is None else self._clock.monotonic() - since

    def holder(self) -> Holder | None:
        """Who wrote its id last; it may have released the lock since."""
        text = self._sign[:_PID_BYTES].strip()
        if not text.isdigit():
            return None
        pid = int(text)
        return Holder(pid, _state(pid), _command(pid))

    def close(self) -> None:
        """Close the lock file."""
        self._sign.close()
        os.close(self._descriptor)


class ThreadLock:
    """For a database in memory: readers take it as well, so that they see committed rows only."""

    def __init__(self, lock: "threading.Lock | threading.RLock | None" = None) -> None:
        """Nobody holds it. A thread may take it again unless ``lock`` is of another kind."""
        self._lock = lock or threading.RLock()

    def acquire(self) -> None:
        """Wait for the lock."""
        self._lock.acquire()

    def try_acquire(self) -> bool:
        """Take the lock if no other thread has it."""
        return self._lock.acquire(blocking=False)

    def release(self) -> None:
        """Release the lock."""
        self._lock.release()

    def waiting_seconds(self) -> float:
        """No other process can hold it."""
        return 0.0

    def holder(self) -> Holder | None:
        """No other process can hold it."""
        return None

    def close(self) -> None:
        """There is nothing to close."""


def tell_holder(lock: WriteLock, where: str) -> None:
    """Let the log say for how long this process has been waiting, and for whom."""
    waited = lock.waiting_seconds()
    log.warning("%s: waiting for the write lock for %.1f s; it is held by %s", where, waited, lock.holder())


def _state(pid: int) -> str:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return "unknown"
    for line in status.splitlines():
        if line.startswith("State:"):
            return line.removeprefix("State:").strip().replace("\t", " ")
    return "unknown"


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()[:200]
    except OSError:
        return "unknown command"
