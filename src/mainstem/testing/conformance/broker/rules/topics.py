"""Rules of topics: how they are created, changed, described and deleted."""

from msgspec.structs import replace

from mainstem.broker import GroupSpec, TopicPartition, TopicSpec
from mainstem.errors import BrokerError, TopicExists, UnknownTopic
from mainstem.testing.conformance.broker.cast import committed, loose, new_group, sole_member, take_over
from mainstem.testing.conformance.broker.stage import Stage, refused, rule, values


@rule()
async def a_created_topic_is_described(stage: Stage) -> None:
    """A created topic is described as it was specified, with an id, and each partition empty from where it begins."""
    spec = TopicSpec(
        stage.harness.name("orders"), 3, retention_ms=60_000, record_bytes_max=50_000, retention_bytes=10_000_000
    )
    await stage.broker.admin.create(spec)
    described = (await stage.broker.admin.topics([spec.name]))[spec.name]
    assert described.spec == spec
    assert described.topic_id
    assert len(described.starts) == len(described.ends) == 3
    assert described.starts == described.ends


@rule()
async def creating_a_topic_again_changes_nothing(stage: Stage) -> None:
    """Creating a topic that exists with the same specification leaves it, its id and its records alone."""
    spec = TopicSpec(stage.harness.name("orders"), 2)
    await stage.broker.admin.create(spec)
    before = (await stage.broker.admin.topics([spec.name]))[spec.name]
    at = TopicPartition(spec.name, 1)
    await stage.broker.log.append(at, stage.records("a"))
    await stage.broker.admin.create(spec)
    assert (await stage.broker.admin.topics([spec.name]))[spec.name].topic_id == before.topic_id
    assert values(await stage.content(at, 1)) == ["a"]


@rule()
async def another_specification_is_refused(stage: Stage) -> None:
    """Creating a topic that exists with another specification is refused, and changes nothing."""
    spec = TopicSpec(stage.harness.name("orders"), 2, retention_ms=60_000)
    await stage.broker.admin.create(spec)
    others = (
        replace(spec, partitions=3),
        replace(spec, retention_ms=None),
        replace(spec, compact=True),
        replace(spec, record_bytes_max=2_000),
    )
    for other in others:
        with refused(TopicExists):
            await stage.broker.admin.create(other)
    assert (await stage.broker.admin.topics([spec.name]))[spec.name].spec == spec


@rule()
async def what_is_needed_is_prepared(stage: Stage) -> None:
    """Topics and those of a group are planned without a change, made once, and a first join finds them there."""
    admin, spec = stage.broker.admin, TopicSpec(stage.harness.name("orders"), 2, retention_ms=60_000)
    group = GroupSpec(stage.harness.name("shop"), "shop", 2, {spec.name: 2})
    planned = await admin.prepare([spec], [group], dry=True)
    assert {spec.name, group.inbox} <= {each.name for each in planned if each.action == "create"}
    assert await admin.topics([spec.name, group.inbox]) == {}
    assert await admin.prepare([spec], [group]) == planned
    there = await admin.topics([each.name for each in planned if each.kind == "topic"])
    assert there[spec.name].spec == spec
    assert all(each.action == "keep" for each in await admin.prepare([spec], [group], dry=True))
    await (await stage.broker.group.join(group, pinned=frozenset({0, 1}))).leave()
    assert {name: each.topic_id for name, each in (await admin.topics(there)).items()} == {
        name: each.topic_id for name, each in there.items()
    }


@rule()
async def what_differs_is_prepared_or_refused(stage: Stage) -> None:
    """What differs is told as it is and as it should be; other partitions are refused, and then nothing is done."""
    admin, spec = stage.broker.admin, TopicSpec(stage.harness.name("orders"), 2, retention_ms=60_000)
    await admin.create(spec)
    longer = replace(spec, retention_ms=120_000)
    [wider] = await admin.prepare([replace(longer, partitions=3)], [])
    assert (wider.action, wider.differs["partitions"]) == ("refuse", (2, 3))
    assert (await admin.topics([spec.name]))[spec.name].spec == spec
    [altered] = await admin.prepare([longer], [])
    assert (altered.action, altered.differs) == ("alter", {"retention_ms": (60_000, 120_000)})
    assert (await admin.topics([spec.name]))[spec.name].spec == longer


@rule()
async def a_topic_can_be_altered(stage: Stage) -> None:
    """Retention, compaction and the record limit can be altered; id and records stay."""
    topic = await stage.topic("orders")
    before = (await stage.broker.admin.topics([topic]))[topic]
    await stage.broker.log.append(TopicPartition(topic, 0), stage.records("a"))
    altered = TopicSpec(topic, 1, 3_600_000, compact=True, record_bytes_max=30_000, retention_bytes=20_000_000)
    await stage.broker.admin.alter(altered)
    after = (await stage.broker.admin.topics([topic]))[topic]
    assert after.spec == altered
    assert after.topic_id == before.topic_id
    assert values(await stage.content(TopicPartition(topic, 0), 1)) == ["a"]


@rule()
async def the_number_of_partitions_never_changes(stage: Stage) -> None:
    """Altering the number of partitions is refused: keys would move to other partitions."""
    topic = await stage.topic("orders", 2)
    with refused(BrokerError):
        await stage.broker.admin.alter(TopicSpec(topic, 3))
    assert (await stage.broker.admin.topics([topic]))[topic].spec.partitions == 2


@rule()
async def a_recreated_topic_has_another_id(stage: Stage) -> None:
    """A topic that is created again after its deletion is empty and has another id."""
    topic = await stage.topic("orders")
    before = (await stage.broker.admin.topics([topic]))[topic]
    await stage.broker.log.append(TopicPartition(topic, 0), stage.records("a", "b"))
    await stage.broker.admin.delete(topic)
    await stage.broker.admin.create(TopicSpec(topic, 1))
    after = (await stage.broker.admin.topics([topic]))[topic]
    assert after.topic_id != before.topic_id
    assert after.starts == after.ends
    await stage.broker.log.append(TopicPartition(topic, 0), stage.records("c"))
    assert values(await stage.content(TopicPartition(topic, 0), 1)) == ["c"]


@rule()
async def positions_go_with_their_topic(stage: Stage) -> None:
    """A topic that is created again under its name has none of the positions that groups had in the one before it."""
    orders = await stage.partition("orders")
    await stage.broker.log.append(orders, stage.records("a", "b"))
    _, end = await stage.broker.log.bounds(orders)
    groups = [new_group(stage, inputs={orders.topic: 1}), loose(new_group(stage, inputs={orders.topic: 1}))]
    for group in groups:
        member = await sole_member(stage, group)
        await (await take_over(member, group)).transaction(moved={orders: end}).commit()
        await member.leave()
    await stage.broker.admin.delete(orders.topic)
    await stage.broker.admin.create(TopicSpec(orders.topic, 1))
    await stage.broker.log.append(orders, stage.records("c", "d", "e"))
    for group in groups:
        assert orders not in await committed(stage, group)
        task = await take_over(await sole_member(stage, group), group)
        assert orders not in task.ownership.positions


@rule()
async def a_deleted_topic_is_unknown(stage: Stage) -> None:
    """A deleted topic is left out of descriptions, and every verb that names it is refused."""
    topic = await stage.topic("orders")
    kept = await stage.topic("payments")
    at = TopicPartition(topic, 0)
    await stage.broker.admin.delete(topic)
    assert set(await stage.broker.admin.topics([topic, kept])) == {kept}
    with refused(UnknownTopic):
        await stage.broker.log.append(at, stage.records("a"))
    with refused(UnknownTopic):
        await stage.broker.log.bounds(at)
    with refused(UnknownTopic):
        await stage.broker.admin.delete(topic)
    with refused(UnknownTopic):
        await stage.broker.admin.alter(TopicSpec(topic, 1))


@rule()
async def a_partition_that_is_not_there_is_unknown(stage: Stage) -> None:
    """A partition beyond the topic's number is refused like a topic that is not there."""
    beyond = TopicPartition(await stage.topic("orders", 2), 2)
    with refused(UnknownTopic):
        await stage.broker.log.append(beyond, stage.records("a"))
    with refused(UnknownTopic):
        await stage.broker.log.bounds(beyond)
    with refused(UnknownTopic):
        await stage.broker.log.offset_at(beyond, 0)


@rule()
async def all_topics_are_listed(stage: Stage) -> None:
    """Without names all topics are described; a name that is not there is left out."""
    names = {await stage.topic("orders"), await stage.topic("payments")}
    assert names <= set(await stage.broker.admin.topics())
    assert set(await stage.broker.admin.topics([*names, stage.harness.name("nothing")])) == names
    assert await stage.broker.admin.topics([]) == {}


@rule("several_clients")
async def a_topic_is_there_for_every_client(stage: Stage) -> None:
    """What one client creates, alters and deletes, another one finds created, altered and deleted."""
    other = await stage.client()
    topic = await stage.topic("orders", 2)
    first = (await other.admin.topics([topic]))[topic]
    await other.log.append(TopicPartition(topic, 1), stage.records("a"))
    assert values(await stage.content(TopicPartition(topic, 1), 1)) == ["a"]
    await other.admin.alter(TopicSpec(topic, 2, record_bytes_max=2_000))
    assert (await stage.broker.admin.topics([topic]))[topic].spec.record_bytes_max == 2_000
    await stage.broker.admin.delete(topic)
    with refused(UnknownTopic):
        await other.log.append(TopicPartition(topic, 1), stage.records("b"))
    await other.admin.create(TopicSpec(topic, 1))
    assert (await stage.broker.admin.topics([topic]))[topic].topic_id != first.topic_id
    await other.log.append(TopicPartition(topic, 0), stage.records("c"))
    assert values(await stage.content(TopicPartition(topic, 0), 1)) == ["c"]


@rule("durable")
async def topics_and_records_survive_a_restart(stage: Stage) -> None:
    """Topics, their ids and what was acknowledged are there after every client has gone."""
    topic = await stage.topic("orders", 2)
    at = TopicPartition(topic, 1)
    await stage.broker.log.append(at, stage.records("a", "b"))
    before = await stage.broker.admin.topics([topic])
    broker = await stage.restart()
    assert await broker.admin.topics([topic]) == before
    assert values(await stage.content(at, 2)) == ["a", "b"]
    await broker.log.append(at, stage.records("c"))
    assert values(await stage.content(at, 3)) == ["a", "b", "c"]
