"""The rows of one task's stores: bytes by key, committed ones only."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from itertools import chain

from mainstem.database.connection import Binding, Connection, Query, blobs

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
