"""Publishing from outside a handler."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import cast

import msgspec
import pytest
from opentelemetry import trace

from mainstem import DomainEvent, IntegrationEvent, Service, Topic
from mainstem.broker import Batch, Log, Record, TopicPartition
from mainstem.broker.sqlite import SqliteBroker
from mainstem.clock import SystemClock
from mainstem.errors import DefinitionError, EventRefused, RecordTooLarge, UnknownTopic
from mainstem.events import Envelope, Origin, partition_for
from mainstem.identifiers import Identifiers
from mainstem.service import Acknowledgement, Backend, PublishTransaction
from mainstem.service.publishing import Outgoing
from mainstem.testing.conformance.broker.layer import Layer, LayeredLog
from tests.journeys.conditions import until
from tests.rooms.service.events import GoldReached, OrderPaid, embedded

DEARER_THAN_BARE = 2.5


class Opened(DomainEvent, topic="accounts", key="account", service="shop"):
    account: str


@dataclass(frozen=True)
class ErpOrder:
    """An event of another system."""

    order_no: str


class Blob(IntegrationEvent, topic="blobs"):
    data: str


async def written(broker: SqliteBroker, topic: str) -> list[Batch]:
    """Every batch of a topic, partition by partition."""
    [described] = (await broker.admin.topics([topic])).values()
    found = []
    for partition, (start, end) in enumerate(zip(described.starts, described.ends, strict=True)):
        at = TopicPartition(topic, partition)
        reader = broker.log.reader({at: start})
        position = start
        while position < end:
            batch = reader.take()
            assert batch is not None
            found.append(batch)
            position = batch.next_offset
        reader.close()
    return found


def envelopes(batches: list[Batch]) -> list[Envelope]:
    """The attributes of every event."""
    return [
        Envelope(batch.common, batch.own_headers(n), Origin(batch.topic, batch.partition, offset, 0))
        for batch in batches
        for n, offset in enumerate(batch.offsets)
    ]


async def test_what_is_published_is_in_the_log_when_the_answer_is_there() -> None:
    """Each event has an id of its own and its service as source, and begins a story of its own."""
    shop = Service("shop", publishes=(OrderPaid,))
    async with embedded() as broker, shop.running(broker=broker, dev=True):
        await shop.publish(*[OrderPaid(f"c-{n}", n) for n in range(100)])
        found = envelopes(await written(broker, "orders"))
    assert len(found) == len({each.id for each in found}) == 100
    for each in found:
        each.check()
        assert (each.source, each.type, each.kind) == ("/shop", "OrderPaid", "integration")
        assert (each.correlation_id, each.causation_id, each.traceparent) == (each.id, None, None)


async def test_events_of_one_call_keep_their_order() -> None:
    """Within a partition they stand as they were given, in one batch."""
    shop = Service("shop", publishes=(OrderPaid,))
    async with embedded() as broker, shop.running(broker=broker, dev=True):
        await shop.publish(*[OrderPaid(f"c-{n % 50}", n) for n in range(500)])
        batches = await written(broker, "orders")
    assert len(batches) == 8
    for batch in batches:
        amounts = [int(value.split(b":")[2].rstrip(b"}")) for value in batch.values if value]
        assert amounts == sorted(amounts)


async def test_the_current_span_is_passed_on() -> None:
    """What is published inside a span carries it, so that a trace does not end here."""
    shop = Service("shop", publishes=(OrderPaid,))
    context = trace.SpanContext(0x1234, 0x5678, is_remote=False, trace_flags=trace.TraceFlags(1))
    async with embedded() as broker, shop.running(broker=broker, dev=True):
        with trace.use_span(trace.NonRecordingSpan(context)):
            await shop.publish(OrderPaid("c-1"))
        [envelope] = envelopes(await written(broker, "orders"))
    assert envelope.traceparent == f"00-{0x1234:032x}-{0x5678:016x}-01"


async def test_an_event_that_is_not_declared_is_refused() -> None:
    """The error says where to declare it; nothing of the call is published."""
    shop = Service("shop", publishes=(OrderPaid,))
    async with embedded() as broker, shop.running(broker=broker, dev=True):
        with pytest.raises(EventRefused, match="GoldReached is not among the events") as refused:
            shop.publish(OrderPaid("c-1"), GoldReached("c-1"))
        assert "publishes=(GoldReached,)" in refused.value.remedy
        assert await written(broker, "orders") == []


async def test_a_service_publishes_what_it_owns_and_reads() -> None:
    """A domain event that its own handlers take need not be named a second time."""
    shop = Service("shop")
    seen: list[Opened] = []

    @shop.on(Opened)
    async def opened(event: Opened) -> None:
        seen.append(event)

    async with shop.running(broker="sqlite:///:memory:", dev=True):
        await shop.publish(Opened("a-1"))
        await until(lambda: seen == [Opened("a-1")])


async def test_one_call_is_all_or_nothing() -> None:
    """When one of several events cannot be appended, none is."""
    shop = Service("shop", publishes=(OrderPaid, Blob))
    async with embedded() as broker, shop.running(broker=broker, dev=True):
        await broker.admin.delete("blobs")
        with pytest.raises(UnknownTopic):
            await shop.publish(OrderPaid("c-1"), Blob("x"))
        assert await written(broker, "orders") == []


async def test_a_transaction_is_published_at_its_end() -> None:
    """Its events become visible together when the block has ended."""
    shop = Service("shop", publishes=(OrderPaid, GoldReached))
    async with embedded() as broker, shop.running(broker=broker, dev=True):
        async with shop.transaction() as transaction:
            transaction.publish(OrderPaid("c-1"))
            transaction.publish(GoldReached("c-1"), GoldReached("c-2"))
            assert await written(broker, "orders") == []
        assert len(envelopes(await written(broker, "orders"))) == 1
        assert len(envelopes(await written(broker, "loyalty"))) == 2


async def fail_within(transaction: PublishTransaction) -> None:
    """Publish an event, and fail."""
    async with transaction:
        transaction.publish(OrderPaid("c-1"))
        raise KeyError


async def test_a_transaction_that_fails_publishes_nothing() -> None:
    """An exception in the block passes through, and what was gathered falls."""
    shop = Service("shop", publishes=(OrderPaid,))
    async with embedded() as broker, shop.running(broker=broker, dev=True):
        transaction = shop.transaction()
        with pytest.raises(KeyError):
            await fail_within(transaction)
        assert await written(broker, "orders") == []
        with pytest.raises(EventRefused, match="transaction is over"):
            transaction.publish(OrderPaid("c-1"))


async def test_a_thread_waits_for_the_result() -> None:
    """Synchronous code publishes from many threads at once, and each call returns when its event is durable."""
    shop = Service("shop", publishes=(OrderPaid,))

    def publish(number: int) -> None:
        shop.publish(OrderPaid(f"c-{number}", number)).result(5)

    async with embedded() as broker, shop.running(broker=broker, dev=True):
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(8) as threads:
            await asyncio.gather(*[loop.run_in_executor(threads, publish, n) for n in range(200)])
        assert len({each.id for each in envelopes(await written(broker, "orders"))}) == 200


async def test_a_thread_hears_what_went_wrong() -> None:
    """Errors of the encoding come at once, errors of the broker with the result."""
    shop = Service("shop", publishes=(Blob,))

    def publish() -> None:
        with pytest.raises(EventRefused):
            shop.publish(OrderPaid("c-1"))
        with pytest.raises(RecordTooLarge):
            shop.publish(Blob("x" * 2_000_000))
        handle = shop.publish(Blob("x"))
        with pytest.raises(UnknownTopic):
            handle.result(5)

    async with embedded() as broker, shop.running(broker=broker, dev=True):
        await broker.admin.delete("blobs")
        await asyncio.to_thread(publish)


async def test_another_event_loop_can_await_it() -> None:
    """A program may run a second loop in a thread of its own; awaiting works there as well."""
    shop = Service("shop", publishes=(OrderPaid,))

    async def elsewhere() -> None:
        await shop.publish(OrderPaid("c-1"))

    async with embedded() as broker, shop.running(broker=broker, dev=True):
        await asyncio.to_thread(asyncio.run, elsewhere())
        assert len(envelopes(await written(broker, "orders"))) == 1


async def test_a_result_that_would_stop_its_own_loop_is_refused() -> None:
    """On the loop that runs the service one awaits; a thread may wait for what the loop has begun."""
    shop = Service("shop", publishes=(OrderPaid,))
    async with embedded() as broker, shop.running(broker=broker, dev=True):
        handle = shop.publish(OrderPaid("c-1"))
        with pytest.raises(DefinitionError, match="would stop the event loop"):
            handle.result()
        await asyncio.to_thread(handle.result, 5)
        await handle


async def test_who_stops_waiting_takes_nothing_back() -> None:
    """A cancelled wait leaves the publish on its way: others may wait for it, and the end of the service does."""
    shop = Service("shop", publishes=(OrderPaid,))
    async with embedded() as broker:
        async with shop.running(broker=broker, dev=True):
            handle, another = shop.publish(OrderPaid("c-1")), shop.publish(OrderPaid("c-2"))
            for each in (handle, another):
                waiting = asyncio.ensure_future(each)
                await asyncio.sleep(0)
                waiting.cancel()
            await handle
        assert len(envelopes(await written(broker, "orders"))) == 2


async def test_nothing_is_published_after_the_end() -> None:
    """Neither by the service, nor by a transaction that was begun while it ran."""
    shop = Service("shop", publishes=(OrderPaid,))
    async with embedded() as broker:
        async with shop.running(broker=broker, dev=True):
            transaction = shop.transaction()
        with pytest.raises(EventRefused, match="not running"):
            shop.publish(OrderPaid("c-1"))
        with pytest.raises(EventRefused, match="not running"):
            transaction.publish(OrderPaid("c-1"))
        assert await written(broker, "orders") == []


@pytest.mark.parametrize("form", ["async", "plain", "spawned", "transaction"])
async def test_a_handler_cannot_publish_past_its_commit(form: str) -> None:
    """In an async handler, a plain one, and in what a handler starts, the error says what to call instead."""
    shop = Service("shop", publishes=(OrderPaid, GoldReached))
    refusals: list[EventRefused] = []

    def attempt() -> None:
        with pytest.raises(EventRefused, match="inside a handler") as refused:
            shop.publish(GoldReached("c-1"))
        refusals.append(refused.value)

    async def waits(_: OrderPaid) -> None:
        attempt()

    async def spawns(_: OrderPaid) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(waits(_))

    def plain(_: OrderPaid) -> None:
        attempt()

    async def gathers(_: OrderPaid) -> None:
        with pytest.raises(EventRefused, match="inside a handler") as refused:
            shop.transaction().publish(GoldReached("c-1"))
        refusals.append(refused.value)

    function = {"async": waits, "plain": plain, "spawned": spawns, "transaction": gathers}[form]
    shop.on(OrderPaid, name="handler")(function)
    async with embedded() as broker, shop.running(broker=broker, dev=True):
        await shop.publish(OrderPaid("c-1"))
        await until(lambda: len(refusals) == 1)
        assert "context.publish" in refusals[0].remedy
        assert await written(broker, "loyalty") == []


async def test_a_topic_of_others_is_published_to_without_attributes() -> None:
    """With ``envelope=None`` the record has a key and a value, and no header."""
    erp = Topic("erp.orders", ErpOrder, key="order_no", envelope=None)
    shop = Service("shop", publishes=(erp,))
    async with embedded() as broker, shop.running(broker=broker, dev=True):
        await shop.publish(ErpOrder("o-1"))
        [batch] = await written(broker, "erp.orders")
    assert (batch.keys[0], batch.values[0], batch.headers(0)) == (b"o-1", b'{"order_no":"o-1"}', {})


async def test_publishing_many_events_is_cheap() -> None:
    """Encoding five hundred events, ids and headers included, costs little more than JSON, id and partition alone."""
    shop = Service("shop", publishes=(OrderPaid,))
    events = [OrderPaid(f"c-{n}", n) for n in range(500)]
    identifiers = Identifiers(SystemClock())
    encode = msgspec.json.Encoder().encode

    def bare() -> list[tuple[bytes, str, int]]:
        return [(encode(each), identifiers.new(), partition_for(each.customer_id.encode(), 8)) for each in events]

    async with embedded() as broker, shop.running(broker=broker, dev=True):
        publisher = shop.reaches[-1].publisher
        ratios = [timed(partial(publisher.encode, events, Outgoing())) / timed(bare) for _ in range(30)]
    assert min(ratios) < DEARER_THAN_BARE


def timed(work: Callable[[], object]) -> float:
    """How long it takes, in seconds of this thread."""
    begin = time.thread_time()
    work()
    return time.thread_time() - begin


def test_a_thread_is_answered_although_the_loop_ends() -> None:
    """What a thread has handed over before the end is published, and its wait returns."""
    shop = Service("shop", publishes=(OrderPaid,))
    handed, answers = threading.Event(), list[str]()

    def publish() -> None:
        handle = shop.publish(OrderPaid("c-1"))
        handed.set()
        handle.result(5)
        answers.append("acknowledged")

    async def main() -> None:
        async with embedded() as broker:
            async with shop.running(broker=broker, dev=True, consume=False):
                thread.start()
                # The loop does nothing else before it leaves the block.
                assert handed.wait(5)
            assert len(envelopes(await written(broker, "orders"))) == 1

    thread = threading.Thread(target=publish)
    asyncio.run(main())
    thread.join(5)
    assert answers == ["acknowledged"]


def test_the_result_is_there_when_the_loop_has_stopped() -> None:
    """A thread that asks late is told what became of it, and does not wait for a loop that does nothing any more."""
    shop = Service("shop", publishes=(OrderPaid, Blob))

    async def main() -> tuple[Acknowledgement, Acknowledgement]:
        async with embedded() as broker, shop.running(broker=broker, dev=True, consume=False):
            await broker.admin.delete("blobs")
            return shop.publish(OrderPaid("c-1")), shop.publish(Blob("x"))

    loop = asyncio.new_event_loop()
    try:
        done, failed = loop.run_until_complete(main())
        done.result(1)
        with pytest.raises(UnknownTopic):
            failed.result(1)
    finally:
        loop.close()
    done.result(1)


async def test_whoever_cannot_be_answered_is_let_go() -> None:
    """When the end itself is cut short, a thread that waits for something unfinished hears that it was cancelled."""
    shop = Service("shop", publishes=(OrderPaid,))
    begun = asyncio.Event()

    class Stuck(Layer):
        """Never acknowledges."""

        def log(self, inner: Log) -> Log:
            """One that begins, and goes on for ever."""

            class Appending(LayeredLog):
                async def append(self, at: TopicPartition, records: Sequence[Record]) -> int:
                    begun.set()
                    await asyncio.Event().wait()
                    return await super().append(at, records)

            return Appending(inner, self)

    def publish() -> None:
        with pytest.raises(CancelledError):
            shop.publish(OrderPaid("c-1")).result(5)

    async def main(broker: Backend) -> None:
        async with shop.running(broker=broker, dev=True, consume=False):
            waits.append(asyncio.ensure_future(asyncio.to_thread(publish)))
            await begun.wait()

    waits: list[asyncio.Future[None]] = []
    async with embedded() as broker:
        running = asyncio.ensure_future(main(cast("Backend", Stuck().broker(broker))))
        await begun.wait()
        for _ in range(20):
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait([running])
        await waits[0]
