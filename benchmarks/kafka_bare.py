"""The bare loops on Kafka: the ceiling. They import nothing from Mainstem.

One thread, one consumer, one producer, the client's fastest way of reading (``poll`` for the first, ``consume`` for the
rest), msgspec, an awaited handler. No group, no fencing of single tasks, no lanes, no retry, no isolation of a handler
that fails. What they write has the same envelope as what they read: six CloudEvents headers in, eight out.
"""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence

import msgspec
from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from benchmarks.harness import Measurement, Stopwatch
from benchmarks.workload import STOCK, Load, OrderPaid, orders

DRAIN = 1_000
COMMIT_EVENTS = 10_000
FILL_EVENTS = 50_000
Pair = tuple[str, str | bytes | None]
COMMON: list[Pair] = [
    ("ce_specversion", b"1.0"),
    ("ce_type", b"OrderPaid"),
    ("ce_source", b"/shop"),
    ("content-type", b"application/json"),
    ("ce_kind", b"integration"),
]
CHECKED: list[Pair] = [
    (name, {"ce_type": b"OrderChecked", "ce_source": b"/checks"}.get(name, value)) for name, value in COMMON
]
Handler = Callable[[OrderPaid], Awaitable[OrderPaid | None]]
numbers = itertools.count()


def reading(address: str) -> dict[str, object]:
    """The settings of a consumer, as fast as it goes."""
    return {
        "bootstrap.servers": address,
        "group.id": f"bare-{next(numbers)}",
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        # By default a partition that has enough prefetched is not fetched again for a second.
        "fetch.queue.backoff.ms": 2,
        "fetch.wait.max.ms": 50,
        "queued.max.messages.kbytes": 8192,
    }


def writing(address: str) -> dict[str, object]:
    """The settings of a producer."""
    return {
        "bootstrap.servers": address,
        "enable.idempotence": True,
        "linger.ms": 5,
        "compression.type": "lz4",
        "batch.size": 900_000,
        "queue.buffering.max.messages": 1_000_000,
    }


def transactional(address: str, name: str) -> Producer:
    """A producer of transactions."""
    # Just after a commit the broker is not done yet; by default the client asks again after 100 ms.
    settings = {"transactional.id": name, "retry.backoff.ms": 1, "retry.backoff.max.ms": 5, "linger.ms": 5}
    producer = Producer({**writing(address), **settings})
    producer.init_transactions(10)
    return producer


def create(address: str, topic: str, partitions: int, **config: str) -> None:
    """Create a topic, and return when the cluster knows it."""
    admin = AdminClient({"bootstrap.servers": address})
    admin.create_topics([NewTopic(topic, partitions, config=config)])[topic].result()
    while topic not in (known := admin.list_topics(timeout=5).topics) or len(known[topic].partitions) < partitions:
        pass


def fill(address: str, topic: str, load: Load) -> None:
    """The records that all cases read, keys spread by hash, an id for each."""
    producer = Producer(writing(address))
    for number, (key, value) in enumerate(itertools.islice(records(load), load.events)):
        headers: list[Pair] = [*COMMON, ("ce_id", b"019a0000-0000-7000-8000-%012x" % number)]
        producer.produce(topic, value, key, headers=headers)
        if number % FILL_EVENTS == 0:
            producer.flush()
    producer.flush()


def records(load: Load) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values without end: the stock again and again, with other customers where it has not enough of them."""
    encode = msgspec.json.Encoder().encode
    if load.keys <= STOCK:
        yield from itertools.cycle([(order.customer_id.encode(), encode(order)) for order in orders(load)])
    draw = random.Random(20_130_101)
    for order in itertools.cycle(orders(load)):
        customer = f"c-{draw.randrange(load.keys):06d}"
        yield customer.encode(), encode(msgspec.structs.replace(order, customer_id=customer))


def messages(consumer: Consumer, topic: str, load: Load) -> Iterator[Sequence[Message]]:
    """Everything in the topic, drain by drain."""
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(load.partitions)])
    left = load.events
    while left:
        first = consumer.poll(10)
        if first is None:
            raise TimeoutError(f"{left:,} of {load.events:,} events of {topic} have not come")
        drained = [first, *consumer.consume(DRAIN - 1, 0)]
        for error in filter(None, map(Message.error, drained)):
            raise KafkaException(error)
        left -= len(drained)
        yield drained


def stateless(address: str, topic: str, load: Load) -> Measurement:
    """Decode, await the handler; the positions are committed every 10,000 events, at least once."""

    async def seen(_order: OrderPaid) -> None:
        pass

    async def run() -> None:
        decode = msgspec.json.Decoder(OrderPaid).decode
        positions, pending = Positions(topic), 0
        for drained in messages(consumer, topic, load):
            for value in map(Message.value, drained):
                await seen(decode(value or b""))
            positions.take_in(drained)
            pending += len(drained)
            if pending >= COMMIT_EVENTS:
                consumer.commit(offsets=positions.offsets(), asynchronous=False)
                pending = 0
        consumer.commit(offsets=positions.offsets(), asynchronous=False)

    consumer = Consumer(reading(address))
    with Stopwatch() as watch:
        asyncio.run(run())
    consumer.close()
    return watch.measured(load.events)


class Positions:
    """Where reading goes on, by partition."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._next: dict[int, int] = {}

    def take_in(self, drained: Sequence[Message]) -> None:
        """These have been handled."""
        self._next.update(zip(map(Message.partition, drained), map(Message.offset, drained), strict=True))  # type: ignore[arg-type]

    def offsets(self) -> list[TopicPartition]:
        """As a consumer commits them."""
        return [TopicPartition(self._topic, partition, offset + 1) for partition, offset in self._next.items()]


def transform(address: str, topic: str, output: str, load: Load) -> Measurement:
    """Decode, await the handler, encode what it returns, send it: exactly once, a transaction every 10,000 events."""

    async def check(order: OrderPaid) -> OrderPaid:
        return OrderPaid(
            order.order_id,
            order.customer_id,
            order.amount_cents + 1,
            order.currency,
            order.country,
            order.items,
            order.express,
            order.note,
        )

    decode, encode, ids = msgspec.json.Decoder(OrderPaid).decode, msgspec.json.Encoder().encode, itertools.count()

    async def handle(drained: Sequence[Message], producer: Producer) -> None:
        produce = producer.produce
        for message in drained:
            event = await check(decode(message.value() or b""))
            cause = dict(message.headers() or ())["ce_id"]
            headers: list[Pair] = [
                *CHECKED,
                ("ce_id", b"019b0000-0000-7000-8000-%012x" % next(ids)),
                ("ce_correlationid", cause),
                ("ce_causationid", cause),
            ]
            key = event.customer_id.encode()
            produce(output, encode(event), key, timestamp=message.timestamp()[1], headers=headers)

    return exactly_once(address, topic, load, handle, lambda _producer: None)


def keyed_count(address: str, topic: str, changelog: str, load: Load) -> Measurement:
    """Count by key in a dict; the changed counts are sent to a compacted topic: exactly once."""
    counts: dict[bytes, int] = {}
    changed: dict[bytes, int] = {}
    decode = msgspec.json.Decoder(OrderPaid).decode

    async def count(order: OrderPaid, partition: int) -> None:
        key = order.customer_id.encode()
        counts[key] = counts.get(key, 0) + 1
        changed[key] = partition

    async def handle(drained: Sequence[Message], _producer: Producer) -> None:
        for message in drained:
            await count(decode(message.value() or b""), message.partition() or 0)

    def before_commit(producer: Producer) -> None:
        for key, partition in changed.items():
            producer.produce(changelog, b"%d" % counts[key], key, partition)
        changed.clear()

    measurement = exactly_once(address, topic, load, handle, before_commit)
    assert sum(counts.values()) == load.events
    return measurement


def exactly_once(
    address: str,
    topic: str,
    load: Load,
    handle: Callable[[Sequence[Message], Producer], Awaitable[None]],
    before_commit: Callable[[Producer], None],
) -> Measurement:
    """Read everything, and commit what was produced together with the positions, every 10,000 events."""
    consumer = Consumer(reading(address))
    producer = transactional(address, f"bare-{next(numbers)}")

    async def run() -> None:
        positions, metadata, pending, read = Positions(topic), consumer.consumer_group_metadata(), 0, 0
        producer.begin_transaction()
        for drained in messages(consumer, topic, load):
            await handle(drained, producer)
            producer.poll(0)
            positions.take_in(drained)
            pending += len(drained)
            read += len(drained)
            if pending >= COMMIT_EVENTS or read == load.events:
                before_commit(producer)
                producer.send_offsets_to_transaction(positions.offsets(), metadata, 10)
                producer.commit_transaction(20)
                producer.begin_transaction()
                pending = 0
        producer.abort_transaction(10)

    with Stopwatch() as watch:
        asyncio.run(run())
    consumer.close()
    return watch.measured(load.events)
