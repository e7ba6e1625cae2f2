"""Copying topics, and proving that the copy is the same."""

from array import array
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Final

from msgspec import Struct

from mainstem.broker import Log, Record, TopicDescription, TopicPartition, TopicSpec, read
from mainstem.migration.carrying import Digest, arrived, carried
from mainstem.migration.endpoints import Source, Target
from mainstem.migration.mover import BOOKKEEPING, Copied, Mover
from mainstem.migration.places import PartitionPlaces, Translation

RECORDS_AT_ONCE: Final = 5_000
BYTES_AT_ONCE: Final = 8_000_000

Heard = Callable[[int], None]
"""Hears of so many more records that are done."""


class Likeness(Struct, frozen=True):
    """A topic, or the memory of a group, on both sides: how much there is of it, and its digest."""

    kind: str
    name: str
    shares: int
    count: int
    count_there: int
    digest: str
    digest_there: str
    positions_agree: bool = True

    @property
    def equal(self) -> bool:
        """Whether all of it is there, the same and in the same order."""
        return self.count == self.count_there and self.digest == self.digest_there and self.positions_agree


async def topics_of(source: Source) -> dict[str, TopicDescription]:
    """What is to be moved."""
    found = await source.admin.topics()
    return {name: found[name] for name in sorted(found) if name not in BOOKKEEPING}


def unlimited(spec: TopicSpec) -> TopicSpec:
    """The topic as it is until the copy is proven: nothing in it goes by itself."""
    return TopicSpec(spec.name, spec.partitions, None, compact=False, record_bytes_max=spec.record_bytes_max)


async def create(target: Target, topics: Mapping[str, TopicDescription]) -> None:
    """Create the topics, or go on with those that an interrupted move has created."""
    there = await target.admin.topics(topics)
    for name, description in topics.items():
        spec = unlimited(description.spec)
        if name not in there:
            await target.admin.create(spec)
        elif there[name].spec != spec:
            await target.admin.alter(spec)


async def copy(
    source: Source,
    mover: Mover,
    topics: Mapping[str, TopicDescription],
    following: Mapping[TopicPartition, int],
    heard: Heard,
) -> None:
    """Copy all records that are not copied yet, many in one transaction, in their order."""
    bounds = {at: each for description in topics.values() for at, each in description.bounds.items()}
    starts = {at: max(start, following.get(at, start)) for at, (start, _) in bounds.items()}
    ends = {at: end for at, (_, end) in bounds.items()}
    facts: dict[TopicPartition, list[Record]] = {}
    passed: dict[TopicPartition, int] = {}
    count = size_bytes = 0
    async with aclosing(read(source.log, starts, ends)) as batches:
        async for batch in batches:
            at = TopicPartition(batch.topic, batch.partition)
            records = carried(batch)
            facts.setdefault(at, []).extend(records)
            passed[at] = batch.next_offset
            count += len(records)
            size_bytes += sum(len(record.key or b"") + len(record.value or b"") for record in records)
            if count >= RECORDS_AT_ONCE or size_bytes >= BYTES_AT_ONCE:
                await mover.write(Copied(mover.move, list(passed.items())), facts)
                heard(count)
                facts, passed, count, size_bytes = {}, {}, 0, 0
    if facts:
        await mover.write(Copied(mover.move, list(passed.items())), facts)
        heard(count)


async def compare(
    source: Source, target: Target, topics: Mapping[str, TopicDescription], heard: Heard
) -> tuple[list[Likeness], Translation | None]:
    """Read both sides from the beginning; where all is the same, also what has become of each offset."""
    there = await target.admin.topics(topics)
    found: list[Likeness] = []
    places: dict[TopicPartition, PartitionPlaces] = {}
    for name, description in topics.items():
        here, copied = Digest(), Digest()
        for at, bounds in description.bounds.items():
            mine = await _look(source.log, at, bounds, expected=True)
            heard(len(mine.offsets))
            its = await _look(target.log, at, there[name].bounds[at], expected=False)
            here.add_digest(mine.digest)
            copied.add_digest(its.digest)
            if mine.digest.text == its.digest.text:
                places[at] = PartitionPlaces(mine.offsets, its.offsets, there[name].bounds[at][1])
        partitions = description.spec.partitions
        found.append(Likeness("topic", name, partitions, here.count, copied.count, here.text, copied.text))
    topic_ids = {name: each.topic_id for name, each in there.items()}
    return found, Translation(places, topic_ids) if all(each.equal for each in found) else None


class _Look:
    """What was read of a partition."""

    __slots__ = ("digest", "offsets")

    def __init__(self) -> None:
        self.digest = Digest()
        self.offsets = array("q")


async def _look(log: Log, at: TopicPartition, bounds: tuple[int, int], *, expected: bool) -> _Look:
    """Read a partition; ``expected``: as it should be elsewhere."""
    look = _Look()
    start, end = bounds
    async with aclosing(read(log, {at: start}, {at: end})) as batches:
        async for batch in batches:
            look.offsets.extend(batch.offsets)
            for record in carried(batch) if expected else arrived(batch):
                look.digest.add_record(record)
    return look
