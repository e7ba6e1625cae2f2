"""Files that are moved to the same target, one after the other: what they share is merged, and nothing else is."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from mainstem.broker import GroupSpec, Record, TopicPartition, TopicSpec, read_all
from mainstem.broker.sqlite import SqliteBroker
from mainstem.clock import ManualClock
from mainstem.errors import TopicExists
from mainstem.identifiers import Identifiers
from mainstem.migration import Journey
from mainstem.migration.mover import DIARY

CATALOGUE = "catalogue"
ENTRY = TopicPartition(CATALOGUE, 0)


class Files:
    """Some files, and where they go."""

    def __init__(self, clock: ManualClock, brokers: list[SqliteBroker]) -> None:
        self.clock = clock
        self.target, *self.sources = brokers

    def journey(self, number: int) -> Journey:
        """That of one file."""
        source, target, identifiers = self.sources[number], self.target, Identifiers(self.clock)
        return Journey(source, target, "there", self.clock, identifiers, lambda _: None, frozenset({CATALOGUE}))

    async def fill(self, number: int, name: str, **entries: str) -> None:
        """A file with a topic, a group that has read it, and entries in the catalogue."""
        source = self.sources[number]
        await source.admin.create(TopicSpec(f"{name}-orders", 1))
        await source.admin.create(TopicSpec(CATALOGUE, 1, compact=True))
        await source.log.append(TopicPartition(f"{name}-orders", 0), [Record(b"k", name.encode(), 5)] * 3)
        for key, value in entries.items():
            await source.log.append(ENTRY, [Record(key.encode(), value.encode(), number)])
        spec = GroupSpec(name, name, 1, {f"{name}-orders": 1})
        membership = await source.group.join(spec, pinned=frozenset({0}))
        transaction = (await membership.take_over(0)).transaction()
        transaction.positions({TopicPartition(spec.inbox, 0): 0, TopicPartition(f"{name}-orders", 0): 2})
        await transaction.commit()
        await membership.leave()

    async def catalogue(self) -> dict[str, str]:
        """What stands in the catalogue of the target."""
        found: dict[str, str] = {}
        async for batch in read_all(self.target, CATALOGUE):
            for key, value in zip(batch.keys, batch.values, strict=True):
                name = (key or b"").decode()
                found.pop(name, None)
                if value is not None:
                    found[name] = value.decode()
        return found


@asynccontextmanager
async def files(clock: ManualClock) -> AsyncIterator[Files]:
    """Two files and a target, in memory."""
    async with AsyncExitStack() as stack:
        brokers = [SqliteBroker(None, clock=clock) for _ in range(3)]
        for broker in brokers:
            await broker.open()
            stack.push_async_callback(broker.close)
        yield Files(clock, brokers)


async def test_two_files_become_one(clock: ManualClock) -> None:
    """Each brings its topics, groups and entries; what both say is there once, and each can be taken back alone."""
    async with files(clock) as some:
        await some.fill(0, "shop", shop="sells", both="first")
        await some.fill(1, "bank", bank="lends", both="second")
        for number in range(2):
            move = await some.journey(number).go()
            assert move.finished, move
            assert ("shared", CATALOGUE, 2) in [(each.kind, each.name, each.count) for each in move.likenesses]
        assert set(await some.target.admin.groups()) == {"shop", "bank"}
        assert await some.catalogue() == {"shop": "sells", "both": "first", "bank": "lends"}
        for name in ("shop", "bank"):
            positions = (await some.target.admin.groups())[name].positions
            assert positions[TopicPartition(f"{name}-orders", 0)] == 2
        assert await some.journey(1).undo()
        assert set(await some.target.admin.groups()) == {"shop"}
        assert await some.catalogue() == {"shop": "sells", "both": "first"}
        assert await some.journey(0).undo()
        assert set(await some.target.admin.topics()) == {DIARY.topic}
        assert (await some.journey(1).go()).finished
        assert await some.catalogue() == {"bank": "lends", "both": "second"}


@pytest.mark.parametrize(
    ("second", "partitions", "why"), [("shop", 1, "group shop, topic shop-orders"), ("bank", 2, "partitions")]
)
async def test_files_that_contradict_each_other_stay_two(
    clock: ManualClock, second: str, partitions: int, why: str
) -> None:
    """A group, a topic or a catalogue that cannot be one is named, before anything has happened to the file."""
    async with files(clock) as some:
        await some.fill(0, "shop", shop="sells")
        assert (await some.journey(0).go()).finished
        await some.sources[1].admin.create(TopicSpec(CATALOGUE, partitions, compact=True))
        await some.fill(1, second) if partitions == 1 else None
        with pytest.raises(TopicExists) as refused:
            await some.journey(1).go()
        assert why in refused.value.what
        assert some.sources[1].moved() is None
        await some.sources[1].log.append(ENTRY, [Record(b"k", b"v", 1)])
