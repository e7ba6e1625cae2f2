"""The role of the log: appends from outside, merged by partition into one row of the next group commit."""

import asyncio
import threading
from collections.abc import Mapping, Sequence

from mainstem.broker import Record, TopicPartition
from mainstem.broker.sqlite.admin import Catalogue, bounds
from mainstem.broker.sqlite.layout import decode
from mainstem.broker.sqlite.reader import Readers, SqliteReader
from mainstem.broker.sqlite.transaction import Facts, SqliteTransaction, find_topic, measure
from mainstem.database import OFFSET_BITS, Database, Query, Write

_MERGED_BYTES_MAX = 4_000_000

_FROM_TIMESTAMP = Query[tuple[int, bytes]](
    f"select id, body from log where id >= ?1 << {OFFSET_BITS} and id < (?1 + 1) << {OFFSET_BITS}"
    " and newest >= ?2 order by id limit 1"
)


class _Merged:
    """Appends to one partition that go into the next transaction together."""

    def __init__(self, log: "SqliteLog", at: TopicPartition) -> None:
        self._log = log
        self._at = at
        self._facts = Facts()
        self._waiting: list[tuple[asyncio.Future[int], int]] = []

    @property
    def size_bytes(self) -> int:
        return self._facts.size_bytes

    def add(self, records: Sequence[Record], size_bytes: int, future: "asyncio.Future[int]") -> None:
        self._waiting.append((future, self._facts.add(self._at, records, size_bytes)))

    def prepare(self) -> None:
        self._log.seal(self._at, self)
        self._facts.encode()

    def run(self, write: Write) -> int:
        return self._facts.append(write, self._log.catalogue.read(write.connection))[self._at]

    def settle(self, written: "asyncio.Future[int]") -> None:
        """Tell everybody whose records are in it."""
        # A database that has failed refuses it unprepared, and nobody may wait in it for ever.
        self._log.seal(self._at, self)
        error = None if written.cancelled() else written.exception()
        for future, before in self._waiting:
            if future.done():
                continue
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(written.result() + before)


class SqliteLog:
    """Partitions of records in the file."""

    def __init__(self, database: Database, catalogue: Catalogue, readers: Readers) -> None:
        """Bound to an open database."""
        self._database = database
        self.catalogue = catalogue
        self._readers = readers
        self._open: dict[TopicPartition, _Merged] = {}
        self._lock = threading.Lock()

    async def append(self, at: TopicPartition, records: Sequence[Record]) -> int:
        """Append outside any task; returns the first offset once the records survive a power loss."""
        topic = find_topic(self._database, self.catalogue, at)
        if not records:
            return (await self.bounds(at))[1]
        size = measure(records, topic, at)
        self._database.require_space()
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        with self._lock:
            merged = self._open.get(at)
            is_first = merged is None or merged.size_bytes > _MERGED_BYTES_MAX
            if merged is None or is_first:
                merged = self._open[at] = _Merged(self, at)
            merged.add(records, size, future)
        if is_first:
            self._database.writer.submit(merged).add_done_callback(merged.settle)
        return await future

    def seal(self, at: TopicPartition, merged: _Merged) -> None:
        """Take no more appends into ``merged``."""
        with self._lock:
            if self._open.get(at) is merged:
                del self._open[at]

    def _seal_all(self) -> None:
        """What is appended from now on comes behind the transaction that is being submitted."""
        with self._lock:
            self._open.clear()

    def transaction(self) -> SqliteTransaction:
        """Several appends at once, outside any task."""
        return SqliteTransaction(self._database, self.catalogue, submitting=self._seal_all)

    def reader(self, positions: Mapping[TopicPartition, int]) -> SqliteReader:
        """A reader that starts at these offsets."""
        return SqliteReader(self._database, self.catalogue, self._readers, positions)

    async def bounds(self, at: TopicPartition) -> tuple[int, int]:
        """The first offset still there, and the offset the next record will get."""
        with self._database.reading() as connection:
            number = self.catalogue.read(connection).find(at)
            return bounds(connection, (number,))[number]

    async def offset_at(self, at: TopicPartition, timestamp_ms: int) -> int:
        """The first offset whose record has this timestamp or a later one; the end when there is none."""
        with self._database.reading() as connection:
            number = self.catalogue.read(connection).find(at)
            row = _FROM_TIMESTAMP.one(connection, number, timestamp_ms)
            end = bounds(connection, (number,))[number][1]
        if row is None:
            return end
        segment = decode(row[0] & ((1 << OFFSET_BITS) - 1), row[1], 0)
        stamped = zip(segment.offsets, segment.timestamps, strict=True)
        return next((offset for offset, stamp in stamped if stamp >= timestamp_ms), end)
