"""A running process: how it begins, what it tells, how it ends."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from mainstem import Context, Handlers, Service, running
from mainstem.broker import TopicPartition
from mainstem.broker.sqlite import SqliteBroker
from mainstem.errors import DatabaseFailed, DefinitionError
from mainstem.service import ONE_WISH_SECONDS, TaskStatistics, serve
from mainstem.settings import Settings
from tests.journeys.conditions import Collected, owned, until
from tests.rooms.service.events import GoldReached, OrderPaid, embedded

MEMORY = "sqlite:///:memory:"


async def test_the_first_line_names_the_broker(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """Whoever reads the log sees at once which file or cluster this is; then which groups run."""
    shop = Collected("shop", OrderPaid)
    with caplog.at_level(logging.INFO, logger="mainstem"):
        async with shop.service.running(broker=f"sqlite:///{tmp_path}/shop.db", dev=True):
            pass
    lines = [record.getMessage() for record in caplog.records]
    assert f"{tmp_path}/shop.db" in lines[0]
    assert "group 'shop' of service 'shop': 8 tasks, 64 lanes" in lines


async def test_a_broker_that_is_given_stays_open() -> None:
    """Who has opened a broker closes it; services that share one may come and go."""
    shop = Service("shop", publishes=(OrderPaid,))
    async with embedded() as broker:
        async with shop.running(broker=broker, dev=True):
            await shop.publish(OrderPaid("c-1"))
        async with shop.running(broker=broker, dev=True):
            await shop.publish(OrderPaid("c-1"))
        ends = (await broker.admin.topics(["orders"]))["orders"].ends
        assert sum(ends) == 2


async def test_who_only_publishes_handles_nothing() -> None:
    """With ``consume=False`` the group is not joined, and no entry is written to the catalogue."""
    shop = Collected("shop", OrderPaid)
    async with embedded() as broker, shop.service.running(broker=broker, dev=True, consume=False) as process:
        assert await broker.admin.groups() == {}
        assert process.plans == []
        assert (await broker.admin.topics(["mainstem.catalogue"]))["mainstem.catalogue"].ends == (0,)


async def test_statistics_tell_where_every_task_stands() -> None:
    """Counters, positions and lag of each task that this process owns."""
    shop = Collected("shop", OrderPaid)
    source = Service("source", publishes=(OrderPaid,))
    source.topic("orders", partitions=2)
    async with running(source, shop.service, broker=MEMORY, dev=True) as process:
        await source.publish(*[OrderPaid(f"c-{n}") for n in range(100)])
        await until(lambda: len(shop.events) == 100)

        async def caught_up() -> bool:
            found = await process.statistics()
            return [(each.group, each.task, each.lag) for each in found] == [("shop", 0, 0), ("shop", 1, 0)]

        await until(caught_up)
        found = await process.statistics()
        assert sum(each.counters.handled for each in found) == 100
        assert all(each.in_flight == 0 and each.counters.commits > 0 for each in found)
        read = {at: offset for each in found for at, offset in each.positions.items() if at.topic == "orders"}
        assert set(read) == {TopicPartition("orders", 0), TopicPartition("orders", 1)}
        assert sum(read.values()) == 100


async def test_statistics_are_those_of_their_moment() -> None:
    """What was handed out stays as it is while the task goes on counting, and changing it changes no count."""
    shop, source = Collected("shop", OrderPaid), Service("source", publishes=(OrderPaid,))
    source.topic("orders", partitions=1)
    async with running(source, shop.service, broker=MEMORY, dev=True) as process:
        found: list[TaskStatistics] = []

        async def counted(handled: int) -> bool:
            found[:] = await process.statistics()
            return found[0].counters.handled == handled

        await source.publish(OrderPaid("c-1"))
        await until(lambda: counted(1))
        first = found[0].counters
        first.skipped["Invented"] = 1
        await source.publish(OrderPaid("c-1"))
        await until(lambda: counted(2))
        assert (first.handled, found[0].counters.skipped) == (1, {})


async def test_lag_is_what_is_not_committed() -> None:
    """While a handler is at an event, its offset counts, and the event is in flight."""
    shop, source = Service("shop"), Service("source", publishes=(OrderPaid,))
    source.topic("orders", partitions=1)
    begun, done = asyncio.Event(), asyncio.Event()

    @shop.on(OrderPaid)
    async def wait(order: OrderPaid) -> None:
        begun.set()
        await done.wait()

    async with running(source, shop, broker=MEMORY, dev=True) as process:
        await source.publish(OrderPaid("c-1"), OrderPaid("c-2"))
        await begun.wait()
        [found] = await process.statistics()
        assert (found.lag, found.in_flight) == (2, 2)
        done.set()


async def test_a_group_that_fails_ends_the_block() -> None:
    """Whoever waits inside is woken, and the group's own error comes out."""
    first, renamed = Collected("shop", OrderPaid), Service("shop")

    @renamed.on(OrderPaid, name="another")
    async def another(order: OrderPaid) -> None: ...

    async with embedded() as broker:
        async with first.service.running(broker=broker, dev=True) as process:
            await owned(process)
        with pytest.raises(DefinitionError, match="remembers handlers that nobody registers: 'collect'"):
            async with renamed.running(broker=broker):
                await asyncio.Event().wait()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_what_a_group_fails_with_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """Whole where it is raised; the log says it in a line, and the way out is one that works."""
    first, renamed = Collected("shop", OrderPaid), Service("shop")

    @renamed.on(OrderPaid, name="another")
    async def another(order: OrderPaid) -> None: ...

    async with embedded() as broker:
        async with first.service.running(broker=broker, dev=True) as process:
            await owned(process)
        with pytest.raises(DefinitionError) as raised:
            async with renamed.running(broker=broker):
                await asyncio.Event().wait()
    [line] = [each.getMessage() for each in caplog.records if "a group has failed" in each.getMessage()]
    assert line == f"a group has failed: {raised.value.what}"
    assert "mainstem retire shop collect --yes, with the --dev or --broker" in raised.value.remedy


async def test_a_handler_is_renamed_in_play(caplog: pytest.LogCaptureFixture) -> None:
    """With ``dev`` nobody has to retire the old name where nothing waits for it; the log says that it is forgotten."""
    caplog.set_level("INFO", "mainstem")
    first, renamed = Collected("shop", OrderPaid), Service("shop", publishes=(OrderPaid,))
    seen = asyncio.Event()

    @renamed.on(OrderPaid, name="another")
    async def another(order: OrderPaid) -> None:
        seen.set()

    async with embedded() as broker:
        async with first.service.running(broker=broker, dev=True) as process:
            await owned(process)
        async with renamed.running(broker=broker, dev=True):
            await renamed.publish(OrderPaid("c-1"))
            await seen.wait()
    assert "nobody registers the handler 'collect' any more" in caplog.text


async def test_a_file_that_fails_ends_the_block(tmp_path: Path) -> None:
    """What the kernel still holds of it is unknown then: the process must not go on, even if it only publishes."""
    shop = Service("shop", publishes=(OrderPaid,))

    async def program() -> None:
        async with shop.running(broker=f"sqlite:///{tmp_path}/shop.db", dev=True, consume=False) as process:
            assert isinstance(process.broker, SqliteBroker)
            process.broker.failed(DatabaseFailed("the disk is gone"))
            await asyncio.Event().wait()

    with pytest.raises(DatabaseFailed, match="the disk is gone"):
        await program()


async def test_an_error_in_the_block_comes_out_as_it_is() -> None:
    """The groups are drained all the same."""
    shop = Collected("shop", OrderPaid)
    async with embedded() as broker:
        with pytest.raises(KeyError):
            await fail_within(shop.service, broker_name=broker)
        assert (await broker.admin.groups(["shop"]))["shop"].members == ()


async def test_a_block_that_is_cancelled_while_it_drains_leaves_nothing_running() -> None:
    """What its groups work with is closed behind them, and not under them."""
    shop = Service("shop", publishes=(OrderPaid,))
    begun, leaving = asyncio.Event(), asyncio.Event()

    @shop.on(OrderPaid)
    async def wait(_order: OrderPaid) -> None:
        begun.set()
        await asyncio.Event().wait()

    async def program() -> None:
        async with shop.running(broker=MEMORY, dev=True, settings=Settings(grace_seconds=60)):
            await shop.publish(OrderPaid("c-1"))
            await begun.wait()
            leaving.set()

    mine = asyncio.all_tasks()
    ending = asyncio.create_task(program())
    await leaving.wait()
    await asyncio.sleep(0)
    ending.cancel()
    await asyncio.wait([ending])
    assert ending.cancelled()
    assert asyncio.all_tasks() == mine


async def fail_within(service: Service, broker_name: object) -> None:
    """Run a service, and fail."""
    async with service.running(broker=broker_name, dev=True) as process:  # type: ignore[arg-type]
        await owned(process)
        raise KeyError


async def test_a_cancelled_block_drains() -> None:
    """A program that is cancelled leaves the group in order, and stays cancelled."""
    shop = Collected("shop", OrderPaid)
    async with embedded() as broker:
        joined = asyncio.Event()

        async def program() -> None:
            async with shop.service.running(broker=broker, dev=True) as process:
                await owned(process)
                joined.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(program())
        await until(lambda: joined.is_set() or task.done())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await broker.admin.groups(["shop"]))["shop"].members == ()


async def test_who_cancels_is_heard_also_when_a_group_fails() -> None:
    """A failing group does not turn somebody else's cancellation into an error of its own."""
    shop, source = Service("shop", grace="1s"), Service("source", publishes=(OrderPaid,))
    begun = asyncio.Event()
    both: list[asyncio.Task[None]] = []

    @shop.on(OrderPaid)
    async def end(order: OrderPaid) -> None:
        begun.set()

    async def program() -> None:
        async with running(source, shop, broker=MEMORY, dev=True) as process:
            await source.publish(OrderPaid("c-1"))
            await begun.wait()
            assert isinstance(process.broker, SqliteBroker)
            both[0].cancel()
            process.broker.failed(DatabaseFailed("the disk is gone"))
            await asyncio.Event().wait()

    both.append(asyncio.create_task(program()))
    with pytest.raises(asyncio.CancelledError):
        await both[0]


async def test_draining_finishes_what_has_begun() -> None:
    """At the end of the block a handler that has begun is waited for, and what it did is committed."""
    shop, source = Service("shop"), Service("source", publishes=(OrderPaid,))
    seen = shop.store("seen", int)
    begun, done = asyncio.Event(), asyncio.Event()

    @shop.on(OrderPaid)
    async def slow(order: OrderPaid, context: Context) -> GoldReached:
        begun.set()
        await done.wait()
        context.put(seen, 1)
        return GoldReached(order.customer_id)

    async with embedded() as broker:
        async with running(source, shop, broker=broker, dev=True):
            await source.publish(OrderPaid("c-1"))
            await begun.wait()
            asyncio.get_running_loop().call_later(0.02, done.set)
        assert sum((await broker.admin.topics(["loyalty"]))["loyalty"].ends) == 1
        rows = [broker.rows("shop", task).get_many("seen", [b"c-1"]) for task in range(8)]
        assert sum(map(len, rows)) == 1


async def test_after_the_grace_period_nobody_is_waited_for() -> None:
    """A handler that does not end is abandoned, and its event is handled by the next owner."""
    source = Service("source", publishes=(OrderPaid,))
    stuck, begun = Service("shop", grace="20ms"), asyncio.Event()

    @stuck.on(OrderPaid, name="collect")
    async def never(order: OrderPaid) -> None:
        begun.set()
        await asyncio.Event().wait()

    next_one = Collected("shop", OrderPaid)
    async with embedded() as broker:
        async with running(source, stuck, broker=broker, dev=True):
            await source.publish(OrderPaid("c-1"))
            await begun.wait()
        async with next_one.service.running(broker=broker, dev=True):
            await until(lambda: next_one.events == [OrderPaid("c-1")])


async def test_included_handlers_run() -> None:
    """Handlers of another file, and their stores, live in the group that includes them."""
    orders, shop, source = Handlers(), Service("shop"), Service("source", publishes=(OrderPaid,))
    seen = orders.store("seen", int)

    @orders.on(OrderPaid)
    async def count(order: OrderPaid, context: Context) -> GoldReached:
        context.put(seen, context.get(seen, 0) + 1)
        return GoldReached(order.customer_id)

    shop.include(orders)
    gold = Collected("gold", GoldReached)
    async with running(source, shop, gold.service, broker=MEMORY, dev=True):
        await source.publish(OrderPaid("c-1"), OrderPaid("c-1"))
        await until(lambda: len(gold.events) == 2)


async def test_groups_of_a_service_do_not_hold_each_other_back() -> None:
    """A group of its own reads on while the service's other handlers wait."""
    shop, source = Service("shop"), Service("source", publishes=(OrderPaid,))
    mailer = shop.group("mailer", lanes=200)
    mailed: list[OrderPaid] = []
    done = asyncio.Event()

    @shop.on(OrderPaid)
    async def slow(order: OrderPaid) -> None:
        await done.wait()

    @mailer.on(OrderPaid)
    async def mail(order: OrderPaid) -> None:
        mailed.append(order)

    async with running(source, shop, broker=MEMORY, dev=True) as process:
        assert set(process.runners) == {"shop", "shop.mailer"}
        await source.publish(*[OrderPaid("c-1") for _ in range(10)])
        await until(lambda: len(mailed) == 10)
        done.set()


async def test_nothing_is_declared_while_it_runs() -> None:
    """A handler or store that comes too late would have no effect, so it is refused; afterwards it is welcome."""
    shop, orders = Service("shop"), Handlers()
    shop.include(orders)

    async def late(order: OrderPaid) -> None: ...

    async with shop.running(broker=MEMORY, dev=True):
        for declare in (
            lambda: shop.on(OrderPaid)(late),
            lambda: orders.on(OrderPaid)(late),
            lambda: orders.store("spent", int),
            lambda: shop.include(Handlers()),
        ):
            with pytest.raises(DefinitionError, match="the service is running"):
                declare()
    orders.on(OrderPaid)(late)


async def test_a_signal_drains() -> None:
    """SIGTERM ends ``serve`` as the end of a block would, and the signal handlers are taken away again."""
    before = signal.getsignal(signal.SIGTERM)
    shop, source = Collected("shop", OrderPaid), Service("source", publishes=(OrderPaid,))
    async with embedded() as broker:
        serving = asyncio.create_task(serve(source, shop.service, broker=broker, dev=True, settings=Settings()))
        await until(lambda: bool(source.reaches))
        await source.publish(OrderPaid("c-1"))
        await until(lambda: len(shop.events) == 1)
        os.kill(os.getpid(), signal.SIGTERM)
        await serving
        assert (await broker.admin.groups(["shop"]))["shop"].members == ()
    assert signal.getsignal(signal.SIGTERM) == before


async def test_serving_ends_with_the_error_of_a_group() -> None:
    """A process whose group cannot run must not stay, and look alive."""
    shop, renamed = Collected("shop", OrderPaid), Service("shop")

    @renamed.on(OrderPaid, name="another")
    async def another(order: OrderPaid) -> None: ...

    async with embedded() as broker:
        async with shop.service.running(broker=broker, dev=True) as process:
            await owned(process)
        with pytest.raises(DefinitionError, match="remembers handlers"):
            await serve(renamed, broker=broker, settings=Settings())


STUBBORN = """
import asyncio, sys
from mainstem import IntegrationEvent, Service
from mainstem.service import TaskStatistics, serve

class OrderPaid(IntegrationEvent, topic="orders", key="customer_id"):
    customer_id: str

shop = Service("shop", publishes=(OrderPaid,), grace="60s")

@shop.on(OrderPaid)
async def never(order: OrderPaid) -> None:
    print("begun", flush=True)
    await asyncio.Event().wait()

@shop.on_startup
async def begin() -> None:
    await shop.publish(OrderPaid("c-1"))

asyncio.run(serve(shop, broker=sys.argv[1], dev=True))
"""


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    """Whoever does not want to wait for the grace period says so again, and the process is gone."""
    program = tmp_path / "stubborn.py"
    program.write_text(STUBBORN)
    with subprocess.Popen(
        [sys.executable, program, f"sqlite:///{tmp_path}/shop.db"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        try:
            process.send_signal(signal.SIGTERM)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(ONE_WISH_SECONDS)
            for _ in range(20):  # it may have heard the first one late, so that the second belongs to it
                process.send_signal(signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(2 * ONE_WISH_SECONDS)
                    break
            assert process.returncode == 128 + signal.SIGTERM
        finally:
            process.kill()


HANGING = """
import asyncio, sys
from mainstem import Service
from mainstem.service import TaskStatistics, serve
from mainstem.service.process import signals

signals.OVERTIME_SECONDS = 0.3

shop = Service("shop", grace="100ms")

@shop.on_shutdown
async def hang() -> None:
    await asyncio.Event().wait()

@shop.on_startup
async def begin() -> None:
    print("begun", flush=True)

asyncio.run(serve(shop, broker=sys.argv[1], dev=True))
"""


def test_whoever_does_not_end_is_ended(tmp_path: Path) -> None:
    """Whatever holds it up, a while after the grace period the process is gone, and says where it stood."""
    program = tmp_path / "hanging.py"
    program.write_text(HANGING)
    with subprocess.Popen(
        [sys.executable, program, f"sqlite:///{tmp_path}/shop.db"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"begun\n"
        try:
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 1
            assert b"most recent call first" in process.stderr.read()
        finally:
            process.kill()


def collecting(found: list[OrderPaid], **options: Any) -> Service:
    """A service that keeps what it is sent."""
    service = Service("shop", publishes=(OrderPaid,), **options)

    @service.on(OrderPaid, name="collect")
    async def collect(order: OrderPaid) -> None:
        found.append(order)

    return service


async def test_the_block_begins_when_the_tasks_are_owned() -> None:
    """A group that starts at the latest sees what is published as the first thing in the block."""
    found: list[OrderPaid] = []
    shop = collecting(found, start="latest")
    async with embedded() as broker, shop.running(broker=broker, dev=True) as process:
        assert len(process.runners["shop"].tasks) == 8
        await shop.publish(OrderPaid("c-1"))
        await until(lambda: len(found) == 1)


async def test_a_process_for_which_no_task_is_left_begins_at_once() -> None:
    """Nobody waits for what is another's."""
    first, second = collecting([], tasks=1), collecting([], tasks=1)
    patient = Settings(session_timeout_seconds=3_600)
    async with (
        embedded() as broker,
        first.running(broker=broker, dev=True, settings=patient),
        asyncio.timeout(5),
        second.running(broker=broker, dev=True, settings=patient) as process,
    ):
        assert process.runners["shop"].tasks == {}


async def test_nobody_waits_long_for_an_owner_that_drains() -> None:
    """After a session timeout the block begins, although another process has not given its tasks back yet."""
    first, second = Service("shop", publishes=(OrderPaid,), tasks=2), collecting([], tasks=2)
    busy: set[str] = set()
    done = asyncio.Event()

    @first.on(OrderPaid, name="collect")
    async def collect(order: OrderPaid) -> None:
        busy.add(order.customer_id)
        await done.wait()

    hasty = Settings(session_timeout_seconds=0.1)
    async with embedded() as broker, first.running(broker=broker, dev=True):
        await first.publish(*(OrderPaid(f"c-{n}") for n in range(20)))
        await until(lambda: len(busy) == 20)
        async with second.running(broker=broker, dev=True, settings=hasty) as process:
            assert process.runners["shop"].tasks == {}
            done.set()
            await until(lambda: any(each.positions for each in process.runners["shop"].tasks.values()))
