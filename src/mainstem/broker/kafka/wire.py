"""Between the shapes: a record becomes what a producer takes, and messages become columns."""

from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Final, TypeAlias, cast

from confluent_kafka import Message

from mainstem.broker import Batch, Headers, Record, TopicPartition
from mainstem.errors import RecordTooLarge

Pair: TypeAlias = tuple[str, str | bytes | None]
"""What the client takes; here it is always a name and bytes."""
_Row: TypeAlias = Sequence[tuple[str, bytes | None]]
_NO_HEADERS: Final[Headers] = {}
_key: Final = attrgetter("key")
_value: Final = attrgetter("value")


class HeaderPairs:
    """Headers as a producer takes them. Those that many records share are made once."""

    __slots__ = ("_common", "_pairs")

    def __init__(self) -> None:
        self._common: Headers = _NO_HEADERS
        self._pairs: list[Pair] = []

    def of(self, record: Record) -> list[Pair]:
        """The headers of a record."""
        if record.common is not self._common:
            self._common = record.common
            self._pairs = list(record.common.items())
        return [*self._pairs, *record.own.items()] if record.own else self._pairs


class HeaderColumns:
    """Headers that differ within a batch, in columns."""

    __slots__ = ("_columns",)

    def __init__(self, columns: Mapping[str, Sequence[bytes | None]]) -> None:
        """Each as long as the batch."""
        self._columns = columns

    def names(self) -> Sequence[str]:
        """The names that at least one record has."""
        return list(self._columns)

    def column(self, name: str) -> Sequence[bytes | None]:
        """The header of each record."""
        return self._columns[name]


class Piece:
    """Messages of one partition in columns; ``common`` are the headers that all of them have with the same value."""

    __slots__ = ("common", "keys", "offsets", "own", "timestamps", "values")

    def __init__(self) -> None:
        """Nothing yet."""
        self.offsets: list[int] = []
        self.keys: list[bytes | None] = []
        self.values: list[bytes | None] = []
        self.timestamps: list[int] = []
        self.common: Headers = _NO_HEADERS
        self.own: dict[str, list[bytes | None]] = {}

    def __len__(self) -> int:
        return len(self.offsets)

    def take_in(self, messages: Sequence[Message]) -> None:
        """Add messages without an error. Best a hundred at a time: the collector looks at what is made meanwhile."""
        count = len(messages)
        common, own = _headers(messages)
        self._take_headers(count, common, own)
        self.offsets += cast("map[int]", map(Message.offset, messages))
        self.keys += cast("map[bytes | None]", map(Message.key, messages))
        self.values += cast("map[bytes | None]", map(Message.value, messages))
        self.timestamps += [time for _, time in map(Message.timestamp, messages)]

    def join(self, other: "Piece") -> None:
        """Add what another has."""
        self._take_headers(len(other), other.common, other.own)
        self.offsets += other.offsets
        self.keys += other.keys
        self.values += other.values
        self.timestamps += other.timestamps

    def batch(self, at: TopicPartition, next_offset: int) -> Batch:
        """All of it."""
        columns = (self.keys, self.values, self.timestamps)
        own = HeaderColumns(self.own)
        return Batch(at, self.offsets, columns, common=self.common, own=own, next_offset=next_offset)

    def _take_headers(self, count: int, common: Headers, own: Mapping[str, Sequence[bytes | None]]) -> None:
        before = len(self.offsets)
        if not before:
            self.common, self.own = common, {name: list(column) for name, column in own.items()}
            return
        if common != self.common:
            # What was common so far, and is not any more, becomes a column.
            still = dict(self.common.items() & common.items())
            for name, value in self.common.items():
                if name not in still:
                    self.own[name] = [value] * before
            own = {**own, **{name: [value] * count for name, value in common.items() if name not in still}}
            self.common = still
        for name in own.keys() | self.own.keys():
            self.own.setdefault(name, [None] * before).extend(own.get(name) or [None] * count)


def _headers(messages: Sequence[Message]) -> tuple[Headers, Mapping[str, Sequence[bytes | None]]]:
    """Those that all have with the same value, and the others in columns."""
    rows = [cast("_Row | None", message.headers()) or () for message in messages]
    first = rows[0]
    names = [name for name, _ in first]
    try:
        places = list(zip(*rows, strict=True))
    except ValueError:
        return _NO_HEADERS, _columns(rows)
    common: dict[str, bytes] = {}
    own: dict[str, Sequence[bytes | None]] = {}
    for pair, place in zip(first, places, strict=True):
        name, value = pair
        if value is not None and place.count(pair) == len(rows):
            common[name] = value
        else:
            own[name] = [each for other, each in place if other == name]
    if len(set(names)) < len(names) or any(len(column) < len(rows) or None in column for column in own.values()):
        return _NO_HEADERS, _columns(rows)
    return common, own


def _columns(rows: Sequence["_Row"]) -> Mapping[str, Sequence[bytes | None]]:
    """Headers that do not stand in the same order in all records, or repeat themselves, or have no value.

    A header without a value comes from outside; here it counts as one that is not there.
    """
    known = [dict(row) for row in rows]
    names = dict.fromkeys(name for row in known for name, value in row.items() if value is not None)
    return {name: [row.get(name) for row in known] for name in names}


def size_bytes(record: Record) -> int:
    """What counts against the limit of a topic."""
    return len(record.key or b"") + len(record.value or b"")


def portions(records: Sequence[Record], bytes_max: int) -> Iterator[Sequence[Record]]:
    """The records in order, in portions that together are not larger than ``bytes_max``."""
    portion: list[Record] = []
    room = bytes_max
    for record in records:
        size = size_bytes(record)
        if portion and size > room:
            yield portion
            portion, room = [], bytes_max
        portion.append(record)
        room -= size
    if portion:
        yield portion


def check_sizes(at: TopicPartition, records: Sequence[Record], bytes_max: int) -> None:
    """Refuse what the topic does not take, before any of it is sent."""
    try:
        # Most are far below it, which takes half the time to see.
        if max(map(len, map(_value, records))) + max(map(len, map(_key, records))) <= bytes_max:
            return
    except (TypeError, ValueError):
        pass  # one of them has no key or no value, or there is none
    for record in records:
        if size_bytes(record) > bytes_max:
            raise RecordTooLarge(
                f"A record of {size_bytes(record)} bytes is larger than its topic takes",
                where=f"{at.topic}[{at.partition}]",
                why=f"the topic takes records of up to {bytes_max} bytes, keys included",
                remedy="raise record_bytes_max of the topic, or store the content elsewhere and publish where it is",
            )
