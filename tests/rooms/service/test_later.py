"""Events that are published later from outside a handler: kept by a group, once, also when nobody runs it."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from mainstem import Context, Deduplicate, Service
from mainstem.broker import Record, TopicPartition
from mainstem.broker.sqlite import SqliteBroker
from mainstem.delivery import Command, encode_command
from mainstem.errors import DefinitionError, EventRefused, NotAnswered, RecordTooLarge, UnknownTopic
from mainstem.service import Running
from mainstem.state import Owner
from tests.journeys.conditions import Collected, until
from tests.rooms.service.events import GoldReached, OrderPaid, embedded


def shop(**options: object) -> Service:
    """A service that handles something else than what it publishes later."""
    service = Service("shop", tasks=4, publishes=(GoldReached,), **options)  # type: ignore[arg-type]

    @service.on(OrderPaid)
    async def note(_order: OrderPaid) -> None:
        """Nothing to do."""

    return service


def waiting(process: Running) -> int:
    """How many events wait."""
    rows = [process.broker.rows("shop", task) for task in range(4)]
    return sum(len(each.scan("$scheduled", b"", None, limit=100)) for each in rows)


async def test_what_another_process_puts_off_is_published_once_by_the_group(tmp_path: Path) -> None:
    """That process only publishes, and nobody runs the group meanwhile; what is due by then comes at its start."""
    url, heard = f"sqlite:///{tmp_path}/shop.db", Collected("heard", GoldReached)
    service = shop()
    async with service.running(broker=url, dev=True):
        pass
    async with service.running(broker=url, consume=False):
        for number in range(5):
            await service.later.publish(GoldReached(f"c-{number}"), after="10ms")
        await service.later.publish(GoldReached("never"), after="1d")
    async with heard.service.running(broker=url, dev=True), service.running(broker=url, dev=True) as process:
        await until(lambda: len(heard.events) == 5)
        await until(lambda: waiting(process) == 1)
    assert sorted(each.customer_id for each in heard.events) == [f"c-{number}" for number in range(5)]


async def test_it_is_taken_back_by_its_handle() -> None:
    """The answer says whether there was anything to take back; a strange handle finds nothing."""
    async with embedded() as broker:
        service = shop()
        async with service.running(broker=broker, dev=True) as process:
            handle = await service.later.publish(GoldReached("c-1"), after="1h")
            named = await service.later.publish(GoldReached("c-1"), after="1h", name="gold")
            assert named == "gold"
            await until(lambda: waiting(process) == 2)
            assert await service.later.cancel(handle) is True
            assert await service.later.cancel(handle) is False
            assert await service.later.cancel("gold") is True
            assert await service.later.cancel("silver") is False
            assert await service.later.cancel(f"77/{handle.partition('/')[2]}") is False
            await until(lambda: waiting(process) == 0)


async def test_a_call_under_a_name_replaces_what_waits() -> None:
    """Whoever repeats one, because its outcome is unknown, has scheduled one event."""
    async with embedded() as broker:
        service, heard = shop(), Collected("heard", GoldReached)
        async with heard.service.running(broker=broker, dev=True), service.running(broker=broker, dev=True) as process:
            due_ms = process.clock.now_ms() + 300
            for customer in ("c-1", "c-2", "c-2"):
                await service.later.publish(GoldReached(customer), at=due_ms, name="gold")
            await until(lambda: bool(heard.events))
            await until(lambda: waiting(process) == 0)
        assert heard.events == [GoldReached("c-2")]


async def test_with_a_time_the_same_name_gives_the_same_id() -> None:
    """So that a call which is repeated after the event was published is known again, by who keeps doubles away."""
    ids: list[str] = []
    kept: list[str] = []
    reader = Service("reader")

    @reader.on(GoldReached)
    async def look(_gold: GoldReached, context: Context) -> None:
        ids.append(context.event_id)

    @reader.on(GoldReached, deduplicate=Deduplicate("1d"))
    async def once(_gold: GoldReached, context: Context) -> None:
        kept.append(context.event_id)

    async with embedded() as broker:
        service = shop()
        async with reader.running(broker=broker, dev=True), service.running(broker=broker, dev=True):
            for count in (1, 2):
                await service.later.publish(GoldReached("c-1"), at=1_000_000_000_000, name="gold")
                await until(lambda count=count: len(ids) == count)
            assert ids[0] == ids[1]
            await service.later.publish(GoldReached("c-1"), at=1_000_000_000_001, name="gold")
            await until(lambda: len(ids) == 3)
            assert ids[2] != ids[0]
            await until(lambda: len(kept) == 2)
        assert kept == ids[1:]


async def test_events_of_a_key_keep_their_order() -> None:
    """What is due first comes first; of those due at the same time, what was scheduled first."""
    async with embedded() as broker:
        service, heard = shop(), Collected("heard", GoldReached, OrderPaid)
        service.published = (*service.published, *Service("x", publishes=(OrderPaid,)).published)
        async with heard.service.running(broker=broker, dev=True), service.running(broker=broker, dev=True) as process:
            due_ms = process.clock.now_ms() + 200
            for number in range(20):
                await service.later.publish(OrderPaid("c-1", number), at=due_ms + number // 10)
            await until(lambda: len(heard.events) == 20)
        assert [each.amount_cents for each in heard.events if isinstance(each, OrderPaid)] == list(range(20))


async def test_a_thread_waits_for_the_handle_and_for_the_answer() -> None:
    """As for publishing at once."""
    async with embedded() as broker:
        service = shop()

        def work() -> tuple[str, bool]:
            handle = service.later.publish(GoldReached("c-1"), after="1h").result(10)
            return handle, service.later.cancel(handle).result(10)

        async with service.running(broker=broker, dev=True):
            with ThreadPoolExecutor(1) as threads:
                handle, found = await asyncio.get_running_loop().run_in_executor(threads, work)
        assert "/" in handle
        assert found


async def test_nobody_answers() -> None:
    """The error says so; the event is taken back when the group is started."""
    async with embedded() as broker:
        service = shop()
        async with service.running(broker=broker, dev=True):
            handle = await service.later.publish(GoldReached("c-1"), after="1h")
        async with service.running(broker=broker, dev=True, consume=False):
            with pytest.raises(NotAnswered, match="no process runs the group"):
                await service.later.cancel(handle, wait="50ms")
        async with service.running(broker=broker, dev=True) as process:
            await until(lambda: waiting(process) == 0)


async def test_what_is_refused() -> None:
    """At once, and not when it is due."""
    async with embedded() as broker:
        service = shop()
        async with service.running(broker=broker, dev=True):
            later = service.later
            with pytest.raises(EventRefused, match="not among the events"):
                await later.publish(OrderPaid("c-1"), after="1h")
            with pytest.raises(DefinitionError, match="either after= or at="):
                await later.publish(GoldReached("c-1"))
            with pytest.raises(DefinitionError, match="no time zone"):
                await later.publish(GoldReached("c-1"), at=datetime(2026, 1, 1))  # noqa: DTZ001 - that is it
            with pytest.raises(DefinitionError, match="cannot be called"):
                await later.publish(GoldReached("c-1"), after="1h", name="")
            handle = await later.publish(GoldReached("c-1"), after="1h")
            with pytest.raises(DefinitionError, match="looks like a handle"):
                await later.publish(GoldReached("c-1"), after="1h", name=handle)
            with pytest.raises(RecordTooLarge, match="in the inbox"):
                await later.publish(GoldReached("x" * 450_000), after="1h")
        with pytest.raises(EventRefused, match="not running"):
            await service.later.publish(GoldReached("c-1"), after="1h")


@pytest.mark.parametrize("options", [{"delivery": "at_least_once"}, None])
async def test_somebody_must_be_there_to_keep_it(options: dict[str, object] | None) -> None:
    """A service without handlers has no group, and one that is delivered at least once has no memory."""
    service = Service("shop", publishes=(GoldReached,)) if options is None else shop(**options)
    async with embedded() as broker, service.running(broker=broker, dev=True):
        with pytest.raises(DefinitionError, match="nobody could keep"):
            await service.later.publish(GoldReached("c-1"), after="1h")


async def test_the_group_must_have_been_started_once() -> None:
    """Otherwise there is nothing that a command could be put into, and the error says what to do."""
    async with embedded() as broker:
        service = shop()
        async with service.running(broker=broker, dev=True, consume=False):
            with pytest.raises(UnknownTopic, match="never been started") as caught:
                await service.later.publish(GoldReached("c-1"), after="1h")
            assert "start the service" in str(caught.value)


async def test_a_handler_uses_its_context() -> None:
    """From within one it would escape the commit."""
    refused: list[str] = []
    service = Service("shop", publishes=(OrderPaid, GoldReached))

    @service.on(OrderPaid)
    async def put_off(_order: OrderPaid) -> None:
        with pytest.raises(EventRefused) as caught:
            service.later.publish(GoldReached("c-1"), after="1h")
        refused.append(str(caught.value))

    async with embedded() as broker, service.running(broker=broker, dev=True):
        await service.publish(OrderPaid("c-1"))
        await until(lambda: bool(refused))
    assert "context.publish_later" in refused[0]


async def test_a_command_that_means_nothing_stops_nobody() -> None:
    """One with a place that is none is passed over, one without an event is refused in its answer."""
    async with embedded() as broker:
        service = shop()
        async with service.running(broker=broker, dev=True) as process:
            at = TopicPartition("shop.inbox", 0)
            place = Owner("x", outside=True).row
            for command in (
                Command("1", "cancel", "", b"\x00\x00\x00\x01\x02\xff\xfe"),
                Command("2", "publish-later", "", place, at_ms=5, value=b"nothing"),
                Command("3", "cancel", "", place),
            ):
                await broker.log.append(at, [Record(b"", encode_command(command), 1)])
            await until(lambda: len(answers(broker)) == 2)
            assert waiting(process) == 0
        refused, nothing = answers(broker)
        assert refused["id"] == "2"
        assert refused["refused"] is True
        assert (nothing["id"], nothing["found"]) == ("3", 0)


def answers(broker: SqliteBroker) -> list[dict[str, object]]:
    """What commands were answered."""
    found: list[dict[str, object]] = []
    reader = broker.log.reader({TopicPartition("shop.answers", 0): 0})
    while batch := reader.take():
        found += [msgspec.json.decode(value) for value in batch.values if value]
    reader.close()
    return found
