"""A log in which no two offsets follow one another, as markers and compaction leave it on Kafka.

Put around a right broker it is a right broker again, in which every piece of code that adds one to an offset, or counts
offsets to count records, fails. So it is good for examining a backend, and better for examining what uses one.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from mainstem.broker import (
    Admin,
    Batch,
    GroupDescription,
    Log,
    Ownership,
    Reader,
    Record,
    TopicDescription,
    TopicPartition,
    Transaction,
)
from mainstem.testing.conformance.broker.harness import Harness
from mainstem.testing.conformance.broker.layer import (
    Layer,
    LayeredAdmin,
    LayeredHarness,
    LayeredLog,
    LayeredOwnership,
    LayeredReader,
    LayeredTransaction,
    Positions,
)

STRIDE = 3


def spread(positions: Positions) -> dict[TopicPartition, int]:
    """Offsets of the log inside, as they are outside."""
    return {at: offset * STRIDE for at, offset in positions.items()}


def narrowed(offset: int) -> int:
    """An offset of outside, as it is inside; one in a gap stands for the next record."""
    return -(-offset // STRIDE)


class SpreadReader(LayeredReader):
    """Gives records at every third offset."""

    def take(self) -> Batch | None:
        """The next batch, at its offsets of outside."""
        batch = self.inner.take()
        if batch is None:
            return None
        return Batch(
            TopicPartition(batch.topic, batch.partition),
            [offset * STRIDE for offset in batch.offsets],
            (batch.keys, batch.values, batch.timestamps),
            common=batch.common,
            own=batch.own,
            next_offset=batch.next_offset * STRIDE,
        )

    def seek(self, at: TopicPartition, offset: int) -> None:
        """Read on from the first record at or behind ``offset``."""
        self.inner.seek(at, narrowed(offset))

    def lag(self) -> Positions:
        """In offsets, so three for each record."""
        return spread(self.inner.lag())


class SpreadTransaction(LayeredTransaction):
    """Names positions, and returns offsets, of outside."""

    def positions(self, positions: Positions) -> None:
        """Positions of outside."""
        self.inner.positions({at: narrowed(offset) for at, offset in positions.items()})

    async def commit(self) -> Positions:
        """First offsets, of outside."""
        return spread(await self.inner.commit())


class SpreadLog(LayeredLog):
    """Appends at every third offset."""

    async def append(self, at: TopicPartition, records: Sequence[Record]) -> int:
        """The first offset, of outside."""
        return await self.inner.append(at, records) * STRIDE

    def reader(self, positions: Positions) -> Reader:
        """A reader from offsets of outside."""
        return SpreadReader(self.inner.reader({at: narrowed(offset) for at, offset in positions.items()}))

    async def bounds(self, at: TopicPartition) -> tuple[int, int]:
        """Start and end, of outside."""
        start, end = await self.inner.bounds(at)
        return start * STRIDE, end * STRIDE

    async def offset_at(self, at: TopicPartition, timestamp_ms: int) -> int:
        """The offset, of outside."""
        return await self.inner.offset_at(at, timestamp_ms) * STRIDE


class SpreadAdmin(LayeredAdmin):
    """Describes offsets of outside."""

    async def topics(self, names: Iterable[str] | None = None) -> Mapping[str, TopicDescription]:
        """Bounds, of outside."""
        found = await self.inner.topics(names)
        return {
            name: replace(
                topic,
                starts=tuple(start * STRIDE for start in topic.starts),
                ends=tuple(end * STRIDE for end in topic.ends),
            )
            for name, topic in found.items()
        }

    async def groups(self, names: Iterable[str] | None = None) -> Mapping[str, GroupDescription]:
        """Positions, of outside."""
        found = await self.inner.groups(names)
        return {name: replace(group, positions=spread(group.positions)) for name, group in found.items()}

    async def reset(self, group: str, positions: Positions) -> None:
        """To positions of outside."""
        await self.inner.reset(group, {at: narrowed(offset) for at, offset in positions.items()})


class SpreadOwnership(LayeredOwnership):
    """Begins with positions of outside."""

    def __init__(self, inner: Ownership, layer: Layer) -> None:
        super().__init__(inner, layer)
        self.positions = spread(inner.positions)


class Gaps(Layer):
    """Leaves two offsets free behind every record."""

    def log(self, inner: Log) -> Log:
        """A log with gaps."""
        return SpreadLog(inner, self)

    def transaction(self, inner: Transaction) -> Transaction:
        """A transaction on a log with gaps."""
        return SpreadTransaction(inner)

    def ownership(self, inner: Ownership) -> Ownership:
        """An ownership on a log with gaps."""
        return SpreadOwnership(inner, self)

    def admin(self, inner: Admin) -> Admin:
        """An admin role on a log with gaps."""
        return SpreadAdmin(inner)


class WithGaps(LayeredHarness):
    """The same backend on a log with gaps."""

    def __init__(self, inner: Harness) -> None:
        """Examine the brokers of ``inner`` with two free offsets behind every record."""
        super().__init__(inner, Gaps())
        self.capabilities = replace(inner.capabilities, gaps=True)

    async def make_gap(self, at: TopicPartition) -> None:
        """There is one behind every record already."""
