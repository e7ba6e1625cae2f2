"""The log as a worker sees it: silent while the broker is away, and some partitions later than others."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from mainstem.broker import Batch, Log, Reader, Record, TopicPartition, Transaction
from mainstem.testing.simulation.witnesses.groups import Seen


class WitnessedLog:
    """The log role of a broker."""

    def __init__(self, inner: Log, seen: Seen) -> None:
        self._inner = inner
        self._seen = seen

    async def append(self, at: TopicPartition, records: Sequence[Record]) -> int:
        """Append outside any task."""
        self._seen.machine.require_broker()
        return await self._inner.append(at, records)

    def transaction(self) -> Transaction:
        """Several appends at once."""
        return self._inner.transaction()

    def reader(self, positions: Mapping[TopicPartition, int]) -> Reader:
        """A reader that starts at these offsets."""
        return _Reader(self._inner.reader(positions), self._seen)

    async def bounds(self, at: TopicPartition) -> tuple[int, int]:
        """Where a partition begins and ends."""
        return await self._inner.bounds(at)

    async def offset_at(self, at: TopicPartition, timestamp_ms: int) -> int:
        """The first offset of this time, or a later one."""
        return await self._inner.offset_at(at, timestamp_ms)


class _Reader:
    def __init__(self, inner: Reader, seen: Seen) -> None:
        self._inner = inner
        self._seen = seen
        self._held: set[TopicPartition] = set()
        self._paused: set[TopicPartition] = set()
        self._closed = False

    def take(self) -> Batch | None:
        while not self._seen.machine.away:
            batch = self._inner.take()
            if batch is None or not len(batch):
                return batch
            late_seconds = self._seen.havoc.late_seconds()
            if not late_seconds:
                return batch
            self._hold(batch, late_seconds)
        return None

    def _hold(self, batch: Batch, seconds: float) -> None:
        """Put it back, and let its partition wait."""
        at = TopicPartition(batch.topic, batch.partition)
        about = f"{at.topic}[{at.partition}] is read {seconds:g} s late"
        self._seen.trace.note("goes wrong", about, (at.topic, at.partition, batch.offsets[0]))
        self._inner.seek(at, batch.offsets[0])
        self._inner.pause([at])
        self._held.add(at)
        asyncio.get_running_loop().call_later(seconds, self._let_go, at)

    def _let_go(self, at: TopicPartition) -> None:
        self._held.discard(at)
        if not self._closed and at not in self._paused:
            self._inner.resume([at])

    async def wait(self) -> None:
        await self._seen.machine.broker_back()
        await self._inner.wait()

    def seek(self, at: TopicPartition, offset: int) -> None:
        self._inner.seek(at, offset)

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        chosen = list(partitions)
        self._paused.update(chosen)
        self._inner.pause(chosen)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        chosen = list(partitions)
        self._paused.difference_update(chosen)
        self._inner.resume([at for at in chosen if at not in self._held])

    def lag(self) -> Mapping[TopicPartition, int]:
        return self._inner.lag()

    def close(self) -> None:
        self._closed = True
        self._inner.close()
