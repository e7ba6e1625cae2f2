"""Maintenance: retention, compaction and the rows of deleted topics, in slices so small that no writer notices."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Final, NamedTuple, TypeAlias

from mainstem.broker import Record, TopicPartition, TopicSpec, inbox_of
from mainstem.broker.sqlite.admin import Catalogue, bounds
from mainstem.broker.sqlite.layout import ROW_BYTES_MAX, ROW_RECORDS_MAX, Segment, SegmentColumns, decode, encode
from mainstem.clock import Clock
from mainstem.database import OFFSET_BITS, Database, Query, Step, Write
from mainstem.telemetry import log

Row: TypeAlias = tuple[int, int, int, int]
"""A row of the log: its id, its last offset, its newest timestamp, and its size in bytes."""

_SLICE_ROWS: Final = 32
_INBOX_KEPT_MS: Final = 86_400_000
"""So long the commands of a group stay in its inbox that it has carried out."""
_SLICE_ENTRIES: Final = 2_000
_TURN_SECONDS: Final = 0.05
_OFFSET_MASK: Final = (1 << OFFSET_BITS) - 1

_MAINTAINED = Query[tuple[str]]("select value from stamp where name = 'maintained'")
_SET_MAINTAINED = Query[tuple[()]]("insert or replace into stamp values('maintained', ?)")
_OLD_ROWS = Query[tuple[int, int, int, int]](
    "select id, last, newest, length(body) from log where id >= ?1 and id < ?2 order by id limit ?3"
)
_SIZE = Query[tuple[int]]("select coalesce(sum(length(body)), 0) from log where id >= ?1 and id < ?2")
_ROWS = Query[tuple[int, int, bytes]]("select id, last, body from log where id >= ?1 and id < ?2 order by id limit ?3")
_DELETE_ROWS = Query[tuple[()]]("delete from log where id >= ? and id <= ?")
_ADD_ROW = Query[tuple[()]]("insert into log(id, last, oldest, newest, body) values(?, ?, ?, ?, ?)")
_MOVE_START = Query[tuple[()]](
    "update partition set start = max(start, ?2), floor = max(floor, ?2) where number = ?1 and topic is not null"
)
_COMPACTED = Query[tuple[int]]("select compacted from partition where number = ?")
_SET_COMPACTED = Query[tuple[()]]("update partition set compacted = ? where number = ?")
_SET_FLOOR = Query[tuple[()]]("update partition set floor = max(floor, ?2) where number = ?1")
_DROPPED = Query[tuple[int]]("select number from partition where topic is null")
_FORGET = Query[tuple[()]]("delete from partition where number = ?")
_DROPPED_STORES = Query[tuple[int]]("select number from store where grp is null")
_ANY_ENTRY = Query[tuple[int]]("select 1 from entry where store = ? limit 1")
_DELETE_ENTRIES = Query[tuple[()]](
    "delete from entry where (store, task, key) in (select store, task, key from entry where store = ? limit ?)"
)
_FORGET_STORE = Query[tuple[()]]("delete from store where number = ?")
_BEHIND = Query[tuple[int, str, int]](
    "select groups.number, groups.name, position.next from position join groups on groups.number = position.grp"
    " join partition on partition.number = position.partition"
    " where position.partition = ? and position.next < ? and position.next >= partition.start order by position.next"
)
_READ_BY = Query[tuple[str, int]](
    "select groups.name, position.next from position join groups on groups.number = position.grp"
    " where position.partition = ?"
)
_ALARM = Query[tuple[int, int]]("select position, raised_ms from alarm where partition = ? and grp = ?")
_RAISE = Query[tuple[()]]("insert or replace into alarm(partition, grp, position, raised_ms) values(?, ?, ?, ?)")
_CLEAR = Query[tuple[()]]("delete from alarm where partition = ? and grp = ?")


class RetentionAlarm(NamedTuple):
    """Retention would pass the position of a live group, and waits for it until ``hold_until_ms``."""

    group: str
    at: TopicPartition
    position: int
    retention_offset: int
    hold_until_ms: int


class Upkeep(NamedTuple):
    """What maintenance goes by.

    ``is_live`` tells whether a group has live members, ``alarm`` hears of each alarm once. Retention waits for a live
    group that does not move for ``hold_ms`` after its alarm; tombstones are kept for ``tombstones_ms``.
    """

    is_live: Callable[[str], bool]
    alarm: Callable[[RetentionAlarm], None]
    hold_ms: int
    tombstones_ms: int


class Maintenance:
    """Takes away what topics do not keep."""

    def __init__(self, database: Database, catalogue: Catalogue, clock: Clock, upkeep: Upkeep) -> None:
        """Bound to an open database."""
        self._database = database
        self._catalogue = catalogue
        self._clock = clock
        self._upkeep = upkeep
        self._here = asyncio.Lock()

    async def run(self) -> None:
        """Go once through all topics, and compact also what has hardly changed; waits for another process's turn."""
        async with self._here:
            while not self._database.turn.try_acquire():  # noqa: ASYNC110  # another process gives no event
                await asyncio.sleep(_TURN_SECONDS)
            try:
                await self._run(everything=True)
            finally:
                self._database.turn.release()

    async def run_if_due(self, seconds: float) -> None:
        """Go through all topics, unless some process is doing so, or has done so less than ``seconds`` ago."""
        if self._here.locked() or not self._database.turn.try_acquire():
            return
        try:
            now = self._clock.now_ms()
            row = self._database.one(_MAINTAINED)
            if row is None or not 0 <= now - int(row[0]) < seconds * 1_000:
                await self._run(everything=False)
                await self._write(lambda write: _SET_MAINTAINED.run(write.connection, str(now)))
        finally:
            self._database.turn.release()

    async def _run(self, *, everything: bool) -> None:
        with self._database.reading() as connection:
            topics = list(self._catalogue.read(connection).by_name.values())
            dropped = [number for (number,) in _DROPPED.all(connection)]
        for number in dropped:
            await self._empty(number)
        for (store,) in self._database.all(_DROPPED_STORES):
            await self._empty_store(store)
        for topic in topics:
            for index, number in enumerate(topic.partitions):
                at = TopicPartition(topic.spec.name, index)
                await self._retain(at, number, topic.spec)
                if topic.spec.compact:
                    await self._compact(number, everything=everything)

    async def _empty(self, number: int) -> None:
        """Delete the rows of a partition whose topic has been deleted, then the partition."""
        low, high = number << OFFSET_BITS, (number + 1) << OFFSET_BITS
        while rows := self._database.all(_OLD_ROWS, low, high, _SLICE_ROWS):
            await self._delete(rows[0][0], rows[-1][0])
        await self._write(lambda write: _FORGET.run(write.connection, number))

    async def _empty_store(self, store: int) -> None:
        """Delete the rows of a store whose group has been deleted, then the store."""
        while self._database.one(_ANY_ENTRY, store):
            await self._write(lambda write: _DELETE_ENTRIES.run(write.connection, store, _SLICE_ENTRIES))
        await self._write(lambda write: _FORGET_STORE.run(write.connection, store))

    async def _retain(self, at: TopicPartition, number: int, spec: TopicSpec) -> None:
        low, high = number << OFFSET_BITS, (number + 1) << OFFSET_BITS
        kept_ms, carried_out = spec.retention_ms, self._carried_out(at, number)
        if kept_ms is None and spec.retention_bytes is None:
            if not carried_out:
                return
            kept_ms = _INBOX_KEPT_MS
        until_ms = None if kept_ms is None else self._clock.now_ms() - kept_ms
        surplus = -1
        if spec.retention_bytes is not None:
            surplus = sum(size for (size,) in self._database.all(_SIZE, low, high)) - spec.retention_bytes
        while True:
            rows = list(_leaving(self._database.all(_OLD_ROWS, low, high, _SLICE_ROWS), until_ms, surplus))
            wanted = rows[-1][1] + 1 if rows else 0
            # What a group has yet to carry out is nowhere else.
            limit = await self._limit(at, number, wanted if carried_out is None else min(wanted, carried_out))
            rows = [row for row in rows if row[1] < limit]
            if not rows:
                return
            first, (last, last_offset, *_) = rows[0][0], rows[-1]

            def remove(write: Write, first: int = first, last: int = last, start: int = last_offset + 1) -> None:
                _DELETE_ROWS.run(write.connection, first, last)
                _MOVE_START.run(write.connection, number, start)
                write.touched.add(number)

            await self._write(remove)
            surplus -= sum(size for *_, size in rows)

    def _carried_out(self, at: TopicPartition, number: int) -> int | None:
        """How far the group has come whose inbox this is; None where it is no inbox, or nobody's."""
        if not at.topic.endswith(inbox_of("")):
            return None
        return next(
            (next_ for group, next_ in self._database.all(_READ_BY, number) if inbox_of(group) == at.topic), None
        )

    async def _limit(self, at: TopicPartition, number: int, wanted: int) -> int:
        """How far retention may go: to ``wanted``, or to the position of the live group that is furthest behind."""
        limit = wanted
        for group, name, position in self._database.all(_BEHIND, number, wanted):
            if not self._upkeep.is_live(name):
                log.warning(
                    "%s/%d: retention passes offset %d of the group %s, which has no live member", *at, position, name
                )
                continue
            if await self._holds(RetentionAlarm(name, at, position, wanted, 0), number, group):
                limit = min(limit, position)
        return limit

    async def _holds(self, alarm: RetentionAlarm, number: int, group: int) -> bool:
        now = self._clock.now_ms()
        known = self._database.one(_ALARM, number, group)
        if known is not None and known[0] == alarm.position:
            if now - known[1] < self._upkeep.hold_ms:
                return True
            log.error("%s/%d: retention passes offset %d of the live group %s", *alarm.at, alarm.position, alarm.group)
            await self._write(lambda write: _CLEAR.run(write.connection, number, group))
            return False
        await self._write(lambda write: _RAISE.run(write.connection, number, group, alarm.position, now))
        alarm = alarm._replace(hold_until_ms=now + self._upkeep.hold_ms)
        log.warning(
            "%s/%d: retention would pass offset %d of the live group %s, and waits for it",
            *alarm.at,
            alarm.position,
            alarm.group,
        )
        self._upkeep.alarm(alarm)
        return True

    async def _compact(self, number: int, *, everything: bool) -> None:
        with self._database.reading() as connection:
            known = bounds(connection, (number,)).get(number)
            compacted = _COMPACTED.one(connection, number)
        if known is None or compacted is None:
            return
        start, end = known
        fresh = end - max(start, compacted[0])
        if not (everything or fresh * 2 > max(ROW_RECORDS_MAX, end - start)):
            return
        latest: dict[bytes, int] = {}
        async for _, _, segment in self._segments(number, end):
            latest.update(
                (key, offset) for key, offset in zip(segment.keys, segment.offsets, strict=True) if key is not None
            )
        rewrite = _Rewrite(number, latest, self._clock.now_ms() - self._upkeep.tombstones_ms)
        async for row, last, segment in self._segments(number, end):
            for change in rewrite.take(row, last, segment):
                await self._write(change)
        for change in rewrite.finish():
            await self._write(change)
        await self._write(lambda write: _SET_COMPACTED.run(write.connection, end, number))

    async def _segments(self, number: int, end: int) -> AsyncIterator[tuple[int, int, Segment]]:
        """Every row of a partition before ``end``; other work runs between them."""
        row, high = number << OFFSET_BITS, number << OFFSET_BITS | end
        while rows := self._database.all(_ROWS, row, high, 1):
            for row_id, last, body in rows:
                yield row_id, last, decode(row_id & _OFFSET_MASK, body, 0)
                row = row_id + 1
            await asyncio.sleep(0)

    async def _delete(self, first: int, last: int) -> None:
        await self._write(lambda write: _DELETE_ROWS.run(write.connection, first, last))

    async def _write(self, change: Callable[[Write], None]) -> None:
        await self._database.writer.submit(Step(change))


def _leaving(rows: Iterable[Row], until_ms: int | None, surplus_bytes: int) -> Iterator[Row]:
    """The rows before the first one that has a record to be kept: what is left of a partition has no hole.

    Kept is what is not older than ``until_ms``, unless there is so much of it that this row is surplus.
    """
    for row in rows:
        _, _, newest, size = row
        surplus_bytes -= size
        if surplus_bytes < 0 and (until_ms is None or newest >= until_ms):
            return
        yield row


class _Rewrite:
    """Rewrites a partition row by row, small rows together."""

    def __init__(self, number: int, latest: dict[bytes, int], tombstones_until_ms: int) -> None:
        """``latest`` are the offsets to be kept, by key; a tombstone older than ``tombstones_until_ms`` goes."""
        self._number = number
        self._latest = latest
        self._until_ms = tombstones_until_ms
        self._begin()

    def _begin(self) -> None:
        self._records: list[Record] = []
        self._offsets: list[int] = []
        self._rows: list[int] = []
        self._last = 0
        self._size = 0
        self._dropped = False

    def take(self, row: int, last: int, segment: Segment) -> list[Callable[[Write], None]]:
        """Go on with the next row; returns what is to be written before it."""
        kept = [index for index in range(len(segment.keys)) if self._keeps(segment, index)]
        size = sum(len(segment.values[index] or b"") for index in kept)
        full = len(self._records) + len(kept) > ROW_RECORDS_MAX or self._size + size > ROW_BYTES_MAX
        changes = self.finish() if full else []
        columns = SegmentColumns([segment], segment.common)
        own = {name: columns.column(name) for name in segment.columns}
        for index in kept:
            headers = {name: value for name, values in own.items() if (value := values[index]) is not None}
            stamp = segment.timestamps[index]
            self._records.append(Record(segment.keys[index], segment.values[index], stamp, segment.common, headers))
            self._offsets.append(segment.offsets[index])
        self._rows.append(row)
        self._last = last
        self._size += size
        self._dropped = self._dropped or len(kept) < len(segment.keys)
        return changes

    def finish(self) -> list[Callable[[Write], None]]:
        """What is to be written for the rows taken so far; nothing when they stay as they are."""
        records, offsets, rows, last = self._records, self._offsets, self._rows, self._last
        number = self._number
        unchanged = not self._dropped and len(rows) < 2
        self._begin()
        if unchanged:
            return []
        added: list[tuple[int, int, int, int, bytes]] = []
        if records:
            base = offsets[0]
            gaps = [offset - base for offset in offsets]
            piece = encode(records, None if gaps[-1] == len(gaps) - 1 else gaps)
            added.append((number << OFFSET_BITS | base, last, piece.oldest, piece.newest, piece.body))

        def replace(write: Write) -> None:
            # The last record may go, and the end of the partition must not go back with it.
            _SET_FLOOR.run(write.connection, number, last + 1)
            _DELETE_ROWS.run(write.connection, rows[0], rows[-1])
            _ADD_ROW.run_many(write.connection, added)

        return [replace]

    def _keeps(self, segment: Segment, index: int) -> bool:
        key = segment.keys[index]
        if key is None:
            return True
        if self._latest[key] != segment.offsets[index]:
            return False
        return segment.values[index] is not None or segment.timestamps[index] >= self._until_ms
