"""What a log holds: records of bytes, appended one by one, read in columns.

A record is appended as a :class:`Record`; it is read as part of a :class:`Batch`. The two shapes differ because their
costs do: a writer knows each record, a reader mostly wants one column of many. Headers cost more than decoding, so
those that are common to a batch are held once, and the others stay bytes until somebody asks for their column.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol, TypeAlias

from msgspec import Struct

Headers: TypeAlias = Mapping[str, bytes]
"""Header names and values. A name stands once in a record; of a repeated one, the last value counts."""

NO_HEADERS: Headers = {}


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


COMPLETED_STORE: Final = "$completed"
"""The store in which a task keeps what is completed beyond its positions; a reset of positions drops from it."""


def completed_key(at: TopicPartition) -> bytes:
    """The key of an input partition in :data:`COMPLETED_STORE`."""
    return f"{at.topic}/{at.partition}".encode()


class Record(Struct, frozen=True, gc=False):
    """One record as it is appended.

    ``value=None`` is a tombstone: compaction removes the key. ``common`` holds the headers that this record shares
    with many others: pass the same mapping object each time, and a log may store it once for a whole batch.
    ``own`` holds this record's headers alone. No name may stand in both.
    """

    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    common: Headers = NO_HEADERS
    own: Headers = NO_HEADERS


class HeaderColumns(Protocol):
    """The headers that differ within a batch, by name; a column is decoded when it is asked for."""

    def names(self) -> Sequence[str]:
        """The names that at least one record of the batch has."""
        ...

    def column(self, name: str) -> Sequence[bytes | None]:
        """The header of each record, None where a record has none."""
        ...


class Batch:
    """Records of one partition in offset order, in columns.

    ``offsets`` rise but need not be contiguous: compaction and transaction markers leave gaps. ``next_offset`` is
    where reading goes on; it lies beyond the last offset and beyond any gap known behind it. ``common`` holds the
    headers that every record of the batch has with the same value. The columns are read-only.
    """

    __slots__ = (
        "_columns",
        "_several",
        "common",
        "keys",
        "next_offset",
        "offsets",
        "own",
        "partition",
        "timestamps",
        "topic",
        "values",
    )

    def __init__(
        self,
        at: TopicPartition,
        offsets: Sequence[int],
        columns: tuple[Sequence[bytes | None], Sequence[bytes | None], Sequence[int]],
        *,
        common: Headers,
        own: HeaderColumns,
        next_offset: int,
    ) -> None:
        """``columns`` are the keys, the values and the timestamps in milliseconds."""
        self.topic, self.partition = at
        self.offsets = offsets
        self.keys, self.values, self.timestamps = columns
        self.common = common
        self.own = own
        self.next_offset = next_offset
        self._columns: dict[str, Sequence[bytes | None] | None] = {}
        self._several: dict[tuple[str, ...], Sequence[Sequence[bytes | None] | None]] = {}

    def __len__(self) -> int:
        return len(self.offsets)

    def column(self, name: str) -> Sequence[bytes | None]:
        """The header ``name`` of each record; for one in ``common`` prefer reading it there."""
        if name in self.common:
            return [self.common[name]] * len(self)
        return self.own.column(name)

    def header(self, name: str, index: int) -> bytes | None:
        """One header of one record, or None; the second question about a column costs next to nothing."""
        value = self.common.get(name)
        if value is not None:
            return value
        try:
            column = self._columns[name]
        except KeyError:
            column = self._columns[name] = self.own.column(name) if name in self.own.names() else None
        return None if column is None else column[index]

    def several(self, names: tuple[str, ...]) -> Sequence[Sequence[bytes | None] | None]:
        """The headers of these names of each record, in their order; None for one that no record has.

        Asked again for the same names it costs next to nothing, so that what runs for each record may ask.
        """
        try:
            return self._several[names]
        except KeyError:
            known = {*self.common, *self.own.names()}
            found = self._several[names] = [self.column(name) if name in known else None for name in names]
            return found

    def headers(self, index: int) -> dict[str, bytes]:
        """All headers of one record."""
        headers = dict(self.common)
        headers.update(self.own_headers(index))
        return headers

    def own_headers(self, index: int) -> dict[str, bytes]:
        """The headers of one record that are not common to the batch."""
        own = self.own
        return {name: value for name in own.names() if (value := own.column(name)[index]) is not None}

    def record(self, index: int) -> Record:
        """One record, as it was appended."""
        return Record(
            self.keys[index], self.values[index], self.timestamps[index], self.common, self.own_headers(index)
        )


class NoColumns:
    """The header columns of a batch whose headers are all common."""

    def names(self) -> Sequence[str]:
        """No names."""
        return ()

    def column(self, name: str) -> Sequence[bytes | None]:
        """There is no such column."""
        raise KeyError(name)


class HeaderRows:
    """The header columns of a batch of which each record's headers are known."""

    __slots__ = ("_rows",)

    def __init__(self, rows: Sequence[Headers]) -> None:
        self._rows = rows

    def names(self) -> Sequence[str]:
        """The names that at least one record has."""
        return list(dict.fromkeys(name for row in self._rows for name in row))

    def column(self, name: str) -> Sequence[bytes | None]:
        """The header of each record."""
        return [row.get(name) for row in self._rows]


def single(at: TopicPartition, offset: int, record: Record) -> Batch:
    """A batch of one record, all of whose headers are common."""
    return Batch(
        at,
        (offset,),
        ((record.key,), (record.value,), (record.timestamp_ms,)),
        common={**record.common, **record.own},
        own=NoColumns(),
        next_offset=offset + 1,
    )
