"""What a program with an OpenTelemetry SDK sees of its services."""

import asyncio
import logging
import re
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from mainstem import Context, IntegrationEvent, Retry, Service, running, telemetry
from mainstem.delivery.guards import gate
from mainstem.delivery.measures import counted, lag, runs
from mainstem.errors import MainstemError
from mainstem.telemetry import Counter, Gauge, Histogram
from tests.journeys.conditions import Collected, caught_up, owned, until
from tests.sdk import Measured, by_group

MEMORY = "sqlite:///:memory:"


class Ordered(IntegrationEvent, topic="ordered", key="order"):
    order: str


class Billed(IntegrationEvent, topic="billed", key="order"):
    order: str


class Strange(IntegrationEvent, topic="ordered", key="order"):
    """Nobody takes it."""

    order: str


class Sent(IntegrationEvent, topic="sent", key="order"):
    order: str


def by_handler(exporter: InMemorySpanExporter, handler: str) -> list[ReadableSpan]:
    """The runs of one handler."""
    spans = exporter.get_finished_spans()
    return [each for each in spans if (each.attributes or {}).get("mainstem.handler") == handler]


def trace_ids(spans: Sequence[ReadableSpan]) -> set[int]:
    """The traces that these belong to."""
    return {each.context.trace_id for each in spans if each.context}


def parent_of(span: ReadableSpan) -> int | None:
    """The id of the span above it."""
    return span.parent.span_id if span.parent else None


def span_id(span: ReadableSpan) -> int:
    """Its id."""
    assert span.context is not None
    return int(span.context.span_id)


async def test_a_trace_runs_through_services(exported: InMemorySpanExporter) -> None:
    """From who publishes, through a handler on the loop, to one in a thread: each is the child of the last."""
    shop, billing, mail = Service("shop", publishes=(Ordered,)), Service("billing"), Service("mail")
    seen = Collected("seen", Sent)

    @billing.on(Ordered)
    async def charge(order: Ordered) -> Billed:
        await asyncio.sleep(0)
        return Billed(order.order)

    @mail.on(Billed)
    def send(billed: Billed, context: Context) -> Sent:
        with trace.get_tracer("bank").start_as_current_span("smtp"):
            return Sent(billed.order)

    async with running(shop, billing, mail, seen.service, broker=MEMORY, dev=True):
        with trace.get_tracer("web").start_as_current_span("POST /orders") as request:
            await shop.publish(Ordered("o-1"))
        await until(lambda: len(by_handler(exported, "collect")) == 1)
    [charged], [sent], [collected] = (by_handler(exported, each) for each in ("charge", "send", "collect"))
    [smtp] = [each for each in exported.get_finished_spans() if each.name == "smtp"]
    assert trace_ids([charged, sent, collected, smtp]) == {request.get_span_context().trace_id}
    [published] = [each for each in exported.get_finished_spans() if each.name == "send ordered"]
    assert published.kind is trace.SpanKind.PRODUCER
    assert (published.attributes or {})["messaging.batch.message_count"] == 1
    assert parent_of(published) == request.get_span_context().span_id
    assert parent_of(charged) == span_id(published)
    assert parent_of(sent) == span_id(charged)
    assert parent_of(smtp) == span_id(sent)
    assert parent_of(collected) == span_id(sent)
    assert (charged.name, charged.kind) == ("process ordered", trace.SpanKind.CONSUMER)
    attributes = dict(charged.attributes or {})
    assert len(str(attributes.pop("messaging.message.id"))) == 36
    assert attributes.pop("messaging.destination.partition.id") in {str(number) for number in range(8)}
    assert attributes == {
        "messaging.system": "mainstem",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.consumer.group.name": "billing",
        "messaging.destination.name": "ordered",
        "mainstem.handler": "charge",
        "mainstem.offset": 0,
        "mainstem.attempt": 1,
    }


async def test_a_transaction_is_one_span(exported: InMemorySpanExporter) -> None:
    """It ends when all is durable; one that has failed says why, and what it would have published is not counted."""
    shop = Service("shop", publishes=(Ordered, Billed))
    async with running(shop, broker=MEMORY, dev=True, consume=False) as process:
        async with shop.transaction() as transaction:
            transaction.publish(Ordered("o-1"), Ordered("o-2"))
            transaction.publish(Billed("o-1"))
        await process.broker.admin.delete("ordered")
        with pytest.raises(MainstemError):
            await shop.publish(Ordered("o-3"))
    done, failed = exported.get_finished_spans()
    assert (done.name, (done.attributes or {})["messaging.batch.message_count"]) == ("send", 3)
    assert (failed.name, failed.status.status_code) == ("send ordered", trace.StatusCode.ERROR)


async def test_attempts_are_spans_of_their_own(
    exported: InMemorySpanExporter, caplog: pytest.LogCaptureFixture
) -> None:
    """A failure stands in the span of its run, with its type; the next run is another span, and says which it is."""
    caplog.set_level(logging.WARNING)
    billing = Service("billing", publishes=(Ordered,))
    runs: list[int] = []

    @billing.on(Ordered, retry=Retry.on(TimeoutError).inline(1).later("1ms"))
    async def charge(_order: Ordered, context: Context) -> None:
        runs.append(context.attempt)
        if len(runs) < 3:
            raise TimeoutError("the bank is slow")

    async with running(billing, broker=MEMORY, dev=True):
        with trace.get_tracer("web").start_as_current_span("POST /orders"):
            await billing.publish(Ordered("o-1"))
        await until(lambda: len(by_handler(exported, "charge")) == 3)
    first, second, third = by_handler(exported, "charge")
    assert [(each.attributes or {})["mainstem.attempt"] for each in (first, second, third)] == [1, 2, 3]
    for failed in (first, second):
        assert (failed.status.status_code, failed.status.description) == (
            trace.StatusCode.ERROR,
            "TimeoutError: the bank is slow",
        )
        assert (failed.attributes or {})["error.type"] == "TimeoutError"
        assert [each.name for each in failed.events] == ["exception"]
    assert third.status.status_code is trace.StatusCode.UNSET
    assert first.context is not None
    assert f"trace={first.context.trace_id:032x}]" in caplog.text


async def test_what_cannot_be_published_is_a_failure_of_the_run(exported: InMemorySpanExporter) -> None:
    """Encoding what a handler returns belongs to its run."""
    billing = Service("billing", publishes=(Ordered,))

    @billing.on(Ordered)
    async def charge(_order: Ordered) -> Billed:
        return Sent("o-1")  # type: ignore[return-value]

    async with running(billing, broker=MEMORY, dev=True) as process:
        await billing.publish(Ordered("o-1"))
        await until(lambda: len(by_handler(exported, "charge")) == 1)
        await caught_up(process)
    [span] = by_handler(exported, "charge")
    assert (span.attributes or {})["error.type"] == "EventRefused"


async def test_a_plain_function_that_took_too_long_has_failed(exported: InMemorySpanExporter) -> None:
    """A thread cannot be stopped; its span says what became of its work."""
    billing = Service("billing", publishes=(Ordered,))

    @billing.on(Ordered, timeout="1ms")
    def charge(_order: Ordered) -> None:
        time.sleep(0.005)

    async with running(billing, broker=MEMORY, dev=True):
        await billing.publish(Ordered("o-1"))
        await until(lambda: len(by_handler(exported, "charge")) > 0)
    spans = by_handler(exported, "charge")
    assert {(each.attributes or {})["error.type"] for each in spans} == {"HandlerTimeout"}


@pytest.mark.parametrize("plain", [False, True])
async def test_a_batch_links_to_all_its_events(exported: InMemorySpanExporter, *, plain: bool) -> None:
    """Many events have no one parent: their span begins a trace, and what it publishes belongs to that."""
    shop, billing, seen = Service("shop", publishes=(Ordered,)), Service("billing", lanes=1), Collected("seen", Billed)
    shop.topic("ordered", partitions=1)

    def charge(orders: list[Ordered]) -> list[Billed]:
        return [Billed(each.order) for each in orders]

    async def charge_soon(orders: list[Ordered]) -> list[Billed]:
        return charge(orders)

    billing.on(Ordered, name="charge")(charge if plain else charge_soon)
    async with running(shop, broker=MEMORY, dev=True, consume=False) as process:
        for number in range(3):
            await shop.publish(Ordered(f"o-{number}"), Ordered(f"p-{number}"))
        async with running(billing, seen.service, broker=process.broker, dev=True):
            await until(lambda: len(seen.events) == 6)
    publishing = [span_id(each) for each in exported.get_finished_spans() if each.name == "send ordered"]
    spans = by_handler(exported, "charge")
    assert {link.context.span_id for each in spans for link in each.links} == set(publishing)
    assert sum(int(str((each.attributes or {})["messaging.batch.message_count"])) for each in spans) == 6
    assert {parent_of(each) for each in spans} == {None}
    assert {parent_of(each) for each in by_handler(exported, "collect")} == {span_id(each) for each in spans}


async def test_a_timer_begins_a_trace(exported: InMemorySpanExporter) -> None:
    """It is due when nobody remembers who has set it; it has no offset."""
    billing = Service("billing", publishes=(Ordered,))

    @billing.on(Ordered)
    async def charge(_order: Ordered, context: Context) -> None:
        context.wake("remind", after="1ms")

    @billing.on_timer("remind")
    async def remind(_context: Context) -> None:
        pass

    async with running(billing, broker=MEMORY, dev=True):
        await billing.publish(Ordered("o-1"))
        await until(lambda: len(by_handler(exported, "remind")) == 1)
    [span] = by_handler(exported, "remind")
    assert (span.name, span.parent) == ("process $timer:remind", None)
    assert "mainstem.offset" not in (span.attributes or {})


async def test_what_is_not_sampled_stays_so() -> None:
    """Whether a trace is recorded is decided where it begins; its context goes on all the same."""
    trace.set_tracer_provider(TracerProvider(sampler=ALWAYS_OFF))
    billing, mail = Service("billing", publishes=(Ordered,)), Service("mail")
    carried: list[str | None] = []

    @billing.on(Ordered)
    async def charge(order: Ordered) -> Billed:
        return Billed(order.order)

    @mail.on(Billed)
    async def send(_billed: Billed, context: Context) -> None:
        carried.append(context.traceparent)

    async with running(billing, mail, broker=MEMORY, dev=True):
        await billing.publish(Ordered("o-1"))
        await until(lambda: len(carried) == 1)
    assert carried[0] is not None
    assert not int(carried[0][-2:], 16) & trace.TraceFlags.SAMPLED


async def test_what_is_handled_is_counted_once(measured: Measured) -> None:
    """Counters grow as long as the process lives, while a task's own begin anew with each take-over."""
    billing = Service("billing", publishes=(Ordered, Sent))

    @billing.on(Ordered)
    async def charge(order: Ordered) -> Billed:
        return Billed(order.order)

    async with running(billing, broker=MEMORY, dev=True, consume=False) as process:
        await billing.publish(*(Ordered(f"o-{number}") for number in range(30)))
        for _ in range(2):
            async with running(billing, broker=process.broker, dev=True) as consuming:
                await billing.publish(*(Ordered(f"p-{number}") for number in range(20)))
                await caught_up(consuming)
    found = measured.now()
    assert by_group(found, "mainstem.events.handled", "billing") == {"": 70}
    assert by_group(found, "mainstem.tasks.taken_over", "billing") == {"": 16}
    assert by_group(found, "messaging.client.consumed.messages", "billing") == {"mainstem poll receive ordered": 70}
    sent = {labels["messaging.destination.name"]: number for number, labels in found["messaging.client.sent.messages"]}
    assert (sent["ordered"], sent["billed"]) == (70, 70)
    [commits] = by_group(found, "messaging.client.operation.duration", "billing").values()
    assert commits >= 16
    [runs] = by_group(found, "messaging.process.duration", "billing").values()
    assert 1 <= runs <= 40, "one run of a batch is on the clock"


async def test_what_goes_wrong_is_counted(measured: Measured) -> None:
    """Retried, parked, dead-lettered and passed over: by handler, and never by what is in an event."""
    shop = Service("shop", publishes=(Ordered, Strange))
    billing = Service("billing")
    dead = asyncio.Event()

    @billing.on(Ordered, retry=Retry.on(TimeoutError).inline(1).later("1ms"))
    async def charge(_order: Ordered, context: Context) -> None:
        if context.attempt == 3:
            dead.set()
        raise TimeoutError

    async with running(shop, billing, broker=MEMORY, dev=True) as process:
        await shop.publish(Ordered("o-1"), Strange("s-1"), Strange("s-2"))
        await dead.wait()
        await until(lambda: by_group(measured.now(), "mainstem.events.dead_lettered", "billing") == {"charge": 1})
        await caught_up(process)
    found = measured.now()
    assert by_group(found, "mainstem.events.retried", "billing") == {"charge": 2}
    assert by_group(found, "mainstem.events.parked", "billing") == {"charge": 1}
    assert by_group(found, "mainstem.events.skipped", "billing") == {"": 2}


async def test_how_the_tasks_stand_is_told_when_somebody_collects(measured: Measured) -> None:
    """Lag by partition in records and in time; keys that wait, timers and tasks; to a thread of the collector."""
    billing = Service("billing", publishes=(Ordered,), lanes=1)
    billing.topic("ordered", partitions=1)
    go = asyncio.Event()
    failing = {"park": TimeoutError, "die": ValueError}

    @billing.on(Ordered, retry=Retry.on(TimeoutError).later("1h").also_on(ValueError).dead_letter())
    async def charge(order: Ordered, context: Context) -> None:
        context.wake("remind", after="1h")
        await (go.wait() if order.order == "wait" else asyncio.sleep(0))
        if order.order in failing:
            raise failing[order.order]

    @billing.on_timer("remind")
    async def remind(_context: Context) -> None: ...

    async def collected(name: str) -> dict[str, float]:
        return by_group(await asyncio.to_thread(measured.now), name, "billing")

    async def parked() -> bool:
        return await collected("mainstem.keys.parked") == {"charge": 1, "remind": 0}

    async with running(billing, broker=MEMORY, dev=True) as process:
        await billing.publish(Ordered("fine"), Ordered("park"), Ordered("die"))
        await caught_up(process)
        await until(parked, within_seconds=15)
        assert await collected("mainstem.keys.dead_lettered") == {"charge": 1, "remind": 0}

        async def aged() -> bool:
            ages = await collected("mainstem.keys.dead_lettered.age")
            return ages["remind"] == 0 < ages["charge"] < 60_000

        await until(aged, within_seconds=15)
        assert await collected("mainstem.timers.pending") == {"": 1}
        assert await collected("mainstem.tasks.owned") == {"": 1}
        assert (await collected("mainstem.lag.records"))["ordered 0"] == 0
        await billing.publish(Ordered("wait"), Ordered("fine"))

        async def behind() -> bool:
            return (await collected("mainstem.lag.records"))["ordered 0"] == 2

        await until(behind, within_seconds=15)
        assert (await collected("mainstem.lag.duration"))["ordered 0"] > 0
        go.set()
    assert await collected("mainstem.lag.records") == {}


async def test_who_collects_on_the_event_loop_does_not_stop_it(measured: Measured) -> None:
    """Nobody can wait there for what the loop has to say; the next collection has it."""
    billing = Service("billing", publishes=(Ordered,), tasks=2)

    @billing.on(Ordered)
    async def charge(_order: Ordered) -> None: ...

    async with running(billing, broker=MEMORY, dev=True) as process:
        await owned(process)
        assert by_group(measured.now(), "mainstem.tasks.owned", "billing") == {}
        await until(lambda: by_group(measured.now(), "mainstem.tasks.owned", "billing") == {"": 2})


def test_every_measurement_is_documented() -> None:
    """The page has each name with its kind, unit and meaning, and no other; and every label."""
    page = (Path(__file__).parents[2] / "docs" / "telemetry.md").read_text(encoding="utf-8")
    declared = {
        (each.name, type(each).__name__.lower(), each.unit, each.description)
        for module in (counted, gate, lag, runs)
        for each in vars(module).values()
        if isinstance(each, Counter | Histogram | Gauge)
    }
    rows = re.findall(r"^\| `([\w.]+)` \| (\w+) \| `([^`]+)` \| [\w, ]+ \| ([^|]+) \|$", page, re.MULTILINE)
    assert set(rows) == declared
    labels = [value for name, value in vars(telemetry).items() if name.isupper() and isinstance(value, str)]
    assert [each for each in labels if f"`{each}`" not in page and not each.startswith("https:")] == []
