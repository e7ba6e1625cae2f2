"""What is lost on the way: answers that never come, on connections that stand. Nothing gets lost or doubled by it."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest
from confluent_kafka import Consumer
from confluent_kafka import TopicPartition as At

from mainstem import Context, IntegrationEvent, Service, running
from mainstem.broker import Change, GroupSpec, Ownership, Record, TopicPartition, TopicSpec
from mainstem.broker.kafka import KafkaBroker, KafkaOptions
from mainstem.errors import BrokerAway, BrokerError, CommitRefused, CommitUnknown
from tests.journeys.conditions import caught_up, until
from tests.kafka.failures.conftest import clusters
from tests.kafka.failures.relay import Relay, Verb

ANSWER_SECONDS = 2.0
LONG_SECONDS = 20.0
"""Of a test that must be through long before an answer counts as lost."""
INPUTS = ("billing-hung.inbox", "orders-hung")


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory, kafka_jars: Path) -> Iterator[Relay]:
    """A relay, and behind it a broker that sends everybody there."""
    made = Relay()
    with made.serving(), clusters(tmp_path_factory.mktemp("wire"), kafka_jars) as start:
        cluster = start(made.settings)
        made.to(cluster.address)
        yield made


@asynccontextmanager
async def opened(relay: Relay, answer_seconds: float = ANSWER_SECONDS) -> AsyncIterator[KafkaBroker]:
    """A client that waits for no answer long."""
    broker = KafkaBroker(relay.address, options=KafkaOptions(answer_seconds=answer_seconds))
    await broker.open()
    try:
        yield broker
    finally:
        relay.mend()
        await broker.close()


def committed(relay: Relay, topic: str) -> list[bytes]:
    """What a reader of committed records finds in the first partition, up to the end that there is now."""
    consumer = Consumer({"bootstrap.servers": relay.address, "group.id": "nobody", "isolation.level": "read_committed"})
    try:
        _, end = consumer.get_watermark_offsets(At(topic, 0), timeout=10)
        consumer.assign([At(topic, 0, 0)])
        found: list[bytes] = []
        while consumer.position([At(topic, 0)])[0].offset < end:
            message = consumer.poll(0.1)
            if message is not None:
                assert message.error() is None, message.error()
                found.append(message.value() or b"")
        return found
    finally:
        consumer.close()


def record(text: str) -> Record:
    """One record of this text."""
    return Record(b"k", text.encode(), 1)


async def test_an_append_is_not_written_twice_because_another_has_timed_out(relay: Relay) -> None:
    """Both were written, and their answers lost. The client, left to itself, begins to count anew and sends again."""
    at = TopicPartition("appended", 0)
    async with opened(relay) as broker:
        await broker.admin.create(TopicSpec(at.topic, 1))
        await broker.log.append(at, [record("first")])
        relay.lose(Verb.PRODUCE, "answer", once=False)
        early = asyncio.create_task(broker.log.append(at, [record("early")]))
        sent_at = time.monotonic()
        await until(lambda: time.monotonic() > sent_at + ANSWER_SECONDS * 0.9)
        late = asyncio.create_task(broker.log.append(at, [record("late")]))
        with pytest.raises(BrokerAway):
            await early
        relay.mend()
        acknowledged = not isinstance((await asyncio.gather(late, return_exceptions=True))[0], BrokerError)
        await broker.log.append(at, [record("last")])
        found = committed(relay, at.topic)
    assert found.count(b"early") <= 1
    assert found.count(b"late") == 1 if acknowledged else found.count(b"late") <= 1
    assert found[0] == b"first"
    assert found[-1] == b"last"


async def test_a_transaction_of_unknown_outcome_holds_nobody_up(relay: Relay) -> None:
    """Its end was never heard by the cluster; the next one ends it, long before its time-out, and is read at once."""
    at = TopicPartition("published", 0)
    async with opened(relay) as broker:
        await broker.admin.create(TopicSpec(at.topic, 1))
        relay.lose(Verb.END_TRANSACTION, "request", once=True)
        transaction = broker.log.transaction()
        transaction.append(at, [record("lost")])
        with pytest.raises(CommitUnknown):
            await transaction.commit()
        began = time.monotonic()
        transaction = broker.log.transaction()
        transaction.append(at, [record("next")])
        await transaction.commit()
        assert (await asyncio.to_thread(committed, relay, at.topic))[-1] == b"next"
    assert time.monotonic() - began < KafkaOptions().transaction_seconds / 3


async def taken_over(broker: KafkaBroker, spec: GroupSpec) -> Ownership:
    """The only task of a group, with a new member."""
    membership = await broker.group.join(spec, pinned=frozenset({0}))
    return await membership.take_over(0)


@pytest.mark.parametrize("lost", ["request", "answer"])
async def test_an_unknown_commit_is_all_there_or_not_at_all(relay: Relay, lost: Literal["request", "answer"]) -> None:
    """Facts and positions agree for the next owner, whatever has become of it; and the old one can do no more."""
    facts, orders = TopicPartition(f"facts-{lost}", 0), f"orders-{lost}"
    async with opened(relay) as broker:
        for topic in (facts.topic, orders):
            await broker.admin.create(TopicSpec(topic, 1))
        spec = GroupSpec(f"billing-{lost}", "billing", 1, {orders: 1})
        owner = await taken_over(broker, spec)
        relay.lose(Verb.END_TRANSACTION, lost, once=True)
        for error in (CommitUnknown, BrokerError):
            transaction = owner.transaction()
            transaction.append(facts, [record("fact")])
            transaction.changes([Change("total", b"k", b"1")])
            transaction.positions({TopicPartition(spec.inbox, 0): 0, TopicPartition(orders, 0): 7})
            with pytest.raises(error):
                await transaction.commit()
        heir = await taken_over(broker, spec)
        done = heir.positions.get(TopicPartition(orders, 0)) == 7
        # Where a request was lost, the client may have sent it again before it gave up.
        assert done or lost == "request"
        assert await asyncio.to_thread(committed, relay, facts.topic) == [b"fact"] * done


@pytest.mark.parametrize("verb", [Verb.ADD_PARTITIONS, Verb.ADD_OFFSETS])
async def test_a_commit_that_gets_no_answer_ends_in_time(relay: Relay, verb: Verb) -> None:
    """Whichever of its requests is not answered, it ends in the time that questions have, and has not happened.

    Its records and its commit have the same time: with the commit through first, nobody knows that they are refused.
    """
    topic = f"orders-{verb}"
    async with opened(relay) as broker:
        await broker.admin.create(TopicSpec(topic, 1))
        spec = GroupSpec(f"billing-{verb}", "billing", 1, {topic: 1})
        owner = await taken_over(broker, spec)
        transaction = owner.transaction()
        transaction.append(TopicPartition(topic, 0), [record("fact")])
        transaction.positions({TopicPartition(spec.inbox, 0): 0, TopicPartition(topic, 0): 0})
        relay.lose(verb, "answer", once=True)
        async with asyncio.timeout(ANSWER_SECONDS * 3):
            with pytest.raises((CommitRefused, CommitUnknown)):
                await transaction.commit()
        heir = await taken_over(broker, spec)
        assert TopicPartition(topic, 0) not in heir.positions
        await broker.log.append(TopicPartition(topic, 0), [record("next")])
        assert await asyncio.to_thread(committed, relay, topic) == [b"next"]


@pytest.mark.long
async def test_a_commit_that_hangs_holds_up_neither_the_group_nor_the_end(relay: Relay) -> None:
    """Nobody waits for it any more: with more of them than there are threads, the process leaves, and joins again."""
    tasks = KafkaOptions().commit_threads + 1
    async with opened(relay, LONG_SECONDS) as broker:
        await broker.admin.create(TopicSpec("orders-hung", tasks))
        spec = GroupSpec("billing-hung", "billing", tasks, {"orders-hung": tasks})
        membership = await broker.group.join(spec, pinned=frozenset(range(tasks)))
        owners = [await membership.take_over(task) for task in range(tasks)]
        relay.lose(Verb.ADD_OFFSETS, "answer", once=False)
        hanging: list[asyncio.Task[object]] = []
        for owner in owners:
            transaction = owner.transaction()
            transaction.positions(dict.fromkeys((TopicPartition(topic, owner.task) for topic in INPUTS), 0))
            hanging.append(asyncio.create_task(transaction.commit()))
        await until(relay.lost.is_set)
        for each in hanging:
            each.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
        async with asyncio.timeout(LONG_SECONDS / 2):
            await membership.leave()
            relay.mend()
            membership = await broker.group.join(spec, pinned=frozenset(range(tasks)))
            for task in range(tasks):
                await membership.take_over(task)


async def test_a_reader_whose_answer_is_lost_reads_on(relay: Relay) -> None:
    """A connection that stands and is dead is given up within the time that questions have."""
    at = TopicPartition("read", 0)
    async with opened(relay) as broker:
        await broker.admin.create(TopicSpec(at.topic, 1))
        reader = broker.log.reader({at: 0})

        async def taken() -> bool:
            batch = reader.take()
            return batch is not None and len(batch) == 1

        await broker.log.append(at, [record("first")])
        await until(taken)
        relay.lose(Verb.FETCH, "answer", once=True)
        await until(relay.lost.is_set)
        await broker.log.append(at, [record("second")])
        await until(taken, within_seconds=ANSWER_SECONDS * 5)
        reader.close()


class Step(IntegrationEvent, topic="steps", key="key"):
    key: str
    number: int


class Counted(IntegrationEvent, topic="counted", key="key"):
    key: str
    number: int
    count: int


@pytest.mark.parametrize("lost", ["request", "answer"])
async def test_a_service_goes_on_from_what_is_there(
    relay: Relay, tmp_path: Path, caplog: pytest.LogCaptureFixture, lost: Literal["request", "answer"]
) -> None:
    """A commit under load gets no answer, with and without having happened: each event is counted once, in order."""
    service = Service(f"counter-{lost}", publishes=(Step,), start="latest")
    service.topic("steps", partitions=1)
    service.topic("counted", partitions=1)
    counts = service.store("counts", int)

    @service.on(Step)
    async def count(step: Step, context: Context) -> Counted:
        context.put(counts, after := context.get(counts, 0) + 1)
        return Counted(step.key, step.number, after)

    url = f"kafka://{relay.address}?answer_seconds={ANSWER_SECONDS}&state_folder={tmp_path}"
    with caplog.at_level(logging.WARNING):
        async with running(service, broker=url, dev=True) as process:
            await caught_up(process)
            relay.lose(Verb.END_TRANSACTION, lost, once=True)
            for number in range(100):
                await service.publish(Step(lost, number))
            await until(relay.lost.is_set)
            await until(lambda: "is lost" in caplog.text)
            relay.mend()
            await caught_up(process)
    assert "commit-unknown" in caplog.text
    found = [json.loads(value) for value in committed(relay, "counted")]
    assert [(each["number"], each["count"]) for each in found if each["key"] == lost] == [
        (n, n + 1) for n in range(100)
    ]
