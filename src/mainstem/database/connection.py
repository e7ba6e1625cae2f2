"""One connection to the file: which SQLite, which settings, which errors; and statements that say what they return."""

import errno
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Generic, NewType, TypeAlias, TypeVar, cast

import apsw

from mainstem.errors import (
    CommitRefused,
    CommitUnknown,
    DatabaseError,
    DatabaseFailed,
    DiskFull,
    MainstemError,
    SQLiteTooOld,
    WrongFileFormat,
)

Connection: TypeAlias = apsw.Connection
SqliteError: TypeAlias = apsw.Error
"""A connection of SQLite. One thread at a time uses it."""

Column = NewType("Column", object)
"""Many values bound as one: a statement reads them with ``carray(?)``."""

Binding: TypeAlias = "int | float | bytes | str | Column | None"
"""What a statement can be given."""

Row_co = TypeVar("Row_co", covariant=True)

PAGE_SIZE_BYTES = 16_384
BUSY_TIMEOUT_MS = 5_000
CACHED_PAGES_WRITING = 1_024
CACHED_PAGES_READING = 512
CACHE_WAL_PAGES = 4_000
SYNCHRONOUS = "full"
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
_OLDEST_SAFE = (3, 51, 3)


class Query(Generic[Row_co]):
    """A statement and the type of its rows: ``Query[tuple[int, bytes]]("select ...")``."""

    __slots__ = ("sql",)

    def __init__(self, sql: str) -> None:
        """Hold ``sql``; SQLite prepares it once for each connection."""
        self.sql = sql

    def all(self, connection: Connection, *bindings: Binding) -> list[Row_co]:
        """Every row."""
        rows: object = connection.execute(self.sql, cast("apsw.Bindings", bindings)).fetchall()
        return cast("list[Row_co]", rows)

    def each(self, connection: Connection, *bindings: Binding) -> Iterator[Row_co]:
        """The rows one by one; when the caller stops early, the statement ends there."""
        cursor = connection.execute(self.sql, cast("apsw.Bindings", bindings))
        try:
            yield from cast("Iterator[Row_co]", cursor)
        finally:
            cursor.close()

    def one(self, connection: Connection, *bindings: Binding) -> Row_co | None:
        """The first row, or None."""
        return cast("Row_co | None", connection.execute(self.sql, cast("apsw.Bindings", bindings)).fetchone())

    def run(self, connection: Connection, *bindings: Binding) -> None:
        """Run it for its effect."""
        connection.execute(self.sql, cast("apsw.Bindings", bindings))

    def run_many(self, connection: Connection, bindings: Iterable[Sequence[Binding]]) -> None:
        """Run it once for each set of bindings."""
        connection.executemany(self.sql, cast("Iterable[apsw.Bindings]", bindings))


def integers(values: Iterable[int]) -> Column:
    """A column of integers. There must be at least one."""
    return Column(apsw.carray(array("q", values)))


def blobs(values: Iterable[bytes]) -> Column:
    """A column of blobs. There must be at least one."""
    return Column(apsw.carray(tuple(values)))


def require_safe_sqlite(version: str) -> None:
    """Refuse a SQLite before 3.51.3 with :class:`~mainstem.errors.SQLiteTooOld`."""
    if tuple(int(part) for part in version.split(".")[:3]) < _OLDEST_SAFE:
        raise SQLiteTooOld(
            f"SQLite {version} is too old to share a file between processes",
            why="before 3.51.3, two connections that write and checkpoint at the same instant can lose committed data "
            "(sqlite.org/wal.html#walresetbug)",
            remedy="pip install --upgrade apsw, which brings its own SQLite",
        )


def connect(name: str, *, writes: bool, vfs: str | None = None) -> Connection:
    """Open a connection with the settings that this library relies on. Commits never checkpoint by themselves."""
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    try:
        connection = apsw.Connection(name, flags=flags, vfs=vfs)
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        connection.pragma("mmap_size", 0)
        connection.pragma("wal_autocheckpoint", 0)
        connection.pragma("synchronous", SYNCHRONOUS)
        connection.pragma("temp_store", "memory")
        # In pages: in bytes, SQLite would count with the size that pages have before the file is read, a quarter.
        connection.pragma("cache_size", CACHED_PAGES_WRITING if writes else CACHED_PAGES_READING)
        if sys.platform == "darwin":
            # There, fsync alone leaves the data in the cache of the drive.
            connection.pragma("fullfsync", 1)
            connection.pragma("checkpoint_fullfsync", 1)
    except apsw.Error as error:
        raise translated(error, name) from error
    return connection


def open_cache(path: Path) -> Connection:
    """Open a file that can be made anew from elsewhere: nothing waits for the disk, and it checkpoints by itself.

    After a power loss it is as it was after an earlier commit.
    """
    connection = connect(str(path), writes=True)
    try:
        connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", "normal")
        connection.pragma("wal_autocheckpoint", CACHE_WAL_PAGES)
    except apsw.Error as error:
        raise translated(error, str(path)) from error
    return connection


def translated(error: apsw.Error | OSError, where: str) -> MainstemError:
    """What an error of SQLite means to a caller; where nothing is known to have failed for good, a refusal."""
    text = str(error) or type(error).__name__
    if isinstance(error, apsw.FullError) or (isinstance(error, OSError) and error.errno in _NO_ROOM):
        return DiskFull(
            "No space left for the database", where=where, why=text, remedy="free space; nothing acknowledged is lost"
        )
    if isinstance(error, apsw.NotADBError):
        return WrongFileFormat(
            "The file is not a database of Mainstem", where=where, why=text, remedy="name another file, or move it away"
        )
    if isinstance(error, OSError | apsw.IOError | apsw.CorruptError | apsw.NoMemError):
        return DatabaseFailed(
            "The database file failed",
            where=where,
            why=f"{type(error).__name__}: {text}",
            remedy="end this process; look at the disk; then start again: what was acknowledged is in the file",
        )
    if isinstance(error, apsw.CantOpenError | apsw.ReadOnlyError | apsw.PermissionsError):
        return DatabaseError(
            "The database file cannot be opened for writing",
            where=where,
            why=text,
            remedy="check that its folder exists and that this user may write to it",
        )
    return CommitRefused("SQLite refused the transaction", where=where, why=f"{type(error).__name__}: {text}")


def unknown_outcome(error: BaseException | None, where: str) -> CommitUnknown:
    """Nobody can know whether a commit is in the file."""
    return CommitUnknown(
        "Whether this commit happened is not known",
        where=where,
        why=f"{type(error).__name__}: {error}",
        remedy="take the task over again, and read positions and stores; never go on from memory",
    )
