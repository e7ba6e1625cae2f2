"""The database file as anybody could read it: nothing here comes from the library.

A row of ``log`` has the id ``partition number << 40 | first offset``. Its body is a MessagePack array: keys, values,
timestamps (one number, or the first and the distances from it), common headers, columns of other headers, and the
offsets within the row unless these are 0, 1, 2 and so on. A column is plain (0, values), of hexadecimal texts
(1, template, digits), or coded (2, table, a byte for each record).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

import apsw
import msgspec

OFFSET_BITS = 40

DATABASE = "disk/crash.db"
"""Where in the folder of a test the database is: on a disk of its own, if need be."""


class LogRecord(NamedTuple):
    """A record of the log."""

    topic: str
    partition: int
    offset: int
    key: str
    value: Any
    """JSON, decoded; None for a tombstone."""
    headers: dict[str, bytes]


class Readable(Protocol):
    """What the checker asks of a log, be it a file or a cluster."""

    def records(self, topic: str) -> Iterator[LogRecord]:
        """All committed records of a topic, each partition in the order of its offsets."""
        ...

    def ends(self) -> dict[tuple[str, int], int]:
        """The offset behind the last record of every partition."""
        ...

    def positions(self) -> dict[tuple[str, str, int], int]:
        """The committed positions, by group, topic and partition."""
        ...

    def inputs(self) -> dict[str, list[str]]:
        """The topics that each group reads, its inbox among them."""
        ...

    def entries(self, group: str, store: str) -> list[tuple[str, Any]]:
        """Keys and values of a store, in all tasks of its group."""
        ...

    def stores(self) -> list[tuple[str, str, int]]:
        """Group, name and number of keys of every store."""
        ...


class Database:
    """The file, opened for reading. What is committed is seen; closing leaves the write-ahead log alone."""

    def __init__(self, path: Path) -> None:
        self._connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        self._connection.set_busy_timeout(10_000)
        self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        self._connection.pragma("query_only", 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def rows(self, sql: str, *bindings: Any) -> list[tuple[Any, ...]]:
        """All rows of a statement."""
        return list(self._connection.execute(sql, bindings))

    def integrity(self) -> list[str]:
        """What SQLite finds wrong with the file."""
        found = [text for (text,) in self.rows("pragma integrity_check")]
        return [] if found == ["ok"] else found

    def partitions(self, topic: str | None = None) -> dict[tuple[str, int], int]:
        """The numbers of the partitions of one topic, or of all."""
        return {
            (name, partition): number
            for name, partition, number in self.rows(
                "select topic.name, partition.partition, partition.number from partition"
                " join topic on topic.number = partition.topic order by topic.name, partition.partition"
            )
            if topic in (None, name)
        }

    def records(self, topic: str) -> Iterator[LogRecord]:
        """All records of a topic, each partition in the order of its offsets."""
        for (name, partition), number in self.partitions(topic).items():
            rows = self.rows(
                "select id, last, body from log where id >= ? and id < ? order by id",
                number << OFFSET_BITS,
                (number + 1) << OFFSET_BITS,
            )
            expected = 0
            for row, last, body in rows:
                first = row & ((1 << OFFSET_BITS) - 1)
                found = list(_decode(name, partition, first, body))
                if first < expected or found[-1].offset > last:
                    message = f"{name}/{partition}: the row at {first}..{last} overlaps another one"
                    raise AssertionError(message)
                expected = last + 1
                yield from found

    def ends(self) -> dict[tuple[str, int], int]:
        """The offset behind the last record of every partition."""
        return {
            at: self.rows(
                "select max(floor, coalesce((select max(last) + 1 from log where id >= ?1 << 40 and id < (?1 + 1) << 40"
                "), 0)) from partition where number = ?1",
                number,
            )[0][0]
            for at, number in self.partitions().items()
        }

    def positions(self) -> dict[tuple[str, str, int], int]:
        """The committed positions, by group, topic and partition."""
        return {
            (group, topic, partition): position
            for group, topic, partition, position in self.rows(
                "select groups.name, topic.name, partition.partition, position.next from position"
                " join groups on groups.number = position.grp join partition on partition.number = position.partition"
                " join topic on topic.number = partition.topic"
            )
        }

    def inputs(self) -> dict[str, list[str]]:
        """The topics that each group reads, its inbox among them."""
        return {
            name: [*msgspec.json.decode(inputs), f"{name}.inbox"]
            for name, inputs in self.rows("select name, inputs from groups")
        }

    def entries(self, group: str, store: str) -> list[tuple[str, Any]]:
        """Keys and values of a store, in all tasks of its group."""
        found = self.rows(
            "select key, value from entry join store on store.number = entry.store"
            " join groups on groups.number = store.grp where groups.name = ? and store.name = ?",
            group,
            store,
        )
        return [(key.decode(), stored_value(value)) for key, value in found]

    def stores(self) -> list[tuple[str, str, int]]:
        """Group, name and number of keys of every store."""
        found = self.rows(
            "select groups.name, store.name, (select count(*) from entry where entry.store = store.number)"
            " from store join groups on groups.number = store.grp order by 1, 2"
        )
        return [(group, store, count) for group, store, count in found]


def stored_value(row: bytes) -> Any:
    """The value in a row of a store, behind its header: a form of 1 and a version of two bytes."""
    if row[0] != 1:
        message = f"a stored value begins with {row[:3].hex()}"
        raise AssertionError(message)
    return msgspec.msgpack.decode(row[3:])


def _decode(topic: str, partition: int, first: int, body: bytes) -> Iterator[LogRecord]:
    keys, values, _, common, columns, *gaps = msgspec.msgpack.decode(body)
    offsets = [first + gap for gap in gaps[0]] if gaps and gaps[0] is not None else range(first, first + len(keys))
    own = {name: _column(column) for name, column in columns.items()}
    for index, (offset, key, value) in enumerate(zip(offsets, keys, values, strict=True)):
        headers = dict(common) | {name: column[index] for name, column in own.items() if column[index] is not None}
        text = "" if key is None else key.decode(errors="replace")
        yield LogRecord(topic, partition, offset, text, None if value is None else msgspec.json.decode(value), headers)


def _column(column: list[Any]) -> Sequence[bytes | None]:
    kind, *rest = column
    if kind == 0:
        return list(rest[0])
    if kind == 2:
        table, which = rest
        return [table[code] for code in which]
    template, digits = rest
    text = digits.hex().encode()
    holes = [place for place, char in enumerate(template) if char == 0]
    found = []
    for start in range(0, len(text), len(holes)):
        value = bytearray(template)
        for place, char in zip(holes, text[start : start + len(holes)], strict=True):
            value[place] = char
        found.append(bytes(value))
    return found
