"""Topics that the services of several files have in common, such as the catalogue: what each says stands under keys.

A move adds what is not there yet, and leaves what is. So two files go to the same cluster, one after the other.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from mainstem.broker import Broker, Record, TopicPartition, read_all
from mainstem.errors import TopicExists
from mainstem.migration.carrying import Digest, arrived
from mainstem.migration.endpoints import Source, Target
from mainstem.migration.topics import Likeness

Entries = dict[TopicPartition, dict[bytes, Record]]
"""The last record of each key, by partition."""


async def entries(broker: Broker, topic: str) -> Entries:
    """What stands in a topic now."""
    found: Entries = {}
    async for batch in read_all(broker, topic):
        last = found.setdefault(TopicPartition(batch.topic, batch.partition), {})
        for record in arrived(batch):
            last.pop(record.key or b"", None)
            if record.value is not None:
                # A cluster takes a time of 0 for now.
                last[record.key or b""] = replace(record, timestamp_ms=record.timestamp_ms or 1)
    return found


async def missing(source: Source, target: Target, names: Iterable[str]) -> dict[str, list[bytes]]:
    """The keys that a move has to add, by topic. Raises TopicExists where the topics are not alike."""
    added: dict[str, list[bytes]] = {}
    here, there = await source.admin.topics(names), await target.admin.topics(names)
    for name, description in here.items():
        if name in there and there[name].spec.partitions != description.spec.partitions:
            raise TopicExists(
                f"The target has the topic {name!r} with {there[name].spec.partitions} partitions",
                where=target.name,
                why=f"what stands in {description.spec.partitions} of them here cannot be added to it",
                remedy="name another target",
            )
        mine, its = await entries(source, name), await entries(target, name)
        added[name] = [key for at, last in mine.items() for key in last if key not in its.get(at, {})]
    return added


async def create(source: Source, target: Target, names: Iterable[str]) -> None:
    """Create those that are not there."""
    there = await target.admin.topics(names)
    for name, description in (await source.admin.topics(names)).items():
        if name not in there:
            await target.admin.create(description.spec)


async def to_add(
    source: Source, target: Target, added: Mapping[str, Sequence[bytes]]
) -> dict[TopicPartition, list[Record]]:
    """What is still to be appended."""
    facts: dict[TopicPartition, list[Record]] = {}
    for name, keys in added.items():
        wanted, its = set(keys), await entries(target, name)
        for at, last in (await entries(source, name)).items():
            some = [record for key, record in last.items() if key in wanted and key not in its.get(at, {})]
            if some:
                facts[at] = some
    return facts


async def compare(source: Source, target: Target, added: Mapping[str, Sequence[bytes]]) -> list[Likeness]:
    """Whether all that the source says is there; what was there before need only be there."""
    found = []
    for name, keys in added.items():
        wanted, its = set(keys), await entries(target, name)
        mine = await entries(source, name)
        here, there = Digest(), Digest()
        for at, last in sorted(mine.items()):
            for key, record in sorted(last.items()):
                here.add_record(record)
                other = its.get(at, {}).get(key)
                if other is not None:
                    there.add_record(other if key in wanted else record)
        found.append(Likeness("shared", name, len(mine), here.count, there.count, here.text, there.text))
    return found


async def take_back(
    target: Target, added: Mapping[str, Sequence[bytes]]
) -> tuple[dict[TopicPartition, list[Record]], list[str]]:
    """The records that strike out what a move has added, and the topics in which nothing else stands."""
    facts: dict[TopicPartition, list[Record]] = {}
    empty: list[str] = []
    for name, keys in added.items():
        its = await entries(target, name)
        if not any(key not in set(keys) for last in its.values() for key in last):
            empty.append(name)
            continue
        for at, last in its.items():
            if gone := [Record(key, None, 1) for key in last if key in set(keys)]:
                facts[at] = gone
    return facts, empty
