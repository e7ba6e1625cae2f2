"""The write-ahead log is checkpointed on purpose, by one thread of each process and one process at a time.

Commits never do it: whichever of them happened to would pay for all. Most of the work is done while others write; the
little that they have added meanwhile is done with the write lock held, so that the log can begin anew from its start.
"""

import threading
from collections.abc import Callable
from typing import Final

import apsw

from mainstem.database.connection import Connection, translated
from mainstem.database.lock import WriteLock
from mainstem.errors import DatabaseFailed
from mainstem.telemetry import log

CHECKPOINT_PAGES: Final = 2_000
"""32 MB: the size at which the log is checkpointed."""

LONG_FACTOR: Final = 4
"""How many times the usual size is long. A log that was longer is cut back to it when it begins anew."""

_READERS_WAIT_MS: Final = 500


class Checkpointer:
    """Keeps the write-ahead log short.

    It is bounded as long as every read ends. A process that is stopped in the middle of one keeps the log from
    beginning anew; at four times the usual size, and whenever it has doubled since, this waits for readers, briefly,
    with writers held up, and says so when there is one that does not end. What then bounds the log is the disk's
    reserve.
    """

    def __init__(
        self, connection: Connection, lock: WriteLock, where: str, failed: Callable[[DatabaseFailed], None], pages: int
    ) -> None:
        """``connection`` and ``lock`` are its own; ``failed`` hears of an I/O error. ``pages`` is when to begin."""
        self._connection = connection
        self._lock = lock
        self._failed = failed
        self._where = where
        self._pages = pages
        self._due = pages
        self._long = pages * LONG_FACTOR
        self._wake = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None
        connection.set_busy_timeout(_READERS_WAIT_MS)

    def note(self, _connection: Connection, _name: str, pages: int) -> int:
        """The log has so many pages now: SQLite's hook, called in the thread that writes."""
        if pages < self._pages:
            self._due = self._pages
        elif pages >= self._due and not self._wake.is_set():
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="mainstem-checkpoints", daemon=True)
                self._thread.start()
            self._wake.set()
        return apsw.SQLITE_OK

    def close(self) -> None:
        """End the thread. Blocks until a checkpoint that runs has ended."""
        self._closing = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        self._connection.close()
        self._lock.close()

    def checkpoint(self) -> int:
        """Checkpoint now; returns the length of the log, or 0 when it can begin anew."""
        pages, _ = self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        if pages < self._pages:
            # Another process has been quicker, and the log has begun anew.
            return 0
        self._lock.acquire()
        try:
            pages, done = self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            if pages >= self._long:
                pages = self._cut(pages)
        finally:
            self._lock.release()
        return pages if done < pages else 0

    def _cut(self, pages: int) -> int:
        """Wait for readers, and cut the log off; when one of them does not end, be longer about the next attempt."""
        try:
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.BusyError:
            self._long = pages * 2
            log.warning(
                "%s: the write-ahead log has %d pages, because a backup or a read does not end", self._where, pages
            )
            return pages
        self._long = self._pages * LONG_FACTOR
        return 0

    def _serve(self) -> None:
        while True:
            self._wake.wait()
            # Cleared before the work: what close() or a commit asks for meanwhile must not be forgotten.
            self._wake.clear()
            if self._closing:
                return
            try:
                pages = self.checkpoint()
            except apsw.BusyError:
                # Another process is at it.
                pages = self._due
            except apsw.Error as error:
                meaning = translated(error, self._where)
                if isinstance(meaning, DatabaseFailed):
                    self._failed(meaning)
                    return
                log.warning("%s: the checkpoint failed, and is tried again later: %s", self._where, meaning)
                pages = self._due
            self._due = max(self._pages, pages + self._pages // 2)
