"""What becomes of a commit of which nobody knows how it ended, and of whoever made it."""

import asyncio
from collections.abc import Callable

import pytest
from confluent_kafka import TopicPartition as At

from mainstem.broker import GroupSpec, Record, TopicPartition, TopicSpec, read
from mainstem.broker.kafka import KafkaBroker, KafkaOptions
from mainstem.broker.kafka.producers import Shipment, Slots, TransactionalProducer
from mainstem.errors import BrokerAway, BrokerError, CommitUnknown, RecordTooLarge, UnknownTopic
from tests.kafka.clients import connected, partition

TOO_SHORT_SECONDS = 0.0001
SESSION_SECONDS = 2.0


def shipment(at: TopicPartition, value: bytes) -> Shipment:
    """One record."""
    return Shipment([(at, [Record(b"k", value, 1)], 1_000_000)], ())


async def values(broker: KafkaBroker, at: TopicPartition) -> list[bytes | None]:
    """What is committed."""
    start, end = await broker.log.bounds(at)
    return [value async for batch in read(broker.log, {at: start}, {at: end}) for value in batch.values]


async def test_a_commit_that_has_timed_out_is_not_asked_for_again(kafka: str, unique: Callable[[str], str]) -> None:
    """Its producer does nothing any more; the next one with its id settles what it has left, and goes on."""
    async with connected(kafka) as broker:
        at, name = await partition(broker, unique("facts")), unique("writer")
        first = await asyncio.to_thread(TransactionalProducer, broker.settings, name)
        first._seconds = TOO_SHORT_SECONDS
        for _ in range(2):
            with pytest.raises(CommitUnknown):
                await asyncio.to_thread(first.send, shipment(at, b"first"))
        second = await asyncio.to_thread(TransactionalProducer, broker.settings, name)
        await asyncio.to_thread(second.send, shipment(at, b"second"))
        assert await values(broker, at) in ([b"first", b"second"], [b"second"])
        for producer in (first, second):
            await asyncio.to_thread(producer.close)


async def test_a_transaction_that_was_refused_costs_no_other(kafka: str, unique: Callable[[str], str]) -> None:
    """Nothing of it is there, and what somebody sends next is not refused with it, as the client would have it."""
    async with connected(kafka, KafkaOptions(compression="none")) as broker:
        at, slots = TopicPartition(unique("small"), 0), Slots(broker.settings, unique("process"))
        await broker.admin.create(TopicSpec(at.topic, 1, record_bytes_max=10_000))
        for number in (b"1", b"2"):
            with pytest.raises(RecordTooLarge):
                await asyncio.to_thread(slots.send, shipment(at, b"x" * 100_000))
            await asyncio.to_thread(slots.send, shipment(at, number))
        assert await values(broker, at) == [b"1", b"2"]
        await asyncio.to_thread(slots.close)


async def test_what_goes_to_no_topic_is_refused_at_once(kafka: str, unique: Callable[[str], str]) -> None:
    """The client would wait for the topic until nobody knew any more what had become of the transaction."""
    async with connected(kafka) as broker:
        producer = await asyncio.to_thread(TransactionalProducer, broker.settings, unique("writer"))
        with pytest.raises(UnknownTopic):
            await asyncio.to_thread(producer.send, shipment(TopicPartition(unique("nowhere"), 0), b"1"))
        await asyncio.to_thread(producer.close)


async def test_a_transaction_commits_once(kafka: str, unique: Callable[[str], str]) -> None:
    """Asked for again, it is refused, and its records are not there twice."""
    async with connected(kafka) as broker:
        at = await partition(broker, unique("facts"))
        transaction = broker.log.transaction()
        transaction.append(at, [Record(b"k", b"1", 1)])
        await transaction.commit()
        with pytest.raises(BrokerError, match="commits once"):
            await transaction.commit()
        assert await values(broker, at) == [b"1"]


async def test_a_slot_whose_commit_is_unknown_serves_nobody_else(kafka: str, unique: Callable[[str], str]) -> None:
    """Transactions outside any task share producers, and not what has befallen one of them."""
    async with connected(kafka) as broker:
        at, slots = await partition(broker, unique("facts")), Slots(broker.settings, unique("process"))
        await asyncio.to_thread(slots.send, shipment(at, b"1"))
        [slot] = slots._free
        slot._seconds = TOO_SHORT_SECONDS
        with pytest.raises(CommitUnknown):
            await asyncio.to_thread(slots.send, shipment(at, b"2"))
        await asyncio.to_thread(slots.send, shipment(at, b"3"))
        assert slot not in slots._free
        await asyncio.to_thread(slots.close)


async def test_positions_are_not_read_while_they_are_being_moved(kafka: str, unique: Callable[[str], str]) -> None:
    """A commit that has not ended may move them: whoever must know waits, and whoever only looks does not."""
    async with connected(kafka) as broker, connected(kafka, KafkaOptions(answer_seconds=2)) as impatient:
        at, group = await partition(broker, unique("facts")), unique("billing")
        groups = broker._group.groups
        # In a cluster that has never had a group the client's commit does not come back: its time-out does not count.
        assert (await groups.positions(group, [at])).offsets == {}
        producer = await asyncio.to_thread(TransactionalProducer, broker.settings, f"{group}.0", group)
        await asyncio.to_thread(producer.send, Shipment((), [At(*at, 3)]))
        assert (await groups.positions(group, [at])).offsets == {at: 3}
        client = producer._producer
        client.begin_transaction()
        await asyncio.to_thread(client.send_offsets_to_transaction, [At(*at, 5)], producer._group, 10)
        with pytest.raises(BrokerAway, match="to be stable"):
            await impatient._group.groups.positions(group, [at])
        assert impatient._calls.outages == 0, "a transaction that has not ended is no outage"
        assert (await groups.positions(group, [at], stable=False)).offsets == {at: 3}
        await asyncio.to_thread(client.commit_transaction, 10)
        assert (await groups.positions(group, [at])).offsets == {at: 5}
        await asyncio.to_thread(producer.close)


async def test_a_take_over_does_not_wait_for_the_commits_of_other_tasks(
    kafka: str, unique: Callable[[str], str]
) -> None:
    """In a group that runs some task is always about to commit: only positions of the task itself must stand still."""
    spec = GroupSpec(unique("billing"), unique("service"), 2, {}, SESSION_SECONDS)
    async with connected(kafka) as broker, connected(kafka, KafkaOptions(answer_seconds=2)) as impatient:
        membership = await broker.group.join(spec)
        while await membership.assignment() != {0, 1}:
            pass
        busy = await asyncio.to_thread(TransactionalProducer, broker.settings, f"{spec.name}.0", spec.name)
        moved = [At(spec.inbox, 0, 0)]
        await asyncio.to_thread(busy.send, Shipment((), moved))
        busy._producer.begin_transaction()
        await asyncio.to_thread(busy._producer.send_offsets_to_transaction, moved, busy._group, 10)
        assert (await membership.take_over(1)).task == 1
        with pytest.raises(BrokerAway, match="to be stable"):
            await impatient._group.groups.positions(spec.name)
        await asyncio.to_thread(busy._producer.abort_transaction, 10)
        await asyncio.to_thread(busy.close)


async def test_a_producer_that_is_broken_is_replaced(kafka: str, unique: Callable[[str], str]) -> None:
    """After an error that is fatal to the client, the next append goes through another one."""
    async with connected(kafka) as broker:
        at = await partition(broker, unique("facts"))
        await broker.log.append(at, [Record(b"k", b"1", 1)])
        [(size, broken)] = broker._log._appenders.items()
        broken.broken = True
        await broker.log.append(at, [Record(b"k", b"2", 1)])
        assert broker._log._appenders[size] is not broken
        await asyncio.to_thread(broken.close)
        assert await values(broker, at) == [b"1", b"2"]


async def test_the_end_of_the_thread_that_hears_of_appends_is_theirs(kafka: str, unique: Callable[[str], str]) -> None:
    """Whatever ends it, nobody waits for ever; and the next append goes through another producer."""
    async with connected(kafka) as broker:
        at = await partition(broker, unique("facts"))
        await broker.log.append(at, [Record(b"k", b"1", 1)])
        [(size, broken)] = broker._log._appenders.items()

        def failing() -> None:
            raise LookupError("a mistake of ours")

        broken._tell = failing  # type: ignore[method-assign]
        with pytest.raises(BrokerError, match="a mistake of ours"):
            async with asyncio.timeout(20):
                await broker.log.append(at, [Record(b"k", b"2", 1)])
        await broker.log.append(at, [Record(b"k", b"3", 1)])
        assert broker._log._appenders[size] is not broken
