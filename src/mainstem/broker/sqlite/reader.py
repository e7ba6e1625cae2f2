"""Reading: where partitions end is asked once for each wake-up, and small rows become large batches."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Final

from mainstem.broker import Batch, TopicPartition
from mainstem.broker.sqlite.admin import Catalogue, bounds, unknown_topic
from mainstem.broker.sqlite.layout import ROW_RECORDS_MAX, Segment, SegmentColumns, Values, common_of, decode
from mainstem.database import OFFSET_BITS, Connection, Database, Query
from mainstem.errors import OffsetOutOfRange

BATCH_BYTES_MAX: Final = 1_000_000
_OFFSET_MASK: Final = (1 << OFFSET_BITS) - 1

# The row that holds an offset is the last one that begins at or before it.
_ROWS = Query[tuple[int, int, bytes]](
    "select id, last, body from log where id >= coalesce((select id from log where id >= ?1 and id <= ?2"
    " order by id desc limit 1), ?2) and id < ?3 order by id"
)


class _Partition:
    __slots__ = ("at", "end", "number", "paused", "position")

    def __init__(self, at: TopicPartition, number: int, position: int) -> None:
        self.at = at
        self.number = number
        self.position = position
        self.end = position
        self.paused = False


class Readers:
    """The open readers of a broker, by the partitions that they wait for."""

    def __init__(self, changed: Callable[[], None]) -> None:
        """None is open. ``changed`` is called when somebody begins or ceases to wait for a partition."""
        self._changed = changed
        # Dictionaries in the place of sets: in a simulation the order in which readers wake must be the same each time.
        self._waiting: dict[int, dict[SqliteReader, None]] = {}

    def add(self, reader: "SqliteReader", numbers: Iterable[int]) -> None:
        """Tell ``reader`` when one of the partitions has grown."""
        for number in numbers:
            self._waiting.setdefault(number, {})[reader] = None
        self._changed()

    def remove(self, reader: "SqliteReader", numbers: Iterable[int]) -> None:
        """Tell it no more."""
        for number in numbers:
            waiting = self._waiting.get(number, {})
            waiting.pop(reader, None)
            if not waiting:
                self._waiting.pop(number, None)
        self._changed()

    def notify(self, numbers: Iterable[int] | None) -> None:
        """These partitions have grown; None when it is not known which."""
        for number in list(self._waiting) if numbers is None else numbers:
            for reader in self._waiting.get(number, ()):
                reader.notify()

    def numbers(self) -> set[int]:
        """The partitions that somebody here waits for."""
        return set(self._waiting)


class SqliteReader:
    """Reads on the connection of the thread that calls, so a batch costs no hop between threads."""

    def __init__(
        self, database: Database, catalogue: Catalogue, readers: Readers, positions: Mapping[TopicPartition, int]
    ) -> None:
        """Begin at ``positions``. Raises :class:`~mainstem.errors.UnknownTopic`."""
        self._database = database
        self._catalogue = catalogue
        self._readers = readers
        with database.reading() as connection:
            topics = catalogue.read(connection)
        found = {at: topics.find(at) for at in positions}
        self._partitions = {at: _Partition(at, found[at], offset) for at, offset in positions.items()}
        self._turns = deque(self._partitions.values())
        self._stale = True
        self._closed = False
        self._waiter: asyncio.Future[None] | None = None
        readers.add(self, found.values())

    def take(self) -> Batch | None:
        """The next batch that is there, or None."""
        if self._stale:
            self._refresh()
        turns = self._turns
        for _ in range(len(turns)):
            partition = turns[0]
            turns.rotate(-1)
            if partition.position < partition.end and not partition.paused:
                return self._read(partition)
        return None

    async def wait(self) -> None:
        """Return when there may be something to take."""
        if (
            self._stale
            or self._closed
            or any(partition.position < partition.end and not partition.paused for partition in self._turns)
        ):
            return
        if self._waiter is None or self._waiter.done():
            self._waiter = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._waiter)

    def notify(self) -> None:
        """Some partition has grown."""
        self._stale = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def seek(self, at: TopicPartition, offset: int) -> None:
        """Read on from ``offset``."""
        self._partitions[at].position = offset
        self.notify()

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Stop taking from these partitions."""
        for at in partitions:
            self._partitions[at].paused = True

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Take from these partitions again."""
        for at in partitions:
            self._partitions[at].paused = False
        self.notify()

    def lag(self) -> Mapping[TopicPartition, int]:
        """How many offsets lie before the end."""
        return {at: max(0, partition.end - partition.position) for at, partition in self._partitions.items()}

    def close(self) -> None:
        """Stop reading."""
        self._closed = True
        self._readers.remove(self, (partition.number for partition in self._turns))
        self.notify()

    def _refresh(self) -> None:
        """Ask where the partitions begin and end now."""
        with self._database.reading() as connection:
            known = bounds(connection, (partition.number for partition in self._turns))
            topics = self._catalogue.read(connection)
        for partition in self._turns:
            if partition.number not in topics.partitions or partition.number not in known:
                raise unknown_topic(partition.at)
            start, end = known[partition.number]
            if not start <= partition.position <= end:
                raise _out_of_range(partition.at, partition.position, start, end)
            partition.end = end
        self._stale = False

    def _read(self, partition: _Partition) -> Batch | None:
        with self._database.reading() as connection:
            segments, last = _segments(connection, partition)
            if not segments or segments[0].offsets[0] > partition.position:
                # A gap is what compaction leaves; but it may also be that retention has passed this reader.
                self._refresh()
        if not segments:
            partition.position = partition.end
            return None
        partition.position = last + 1
        return _batch(partition.at, segments, last + 1)


def _segments(connection: Connection, partition: _Partition) -> tuple[list[Segment], int]:
    """Rows from the position on, until they make a batch."""
    low = partition.number << OFFSET_BITS
    segments: list[Segment] = []
    records = size = 0
    last = partition.position
    for row, row_last, body in _ROWS.each(
        connection, low, low | partition.position, (partition.number + 1) << OFFSET_BITS
    ):
        if row_last < partition.position:
            continue
        segment = decode(row & _OFFSET_MASK, body, partition.position)
        if segment.keys:
            segments.append(segment)
            records += len(segment.keys)
            size += len(body)
        last = row_last
        if records * 2 > ROW_RECORDS_MAX or size * 2 > BATCH_BYTES_MAX:
            break
    return segments, last


def _batch(at: TopicPartition, segments: list[Segment], next_offset: int) -> Batch:
    common = common_of(segments)
    own = SegmentColumns(segments, common)
    if len(segments) == 1:
        only = segments[0]
        return Batch(
            at, only.offsets, (only.keys, only.values, only.timestamps), common=common, own=own, next_offset=next_offset
        )
    keys: Values = list(chain.from_iterable(segment.keys for segment in segments))
    values: Values = list(chain.from_iterable(segment.values for segment in segments))
    timestamps = list(chain.from_iterable(segment.timestamps for segment in segments))
    return Batch(at, _offsets(segments), (keys, values, timestamps), common=common, own=own, next_offset=next_offset)


def _offsets(segments: list[Segment]) -> range | list[int]:
    first, last = segments[0].offsets[0], segments[-1].offsets[-1]
    if last - first + 1 == sum(len(segment.offsets) for segment in segments):
        return range(first, last + 1)
    return list(chain.from_iterable(segment.offsets for segment in segments))


def _out_of_range(at: TopicPartition, offset: int, start: int, end: int) -> OffsetOutOfRange:
    passed = offset < start
    return OffsetOutOfRange(
        f"Offset {offset} is not in the partition, which holds {start} to {end}",
        where=f"{at.topic}/{at.partition}",
        why="retention has passed it" if passed else "it lies beyond the end: the file may be an older copy",
        remedy="mainstem groups reset moves positions and completed sets together",
    )
