"""Group commit: one owner of the write connection, one fsync for everything that is waiting.

What is submitted while a transaction runs goes into the next one together. Each piece of work has a savepoint, so that
one that is refused does not take its neighbours along. Work is acknowledged after the fsync, and after the lock has
been released.
"""

import asyncio
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Generic, Protocol, TypeVar, TypeVarTuple

import apsw
from msgspec import Struct

from mainstem.clock import Clock, SystemClock
from mainstem.database.connection import Connection, translated, unknown_outcome
from mainstem.database.file import refusal_of
from mainstem.database.lock import WriteLock, tell_holder
from mainstem.errors import DatabaseError, DatabaseFailed, MainstemError
from mainstem.telemetry import log

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
Arguments = TypeVarTuple("Arguments")

# A thread that waits for the interpreter waits this long before it asks for it. With the usual 5 ms, a transaction of
# twenty statements beside a busy event loop took 140 ms, all of them with the lock held.
_SWITCH_INTERVAL_SECONDS = 5e-5

# A wait for the lock that is longer than this is somebody's fault, and the log says whose.
PATIENCE_SECONDS = 1.5


class Write:
    """What a piece of work is given: the connection, and where to say which partitions it has appended to."""

    __slots__ = ("connection", "touched")

    def __init__(self, connection: Connection) -> None:
        """Begin with nothing touched."""
        self.connection = connection
        self.touched: set[int] = set()


class Work(Protocol[R_co]):
    """Something to be done in a write transaction."""

    @property
    def size_bytes(self) -> int:
        """About how much it writes; a transaction takes no more work than fits its limit."""
        ...

    def prepare(self) -> None:
        """Encode; called once, before the lock is taken. An error refuses this work alone."""
        ...

    def run(self, write: Write) -> R_co:
        """Write. It runs while every other writer waits: no encoding, no waiting, no code of a user."""
        ...


class Step(Generic[R]):
    """Work that needs no preparation: one function."""

    __slots__ = ("_function", "size_bytes")

    def __init__(self, function: Callable[[Write], R], size_bytes: int = 0) -> None:
        """Run ``function`` as the work."""
        self._function = function
        self.size_bytes = size_bytes

    def prepare(self) -> None:
        """Nothing to encode."""

    def run(self, write: Write) -> R:
        """Call the function."""
        return self._function(write)


class Restamp(Step[R]):
    """The one kind of work that is done in a file whose data is being moved, or has been."""


class WriterOptions(Struct, frozen=True, kw_only=True):
    """How the writer works.

    ``clock`` bounds how long a transaction takes. ``latency`` turns the thread off: work is gathered for so many
    seconds, asked each time, and then runs on the event loop. ``at`` is called at each named step of a transaction;
    what it raises makes the outcome unknown to everyone in that transaction, as a crash at this point would.
    """

    clock: Clock = SystemClock()
    transaction_bytes_max: int = 16_000_000
    transaction_seconds_max: float = 0.05
    latency: Callable[[], float] | None = None
    at: Callable[[str], None] | None = None


class Listener(Protocol):
    """Who hears what the writer does."""

    def committed(self, connection: Connection, touched: frozenset[int]) -> None:
        """A transaction is durable and the lock released; ``touched`` are the partitions that have grown.

        Called in the thread that writes, for other processes; it may read with ``connection``.
        """
        ...

    def heard(self, touched: frozenset[int]) -> None:
        """The same, in the event loop, before those whose work it was are told."""
        ...

    def failed(self, error: DatabaseFailed) -> None:
        """The writer will refuse everything from now on, and the process must end. In the event loop."""
        ...


class _Pending:
    __slots__ = ("error", "future", "prepared", "result", "touched", "work")

    def __init__(self, work: Work[object], future: "asyncio.Future[object]") -> None:
        self.work = work
        self.future = future
        self.result: object = None
        self.error: BaseException | None = None
        self.touched: set[int] = set()
        self.prepared = False


class _Fault(Exception):
    """What a fault point raised: as if the process had crashed there, and its work could not know the outcome."""


class Writer:
    """Owns the write connection; runs submitted work in group commits."""

    def __init__(
        self, connection: Connection, lock: WriteLock, listener: Listener, options: WriterOptions, where: str
    ) -> None:
        """``where`` names the database in errors."""
        self._connection = connection
        self._lock = lock
        self._listener = listener
        self._options = options
        self._clock = options.clock
        self._where = where
        self._process = os.getpid()
        self._queue: deque[_Pending] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._scheduled = False
        self._writing = False
        self._watching = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self.failure: DatabaseError | None = None
        self._thread: threading.Thread | None = None
        if options.latency is None:
            self._thread = threading.Thread(target=self._serve, name="mainstem-writer", daemon=True)
            self._thread.start()

    def submit(self, work: Work[R]) -> "asyncio.Future[R]":
        """Queue ``work`` for the next transaction; call it in the one event loop of this database.

        The future gives what ``work.run`` returned once it is durable. It raises what the work raised (then nothing of
        it happened), :class:`~mainstem.errors.DiskFull` or :class:`~mainstem.errors.CommitRefused` (the same),
        :class:`~mainstem.errors.CommitUnknown`, or :class:`~mainstem.errors.DatabaseFailed` once the file has failed.
        """
        if os.getpid() != self._process:
            raise DatabaseError(
                "The database was opened before this process was forked",
                where=self._where,
                why="locks and threads do not cross a fork",
                remedy="spawn processes instead, or open the database after the fork",
            )
        self._loop = loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        if (failure := self.failure) is not None:
            future.set_exception(failure)
            return future
        pending = _Pending(work, future)  # type: ignore[arg-type]  # the future takes what this very work returns
        if self._options.latency is not None:
            self._queue.append(pending)
            if not self._scheduled:
                self._scheduled = True
                loop.call_later(self._options.latency(), self._run_scheduled)
            return future
        with self._wake:
            self._queue.append(pending)
            self._wake.notify()
        if not self._watching:
            self._watching = True
            loop.call_later(PATIENCE_SECONDS, self._watch)
        return future

    def fail(self, error: DatabaseFailed) -> None:
        """Refuse everything from now on: what the kernel still holds of the file is not known. For any thread."""
        if self.failure is None:
            self.failure = error
            self._call(self._listener.failed, error)

    def close(self) -> None:
        """Finish what was submitted, then end the thread. Blocks."""
        if self._thread is None:
            while self._queue:
                self._transact()
        else:
            with self._wake:
                self._closing = True
                self._wake.notify()
            self._thread.join()
        self.failure = self.failure or DatabaseError("The database is closed", where=self._where)

    def _serve(self) -> None:
        while True:
            with self._wake:
                while not self._queue:
                    if self._closing:
                        return
                    self._wake.wait()
            self._transact()

    def _run_scheduled(self) -> None:
        self._scheduled = False
        while self._queue:
            self._transact()

    def _watch(self) -> None:
        """Say who holds the lock, as long as somebody here waits for it."""
        if self._lock.waiting_seconds() > PATIENCE_SECONDS / 2:
            tell_holder(self._lock, self._where)
        self._watching = self._writing or bool(self._queue)
        if self._watching and self._loop is not None:
            self._loop.call_later(PATIENCE_SECONDS, self._watch)

    def _transact(self) -> None:
        """One group commit, from taking work off the queue to acknowledging it."""
        self._writing = True
        works, refused = self._gather()
        touched: frozenset[int] = frozenset()
        if works and self.failure is not None:
            _refuse(works, self.failure)
        elif works:
            interval = sys.getswitchinterval()
            sys.setswitchinterval(_SWITCH_INTERVAL_SECONDS)
            try:
                touched = self._commit(works)
            finally:
                sys.setswitchinterval(interval)
        self._writing = False
        self._call(self._settle, refused + works, touched)

    def _gather(self) -> tuple[list[_Pending], list[_Pending]]:
        """Take what fits one transaction off the queue and prepare it; what cannot be prepared is refused."""
        works: list[_Pending] = []
        refused: list[_Pending] = []
        size = 0
        while self._queue and size < self._options.transaction_bytes_max:
            pending = self._queue.popleft()
            if pending.future.cancelled():
                continue
            try:
                if not pending.prepared:
                    pending.work.prepare()
                    pending.prepared = True
            except Exception as error:  # noqa: BLE001  # whatever it is, it belongs to the one who submitted it
                pending.error = error
                refused.append(pending)
                continue
            size += pending.work.size_bytes
            works.append(pending)
        return works, refused

    def _commit(self, works: list[_Pending]) -> frozenset[int]:
        """Settle ``works``, and return what they have touched.

        Those for which there was no time are taken out of the list, and wait in the queue.
        """
        touched: frozenset[int] = frozenset()
        committing = False
        try:
            self._lock.acquire()
            try:
                self._reach("lock-taken")
                self._connection.execute("begin immediate")
                self._reach("begun")
                self._apply(works)
                self._reach("before-commit")
                committing = True
                self._connection.execute("commit")
                touched = frozenset().union(*(pending.touched for pending in works if pending.error is None))
                self._reach("committed")
            finally:
                self._roll_back()
                self._lock.release()
            committing = False
            try:
                self._listener.committed(self._connection, touched)
            except Exception as error:  # noqa: BLE001 - whatever it is
                # It is durable, and acknowledged all the same; who is not woken looks for himself after a while.
                log.warning("%s: other processes could not be told of a commit: %s", self._where, error)
            self._reach("before-acknowledge")
        except _Fault as fault:
            _refuse(works, unknown_outcome(fault.__cause__, self._where))
        except Exception as error:  # noqa: BLE001 - also a defect of ours: nobody may wait for a writer that has ended
            self._refuse_all(works, error, committing=committing)
        return touched

    def _reach(self, point: str) -> None:
        if self._options.at is None:
            return
        try:
            self._options.at(point)
        except Exception as error:
            raise _Fault(point) from error

    def _apply(self, works: list[_Pending]) -> None:
        until = self._clock.monotonic() + self._options.transaction_seconds_max
        refusal = refusal_of(self._connection, self._where)
        for index, pending in enumerate(works):
            if index and self._clock.monotonic() > until:
                self._queue.extendleft(reversed(works[index:]))
                del works[index:]
                return
            if refusal is not None and not isinstance(pending.work, Restamp):
                pending.error = refusal
            else:
                self._apply_one(pending)

    def _apply_one(self, pending: _Pending) -> None:
        """Run one work in its savepoint; its refusal stays its own unless SQLite has given everything up."""
        connection = self._connection
        write = Write(connection)
        try:
            connection.execute("savepoint work")
            pending.result = pending.work.run(write)
            connection.execute("release work")
            pending.touched = write.touched
        except apsw.Error as error:
            refusal = translated(error, self._where)
            if connection.get_autocommit() or isinstance(refusal, DatabaseFailed):
                raise
            self._take_back(pending, refusal)
        except Exception as error:  # noqa: BLE001  # whatever it is, it belongs to the one who submitted it
            self._take_back(pending, error)

    def _take_back(self, pending: _Pending, refusal: Exception) -> None:
        self._connection.execute("rollback to work")
        self._connection.execute("release work")
        pending.error = refusal

    def _roll_back(self) -> None:
        if not self._connection.get_autocommit():
            self._connection.execute("rollback")

    def _refuse_all(self, works: list[_Pending], error: Exception, *, committing: bool) -> None:
        """Nothing of the transaction is in the file, unless its commit met an I/O error: then nobody can know."""
        known = error if isinstance(error, apsw.Error | OSError) else OSError(repr(error))
        meaning = translated(known, self._where)
        if isinstance(meaning, DatabaseFailed):
            self.fail(meaning)
        unknown = committing and isinstance(meaning, DatabaseFailed)
        _refuse(works, unknown_outcome(error, self._where) if unknown else meaning)

    def _call(self, function: Callable[[*Arguments], None], *arguments: *Arguments) -> None:
        """Call it in the event loop."""
        if self._thread is None:
            function(*arguments)
        elif self._loop is not None:
            with suppress(RuntimeError):  # the loop has been closed: nobody waits any more
                self._loop.call_soon_threadsafe(function, *arguments)

    def _settle(self, settled: list[_Pending], touched: frozenset[int]) -> None:
        """Tell everybody how it went. In the event loop."""
        if touched:
            self._listener.heard(touched)
        for pending in settled:
            future = pending.future
            if future.done():
                continue
            if pending.error is not None:
                future.set_exception(pending.error)
            else:
                future.set_result(pending.result)


def _refuse(works: Iterable[_Pending], error: MainstemError) -> None:
    for pending in works:
        pending.error = error
