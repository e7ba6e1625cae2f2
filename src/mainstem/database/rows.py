"""The rows of one task's stores: bytes by key, committed ones only; in the shared file, or in a file of their own."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from mainstem.database.connection import (
    CACHED_PAGES_WRITING,
    Binding,
    Connection,
    Query,
    SqliteError,
    blobs,
    open_cache,
    translated,
)
from mainstem.errors import DatabaseError, DatabaseFailed, MainstemError

Reading = Callable[[], AbstractContextManager[Connection]]
"""Gives a connection to read with, to whichever thread asks."""

_STORE = Query[tuple[int]](
    "select store.number from store join groups on groups.number = store.grp where groups.name = ? and store.name = ?"
)
_GET = Query[tuple[bytes]]("select value from entry where store = ? and task = ? and key = ?")
_GET_MANY = Query[tuple[bytes, bytes]](
    "select key, value from entry where store = ? and task = ? and key in (select value from carray(?))"
)
_COUNT = Query[tuple[int]]("select count(*) from entry where store = ? and task = ?")
_SCAN = {
    (bounded, reverse): Query[tuple[bytes, bytes]](
        "select key, value from entry where store = ?1 and task = ?2 and key >= ?3 "
        + ("and key < ?5 " if bounded else "")
        + ("order by key desc " if reverse else "order by key ")
        + "limit ?4"
    )
    for bounded in (False, True)
    for reverse in (False, True)
}
# Many rows in one statement: between statements this thread gives the interpreter up, and beside a busy event loop it
# waits for it each time.
_PUTS = [
    (
        size,
        Query[tuple[()]](
            "insert into entry(store, task, key, value) values"
            + ", ".join(["(?1, ?2, ?, ?)"] * size)
            + " on conflict do update set value = excluded.value"
        ),
    )
    for size in (256, 32, 4, 1)
]
_DELETE = Query[tuple[()]]("delete from entry where store = ? and task = ? and key in (select value from carray(?))")
_ADD_STORE = Query[tuple[()]]("insert or ignore into store(grp, name) values(?, ?)")
_STORE_OF = Query[tuple[int]]("select number from store where grp = ? and name = ?")


Changes: TypeAlias = Mapping[str, Sequence[tuple[bytes, bytes | None]]]
"""By store, keys and their new values, or None for a deletion. Each key stands once, best in their order."""
PAGES_IN_A_HURRY: Final = 8_192


class TaskRows:
    """Reads the stores of one task. For any thread; rows that are not committed are never seen."""

    def __init__(self, reading: Reading, group: str, task: int) -> None:
        """Read what belongs to ``task`` of ``group``."""
        self._reading = reading
        self._group = group
        self._task = task
        self._numbers: dict[str, int] = {}

    def get(self, store: str, key: bytes) -> bytes | None:
        """The value of ``key``, or None."""
        with self._reading() as connection:
            number = self._number(connection, store)
            row = None if number is None else _GET.one(connection, number, self._task, key)
        return None if row is None else row[0]

    def get_many(self, store: str, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """The values of those of ``keys`` that are there."""
        wanted = blobs(keys) if (keys := tuple(keys)) else None
        if wanted is None:
            return {}
        with self._reading() as connection:
            number = self._number(connection, store)
            return {} if number is None else dict(_GET_MANY.all(connection, number, self._task, wanted))

    def scan(
        self, store: str, start: bytes = b"", stop: bytes | None = None, *, limit: int = 1_000, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """At most ``limit`` keys from ``start`` up to, but without, ``stop``, in the order of their bytes."""
        with self._reading() as connection:
            number = self._number(connection, store)
            if number is None:
                return []
            bindings: Sequence[Binding] = (number, self._task, start, limit)
            if stop is not None:
                bindings = (*bindings, stop)
            return _SCAN[stop is not None, reverse].all(connection, *bindings)

    def count(self, store: str) -> int:
        """How many keys the store holds; it looks at each."""
        with self._reading() as connection:
            number = self._number(connection, store)
            row = None if number is None else _COUNT.one(connection, number, self._task)
        return 0 if row is None else row[0]

    def _number(self, connection: Connection, store: str) -> int | None:
        # A store appears with its first row, so that it is not there now means nothing for later.
        number = self._numbers.get(store)
        if number is None and (row := _STORE.one(connection, self._group, store)) is not None:
            number = self._numbers[store] = row[0]
        return number


_STORES = Query[tuple[str]](
    "select store.name from store join groups on groups.number = store.grp where groups.name = ? order by store.name"
)


def store_names(connection: Connection, group: str) -> list[str]:
    """The stores that a group has ever written to."""
    return [name for (name,) in _STORES.all(connection, group)]


def write_rows(
    connection: Connection, group: int, task: int, store: str, changes: Sequence[tuple[bytes, bytes | None]]
) -> None:
    """Write a task's changes of one store inside a write transaction. Each key stands once, best in their order."""
    row = _STORE_OF.one(connection, group, store)
    if row is None:
        _ADD_STORE.run(connection, group, store)
        row = _STORE_OF.one(connection, group, store)
    assert row is not None
    number = row[0]
    puts = [change for change in changes if change[1] is not None]
    start = 0
    for size, statement in _PUTS:
        while len(puts) - start >= size:
            values: Iterable[Binding] = chain.from_iterable(puts[start : start + size])
            statement.run(connection, number, task, *values)
            start += size
    deletes = [key for key, value in changes if value is None]
    if deletes:
        _DELETE.run(connection, number, task, blobs(deletes))


class Mark(NamedTuple):
    """How far a file of rows has come: the format, the source that it follows, and the next offset.

    ``whole_ms`` is when it last had everything that the source had.
    """

    form: int
    source: str
    next: int
    whole_ms: int


_OWN_TABLES: Final = """
create table if not exists groups(number integer primary key, name text not null unique);
create table if not exists store(
    number integer primary key, grp integer not null, name text not null, unique(grp, name));
create table if not exists entry(
    store integer not null, task integer not null, key blob not null, value blob not null,
    primary key(store, task, key)) without rowid;
create table if not exists mark(form integer, source text, next integer, whole_ms integer);
insert or ignore into groups values(1, '');
"""
_CHECK = Query[tuple[str]]("pragma quick_check(1)")
_MARK = Query[tuple[int, str, int, int]]("select form, source, next, whole_ms from mark")
_UNMARK = Query[tuple[()]]("delete from mark")
_SET_MARK = Query[tuple[()]]("insert into mark values(?, ?, ?, ?)")
_MOVE_MARK = Query[tuple[int]](
    "update mark set next = ?, whole_ms = coalesce(?, whole_ms) where next = ? returning next"
)


class RowsFile:
    """The rows of one task in a file of their own, with a mark that moves in the same transaction.

    A cache: nothing waits for the disk. Any thread reads; one at a time writes.
    """

    def __init__(self, path: Path) -> None:
        """Open or create it, and look at every page: what was damaged meanwhile is found now.

        Raises :class:`~mainstem.errors.DatabaseError`, or what else stands in the way.
        """
        self._path = path
        self._writing = open_cache(path)
        try:
            found = _CHECK.one(self._writing)
            if found != ("ok",):
                raise DatabaseError("A file of rows is damaged", where=str(path), why=str(found))
            self._writing.execute(_OWN_TABLES)
            self._reading = open_cache(path)
        except SqliteError as error:
            self._writing.close()
            raise translated(error, str(path)) from error
        except MainstemError:
            self._writing.close()
            raise
        self._look = threading.Lock()
        self.rows = TaskRows(self._read, "", 0)

    def mark(self) -> Mark | None:
        """How far it has come; None for a new one."""
        try:
            found = _MARK.one(self._writing)
        except SqliteError as error:
            raise translated(error, str(self._path)) from error
        return None if found is None else Mark(*found)

    def begin(self, mark: Mark) -> None:
        """Say what it follows, and from where."""
        with self._writing:
            _UNMARK.run(self._writing)
            _SET_MARK.run(self._writing, *mark)

    def hurry(self, *, much: bool) -> None:
        """Much is to be written in any order of keys: pages are kept in memory until each is full, or not any more."""
        self._writing.pragma("cache_size", PAGES_IN_A_HURRY if much else CACHED_PAGES_WRITING)
        if not much:
            self._writing.pragma("shrink_memory")

    def write(self, changes: Changes, before: int, after: int, whole_ms: int | None) -> bool:
        """Write changes and move the mark; False, and nothing is written, when it does not stand at ``before``.

        With ``whole_ms`` None it has not come to the end, and the time of the mark stays.
        """
        connection = self._writing
        try:
            with connection:
                if _MOVE_MARK.one(connection, after, whole_ms, before) is None:
                    return False
                for store, rows in changes.items():
                    write_rows(connection, 1, 0, store, rows)
        except SqliteError as error:
            raise translated(error, str(self._path)) from error
        return True

    def close(self) -> None:
        """Let the file go."""
        with self._look:
            self._reading.close()
        self._writing.close()

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with self._look:
            try:
                yield self._reading
            except SqliteError as error:
                raise DatabaseFailed(
                    "A file of rows cannot be read",
                    where=str(self._path),
                    why=f"{type(error).__name__}: {error}",
                    remedy="look at the disk, and start again: what is damaged is made anew from where it came from",
                ) from error
