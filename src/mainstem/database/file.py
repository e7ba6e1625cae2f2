"""The file: whose it is, in which format, what is in it, whether it is whole, and a copy of it."""

import os
import time
from pathlib import Path

import apsw
import msgspec
from msgspec import Struct

from mainstem.clock import Clock
from mainstem.database.connection import (
    PAGE_SIZE_BYTES,
    Connection,
    Query,
    connect,
    require_safe_sqlite,
    translated,
)
from mainstem.database.disk import require_local
from mainstem.database.lock import LOCK_SUFFIX, FileLock, Holder
from mainstem.errors import DatabaseError, DatabaseMoved, WrongFileFormat

APPLICATION_ID = 0x4D53544D
FORMAT_VERSION = 1

OFFSET_BITS = 40
"""A row of ``log`` has the id ``partition number << OFFSET_BITS | offset of its first record``."""

# A partition without a topic, and a store without a group, have been deleted; maintenance takes their rows away.
# A large row has no place in a WITHOUT ROWID table: its body would be copied at every split. ``last``, ``oldest``
# and ``newest`` stand before the body, so that looking at them does not read it.
_TABLES = """
create table stamp(name text primary key, value text not null) without rowid;
create table topic(
    number integer primary key autoincrement, name text not null unique, topic_id text not null,
    partitions integer not null, retention_ms integer, compact integer not null, record_bytes_max integer not null,
    retention_bytes integer);
create table partition(
    number integer primary key autoincrement, topic integer, partition integer not null,
    start integer not null default 0, floor integer not null default 0, compacted integer not null default 0);
create table log(
    id integer primary key, last integer not null, oldest integer not null, newest integer not null,
    body blob not null);
create table groups(
    number integer primary key autoincrement, name text not null unique, service text not null,
    tasks integer not null, inputs text not null);
create table member(
    number integer primary key autoincrement, grp integer not null, member text not null unique,
    process text not null, static_id text, pinned text, session_timeout real not null);
create table task(
    grp integer not null, task integer not null, owner text, epoch integer not null default 0, assigned text,
    draining integer not null default 0,
    primary key(grp, task)) without rowid;
create table position(
    grp integer not null, task integer not null, partition integer not null, next integer not null,
    primary key(grp, task, partition)) without rowid;
create table listener(
    partition integer not null, process text not null, primary key(partition, process)) without rowid;
create table alarm(
    partition integer not null, grp integer not null, position integer not null, raised_ms integer not null,
    primary key(partition, grp)) without rowid;
create table store(
    number integer primary key autoincrement, grp integer, name text not null, unique(grp, name));
create table entry(
    store integer not null, task integer not null, key blob not null, value blob not null,
    primary key(store, task, key)) without rowid;
insert into stamp values('topics', '');
"""


_HAS_RETENTION_BYTES = Query[tuple[int]]("select 1 from pragma_table_info('topic') where name = 'retention_bytes'")


def prepare(connection: Connection, where: str) -> None:
    """Create the schema in an empty file; refuse a file that is not ours, or of another format version.

    The caller holds the lock of the file: two processes may open a new one at the same moment.
    """
    try:
        _prepare(connection, where)
    except apsw.Error as error:
        raise translated(error, where) from error


def _prepare(connection: Connection, where: str) -> None:
    application = connection.pragma("application_id")
    version = connection.pragma("user_version")
    if application == 0 and connection.pragma("schema_version") == 0:
        connection.pragma("page_size", PAGE_SIZE_BYTES)
        connection.pragma("journal_mode", "wal")
        with connection:
            connection.execute(_TABLES)
            connection.pragma("application_id", APPLICATION_ID)
            connection.pragma("user_version", FORMAT_VERSION)
        return
    _require_ours(application, version, where)
    connection.pragma("journal_mode", "wal")
    if not _HAS_RETENTION_BYTES.all(connection):
        # An older library goes on with such a file, and keeps what it does not know of.
        connection.execute("alter table topic add column retention_bytes integer")


def require_ours(where: str, vfs: str | None) -> None:
    """Refuse a file that is not ours, or of another format version, without leaving anything beside it."""
    connection = connect(where, writes=False, vfs=vfs)
    try:
        application = connection.pragma("application_id")
        if application or connection.pragma("schema_version"):
            _require_ours(application, connection.pragma("user_version"), where)
    except apsw.Error as error:
        raise translated(error, where) from error
    finally:
        connection.close()


def _require_ours(application: int, version: int, where: str) -> None:
    if application != APPLICATION_ID:
        raise WrongFileFormat(
            "The file is not a database of Mainstem",
            where=where,
            why=f"its application id is {application:#x}, and ours is {APPLICATION_ID:#x}",
            remedy="name another file, or move this one away",
        )
    if version != FORMAT_VERSION:
        newer = version > FORMAT_VERSION
        raise WrongFileFormat(
            f"The file has format version {version}; this library reads and writes version {FORMAT_VERSION}",
            where=where,
            why="it was written by a newer library" if newer else "it was written by an older library",
            remedy="upgrade mainstem in this process"
            if newer
            else "open it once with the version between that upgrades files, or start with a new file",
        )


class Moved(Struct, frozen=True):
    """The stamp of a file whose data has been moved to ``to``, or is on its way there. ``move`` is the move's id."""

    move: str
    to: str
    since_ms: int
    finished: bool = False


_MOVED = Query[tuple[str]]("select value from stamp where name = 'moved'")
_STAMP = Query[tuple[()]]("insert or replace into stamp values('moved', ?)")
_UNSTAMP = Query[tuple[()]]("delete from stamp where name = 'moved'")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Moved).decode


def moved(connection: Connection) -> Moved | None:
    """Where the data of the file is, or is on its way to; None while it is here."""
    row = _MOVED.one(connection)
    return None if row is None else _decode(row[0])


def stamp(connection: Connection, stamped: Moved | None) -> None:
    """Say where the data is from now on, or that it is here, inside a write transaction."""
    if stamped is None:
        _UNSTAMP.run(connection)
    else:
        _STAMP.run(connection, _encode(stamped).decode())


def refusal_of(connection: Connection, where: str) -> DatabaseMoved | None:
    """Why the file takes no commit, inside the very transaction; None as long as its data is here."""
    found = moved(connection)
    if found is None:
        return None
    command = f"mainstem migrate --from sqlite:///{where} --to {found.to}"
    if found.finished:
        return DatabaseMoved(
            f"The data of this file has been moved to {found.to}",
            where=where,
            why="what is written here now would be missed there",
            remedy=f"start the services with MAINSTEM_BROKER={found.to}; to come back while nothing has been written "
            f"there: {command} --undo-cutover",
        )
    return DatabaseMoved(
        f"The data of this file is being moved to {found.to}",
        where=where,
        why="what is written here now might be missed there",
        remedy=f"wait for the move, or carry it on: {command}; to give it up: {command} --undo-cutover",
    )


_INTEGRITY = Query[tuple[str]]("pragma integrity_check")
_LOOKS = 100
_LOOK_SECONDS = 0.01
_COPY = Query[tuple[()]]("vacuum into ?")


def faults(connection: Connection) -> list[str]:
    """What is wrong with the file; nothing when it is whole. It reads all of it."""
    return [fault for (fault,) in _INTEGRITY.all(connection) if fault != "ok"]


class Inspection(Struct, frozen=True):
    """A file as it is found. ``holder`` has held its lock for a second and more; ``faults`` is empty when it is whole.

    ``wal_bytes`` is the write-ahead log beside it, ``free_bytes`` what is left of the disk.
    """

    path: str
    size_bytes: int
    wal_bytes: int
    free_bytes: int
    format_version: int
    sqlite: str
    holder: Holder | None
    faults: list[str]


def inspect(path: Path, clock: Clock) -> Inspection:
    """Look at a file from the side, also while others use it, or while one of them stands still with the lock.

    Raises :class:`~mainstem.errors.WrongFileFormat`, and what else keeps it from being read. It reads all of the file,
    so call it in a thread.
    """
    require_safe_sqlite(apsw.sqlite_lib_version())
    require_local(path.parent)
    holder = holder_of(path, clock)
    wal = path.with_name(path.name + "-wal")
    disk = os.statvfs(path.parent)
    connection = connect(str(path), writes=False)
    try:
        version = connection.pragma("user_version")
        _require_ours(connection.pragma("application_id"), version, str(path))
        found = faults(connection)
    except apsw.CorruptError as error:
        version, found = FORMAT_VERSION, [str(error)]
    except apsw.Error as error:
        raise translated(error, str(path)) from error
    finally:
        connection.close()
    return Inspection(
        path=str(path),
        size_bytes=path.stat().st_size,
        wal_bytes=wal.stat().st_size if wal.exists() else 0,
        free_bytes=disk.f_bavail * disk.f_frsize,
        format_version=version,
        sqlite=apsw.sqlite_lib_version(),
        holder=holder,
        faults=found,
    )


def holder_of(path: Path, clock: Clock) -> Holder | None:
    """Who does not let go of a file's lock for a second; a busy writer does so every few milliseconds.

    It waits, so call it in a thread.
    """
    lock = FileLock(path.with_name(path.name + LOCK_SUFFIX), clock)
    try:
        for _ in range(_LOOKS):
            if lock.try_acquire():
                lock.release()
                return None
            time.sleep(_LOOK_SECONDS)
        return lock.holder()
    finally:
        lock.close()


def copy(connection: Connection, target: Path) -> None:
    """Write one consistent snapshot to ``target``, which must not be there yet, and sync it.

    Others go on writing. What they write meanwhile stays in the write-ahead log, so this is what the log grows by.
    """
    if target.exists():
        raise DatabaseError(
            "The backup would overwrite a file",
            where=str(target),
            why="a backup is a new file, so that an old one is never half replaced",
            remedy="name another file",
        )
    partial = target.with_name(target.name + ".partial")
    partial.unlink(missing_ok=True)
    try:
        _COPY.run(connection, str(partial))
    except apsw.Error as error:
        partial.unlink(missing_ok=True)
        raise translated(error, str(target)) from error
    _sync(partial)
    partial.rename(target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
