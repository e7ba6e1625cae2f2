"""A database: the file or the memory, its writer, and a connection to read with for whoever asks."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TypeVar

import apsw
from msgspec import Struct

from mainstem.clock import Clock
from mainstem.database import file
from mainstem.database.connection import (
    PAGE_SIZE_BYTES,
    Binding,
    Connection,
    Query,
    connect,
    require_safe_sqlite,
    translated,
)
from mainstem.database.disk import Reserve, require_local
from mainstem.database.lock import LOCK_SUFFIX, FileLock, ThreadLock, WriteLock, tell_holder
from mainstem.database.rows import TaskRows
from mainstem.database.wal import CHECKPOINT_PAGES, LONG_FACTOR, Checkpointer
from mainstem.database.writer import PATIENCE_SECONDS, Listener, Writer, WriterOptions
from mainstem.errors import DatabaseError, DatabaseFailed
from mainstem.telemetry import log

R = TypeVar("R")

_memories = count(1)


class Memory:
    """A memory that several databases of one thread share, as several processes share a file; for simulations."""

    def __init__(self) -> None:
        """It is there until :meth:`close`."""
        self.lock = ThreadLock()
        self.turn = ThreadLock(threading.Lock())
        self.connection = connect(":memory:", writes=True)

    def close(self) -> None:
        """Forget everything."""
        self.connection.close()


class DatabaseOptions(Struct, frozen=True, kw_only=True):
    """How a database works.

    Below ``reserve_bytes`` of free disk, :meth:`Database.require_space` refuses. At ``checkpoint_pages`` of 16 KiB the
    write-ahead log is checkpointed. ``vfs`` names another file layer of SQLite.
    """

    reserve_bytes: int = 64_000_000
    checkpoint_pages: int = CHECKPOINT_PAGES
    vfs: str | None = None
    writer: WriterOptions = WriterOptions()


class Database:
    """One file, or one memory. Opened once in a process; several processes may have the same file open."""

    def __init__(self, path: Path | None, clock: Clock, options: DatabaseOptions, memory: Memory | None = None) -> None:
        """The file at ``path``, or with None ``memory``, or one of its own."""
        self.path = path
        self.where = f"memory {next(_memories)}" if path is None else str(path)
        self._clock = clock
        self._options = options
        self._shared_memory = memory
        self._reserve = None if path is None else Reserve(path.parent, options.reserve_bytes, clock)
        self._local = threading.local()
        self._readers: list[Connection] = []
        self._readers_lock = threading.Lock()
        self._lock: WriteLock | None = None
        self._connection: Connection | None = None
        self._writer: Writer | None = None
        self._checkpointer: Checkpointer | None = None
        self._turn: WriteLock | None = None

    @property
    def writer(self) -> Writer:
        """The writer of an open database."""
        assert self._writer is not None, "the database is not open"
        return self._writer

    @property
    def turn(self) -> WriteLock:
        """Held by whoever maintains an open database."""
        assert self._turn is not None, "the database is not open"
        return self._turn

    def open(self, listener: Listener) -> None:
        """Open or create it; raises what stands in the way. Blocks while another process holds the lock."""
        require_safe_sqlite(apsw.sqlite_lib_version())
        if self.path is None:
            memory = self._shared_memory or Memory()
            self._lock, self._turn, self._connection = memory.lock, memory.turn, memory.connection
        else:
            if not self.path.parent.is_dir():
                raise DatabaseError(
                    "The folder of the database file is not there",
                    where=self.where,
                    why="a file is made where there is none, and a folder never: it may be another disk's",
                    remedy=f"create it: mkdir -p {self.path.parent}",
                )
            require_local(self.path.parent)
            if self.path.exists() and not self.path.with_name(self.path.name + LOCK_SUFFIX).exists():
                file.require_ours(self.where, self._options.vfs)
            self._lock = self._file_lock(LOCK_SUFFIX)
            self._turn = self._file_lock("-maintenance")
            self._connection = connect(self.where, writes=True, vfs=self._options.vfs)
        self._lock.acquire()
        try:
            file.prepare(self._connection, self.where)
        finally:
            self._lock.release()
        self._writer = Writer(self._connection, self._lock, listener, self._options.writer, self.where)
        if self.path is not None:
            self._checkpointer = Checkpointer(
                connect(self.where, writes=True, vfs=self._options.vfs),
                self._file_lock(LOCK_SUFFIX),
                self.where,
                self._writer.fail,
                self._options.checkpoint_pages,
            )
            self._connection.set_wal_hook(self._checkpointer.note)
            longest_bytes = self._options.checkpoint_pages * LONG_FACTOR * PAGE_SIZE_BYTES
            self._connection.pragma("journal_size_limit", longest_bytes)

    async def open_aside(self, listener: Listener) -> None:
        """Open it in a thread; as long as another process holds the lock, the log says which one."""
        opening = asyncio.ensure_future(asyncio.to_thread(self.open, listener))
        while not (await asyncio.wait([opening], timeout=PATIENCE_SECONDS))[0]:
            if self._lock is not None and self._lock.waiting_seconds():
                tell_holder(self._lock, self.where)
        await opening

    def _file_lock(self, suffix: str) -> FileLock:
        assert self.path is not None
        try:
            return FileLock(self.path.with_name(self.path.name + suffix), self._clock)
        except OSError as error:
            raise DatabaseError(
                "The database file cannot be opened for writing",
                where=self.where,
                why=str(error),
                remedy="check that its folder exists and that this user may write to it",
            ) from error

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees committed rows only. For any thread; not to be kept, and not across an await."""
        if self.path is None:
            lock, memory = self._lock, self._connection
            assert lock is not None, "the database is not open"
            assert memory is not None, "the database is not open"
            lock.acquire()
            try:
                yield memory
            finally:
                lock.release()
            return
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect_reader()
        try:
            yield connection
        except apsw.Error as error:
            raise translated(error, self.where) from error

    def all(self, query: Query[R], *bindings: Binding) -> list[R]:
        """Every committed row of a query."""
        with self.reading() as connection:
            return query.all(connection, *bindings)

    def one(self, query: Query[R], *bindings: Binding) -> R | None:
        """The first committed row of a query, or None."""
        with self.reading() as connection:
            return query.one(connection, *bindings)

    def faults(self) -> list[str]:
        """What is wrong with the file; nothing when it is whole. It reads all of it, so call it in a thread."""
        with self._apart() as connection:
            return file.faults(connection)

    def backup(self, target: Path) -> None:
        """Write one consistent snapshot to a new file while others go on writing. Call it in a thread.

        The write-ahead log grows by what is written meanwhile.
        """
        with self._apart() as connection:
            file.copy(connection, target)

    def require_space(self) -> None:
        """Raise :class:`~mainstem.errors.DiskFull` when only the reserve is left."""
        if self._reserve is not None:
            self._reserve.require()

    def rows(self, group: str, task: int) -> TaskRows:
        """The rows of the stores of one task."""
        return TaskRows(self.reading, group, task)

    def close(self) -> None:
        """Finish what was submitted, then close every connection. Nobody reads any more."""
        if self._writer is not None:
            self._writer.close()
        if self._checkpointer is not None:
            self._checkpointer.close()
        with self._readers_lock:
            readers, self._readers = self._readers, []
        for connection in readers:
            self._close(connection)
        if self._connection is not None and self._shared_memory is None:
            self._close(self._connection)
        for lock in (self._lock, self._turn):
            if lock is not None:
                lock.close()

    def _close(self, connection: Connection) -> None:
        try:
            if self._writer is not None and isinstance(self._writer.failure, DatabaseFailed):
                # A file that has failed is not written to any more, not even to tidy it up.
                connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            connection.close()
        except apsw.Error as error:
            # The last one to close checkpoints. If that fails, what was acknowledged is still in the log.
            log.warning("%s: %s", self.where, translated(error, self.where))

    @contextmanager
    def _apart(self) -> Iterator[Connection]:
        """A connection for something that takes long."""
        if self.path is None:
            with self.reading() as connection:
                yield connection
            return
        connection = connect(self.where, writes=False, vfs=self._options.vfs)
        try:
            yield connection
        finally:
            connection.close()

    def _connect_reader(self) -> Connection:
        connection = connect(self.where, writes=False, vfs=self._options.vfs)
        connection.pragma("query_only", 1)
        with self._readers_lock:
            self._readers.append(connection)
        return connection
