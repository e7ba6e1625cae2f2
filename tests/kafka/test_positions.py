"""Positions never fall back in silence: what a cluster has forgotten is refused, and what stands still is kept."""

from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, Producer
from confluent_kafka import TopicPartition as At
from confluent_kafka.admin import AdminClient
from msgspec.structs import replace

from mainstem.broker import Delivery, GroupSpec, Ownership, Record, TopicPartition, TopicSpec
from mainstem.broker.kafka import KafkaBroker, KafkaOptions
from mainstem.errors import BrokerError
from mainstem.service import lease
from tests.journeys.conditions import until


async def owned(broker: KafkaBroker, spec: GroupSpec) -> Ownership:
    """The only task of a group, owned by a new member; its input has been read to 3."""
    membership = await broker.group.join(spec)
    while 0 not in await membership.assignment():
        pass
    ownership = await membership.take_over(0)
    transaction = ownership.transaction()
    transaction.positions({TopicPartition(spec.inbox, 0): 0, **{TopicPartition(topic, 0): 3 for topic in spec.inputs}})
    await transaction.commit()
    return ownership


async def new_group(broker: KafkaBroker, unique: Callable[[str], str]) -> GroupSpec:
    """A group of one task with one input."""
    topic = unique("orders")
    await broker.admin.create(TopicSpec(topic, 1))
    return GroupSpec(unique("billing"), unique("service"), 1, {topic: 1}, session_timeout_seconds=2.0)


async def test_a_group_whose_positions_are_gone_is_refused(
    kafka: str, kafka_admin: AdminClient, unique: Callable[[str], str]
) -> None:
    """As when nobody has run it for a week: it would begin anew in silence, with the memory of all it had done."""
    broker = KafkaBroker(kafka)
    await broker.open()
    try:
        spec = await new_group(broker, unique)
        for topic in spec.inputs:
            await broker.log.append(TopicPartition(topic, 0), [Record(b"k", b"v", 1)] * 3)
        await owned(broker, spec)
        await broker.close()
        kafka_admin.delete_consumer_groups([spec.name])[spec.name].result()
        broker = KafkaBroker(kafka)
        await broker.open()
        with pytest.raises(BrokerError, match="positions of a task are gone") as refused:
            await owned(broker, spec)
        assert f"mainstem groups reset {spec.name}" in refused.value.remedy
        await broker.close()
        broker = KafkaBroker(kafka)
        await broker.open()
        await broker.admin.reset(spec.name, {TopicPartition(topic, 0): 3 for topic in spec.inputs})
        assert (await owned(broker, spec)).epoch == 3, "one for the first owner, and one for the reset"
    finally:
        await broker.close()


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
async def test_a_position_in_a_topic_that_was_made_again_is_no_position(
    kafka: str, kafka_admin: AdminClient, unique: Callable[[str], str], delivery: Delivery
) -> None:
    """The cluster strikes it out when the topic is deleted, as far as it sees that; what is left counts for nothing.

    A group that went on from there would never be given the first events of the new topic.
    """
    broker = KafkaBroker(kafka)
    await broker.open()
    try:
        spec = replace(await new_group(broker, unique), delivery=delivery)
        [topic] = spec.inputs
        at = TopicPartition(topic, 0)
        await owned(broker, spec)
        await broker.close()
        [left] = kept(kafka_admin, spec.name, topic)
        broker = KafkaBroker(kafka)
        await broker.open()
        await broker.admin.delete(topic)
        await broker.admin.create(TopicSpec(topic, 1))
        await broker.log.append(at, [Record(b"k", b"v", 1)] * 5)

        async def struck_out() -> bool:
            return not kept(kafka_admin, spec.name, topic)

        await until(struck_out)
        asked = kafka_admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(spec.name, [left])])
        asked[spec.name].result()
        assert kept(kafka_admin, spec.name, topic)[0].offset == 3
        assert at not in (await broker.admin.groups([spec.name]))[spec.name].positions
        membership = await broker.group.join(spec)
        while 0 not in await membership.assignment():
            pass
        assert at not in (await membership.take_over(0)).positions
        await membership.leave()
        await broker.admin.reset(spec.name, {at: 2})
        assert (await broker.admin.groups([spec.name]))[spec.name].positions[at] == 2
    finally:
        await broker.close()


def kept(admin: AdminClient, group: str, topic: str) -> list[At]:
    """What the cluster keeps of a group's positions in a topic."""
    asked = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])
    return [at for at in asked[group].result().topic_partitions or () if at.topic == topic]


async def test_a_lease_that_nobody_has_asked_for_in_a_week_goes_on_counting(
    kafka: str, kafka_admin: AdminClient, unique: Callable[[str], str], tmp_path: Path
) -> None:
    """Its positions have expired, and nothing was ever to be read there: so it is given, with a greater token."""
    broker = KafkaBroker(kafka)
    await broker.open()
    try:
        name, tokens = unique("nightly"), []
        for _ in range(3):
            async with lease(name, broker=f"kafka://{kafka}?state_folder={tmp_path}", wait="20s") as held:
                tokens.append(held.token)
            kafka_admin.delete_consumer_groups([f"lease.{name}"])[f"lease.{name}"].result()
        assert tokens == [1, 2, 3]
    finally:
        await broker.close()


async def test_a_reset_begins_an_inbox_where_it_begins(
    kafka: str, kafka_admin: AdminClient, unique: Callable[[str], str]
) -> None:
    """A task that nobody has run has no position in it, and retention may have passed the first commands."""
    broker = KafkaBroker(kafka)
    await broker.open()
    try:
        spec = await new_group(broker, unique)
        membership = await broker.group.join(spec)
        while 0 not in await membership.assignment():
            pass
        await membership.leave()
        inbox, [topic] = TopicPartition(spec.inbox, 0), spec.inputs
        await broker.log.append(inbox, [Record(None, b"a command", 1)] * 3)
        [deletion] = kafka_admin.delete_records([At(spec.inbox, 0, 3)]).values()
        deletion.result()
        await broker.admin.reset(spec.name, {TopicPartition(topic, 0): 0})
        assert (await broker.admin.groups([spec.name]))[spec.name].positions[inbox] == 3
    finally:
        await broker.close()


async def test_an_owner_that_died_in_its_first_commit_has_left_nothing(
    kafka: str, unique: Callable[[str], str]
) -> None:
    """What it had written is aborted by the next one, for which the task is as new as it was."""
    broker = KafkaBroker(kafka)
    await broker.open()
    try:
        spec = await new_group(broker, unique)
        membership = await broker.group.join(spec, pinned=frozenset({0}))
        died = Producer({"bootstrap.servers": kafka, "transactional.id": f"{spec.name}.0", "retry.backoff.ms": 1})
        died.init_transactions(20)
        died.begin_transaction()
        died.produce(f"{spec.name}.changelog", b"1", b"$owner\0epoch", partition=0)
        died.flush(20)
        assert (await membership.take_over(0)).epoch == 1
    finally:
        await broker.close()


async def test_positions_that_stand_still_are_committed_again(
    kafka: str, kafka_admin: AdminClient, unique: Callable[[str], str]
) -> None:
    """A cluster forgets the positions of inputs that nobody subscribes to, also those of a group that lives."""
    broker = KafkaBroker(kafka, options=KafkaOptions(refresh_seconds=0.2))
    await broker.open()
    try:
        spec = await new_group(broker, unique)
        await owned(broker, spec)
        (topic,) = spec.inputs

        def committed() -> dict[str, int]:
            asked = kafka_admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(spec.name)])
            return {at.topic: at.offset for at in asked[spec.name].result().topic_partitions or ()}

        before = await broker.log.bounds(TopicPartition("__consumer_offsets", 0))
        assert committed()[topic] == 3

        async def written_again() -> bool:
            return (await broker.log.bounds(TopicPartition("__consumer_offsets", 0)))[1] > before[1] + 4

        await until(written_again)
        assert committed()[topic] == 3
    finally:
        await broker.close()


async def test_whoever_pins_tasks_is_not_delivered_at_least_once(kafka: str, unique: Callable[[str], str]) -> None:
    """Its positions would be moved in nobody's name, and nothing would fence it; so it is refused, and told why."""
    broker = KafkaBroker(kafka)
    await broker.open()
    try:
        spec = replace(await new_group(broker, unique), delivery="at_least_once")
        with pytest.raises(BrokerError, match="has no pinned tasks") as refused:
            await broker.group.join(spec, pinned=frozenset({0}))
        assert 'delivery="exactly_once"' in refused.value.remedy
    finally:
        await broker.close()
