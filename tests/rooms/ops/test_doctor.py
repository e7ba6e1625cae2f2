"""``mainstem doctor``: what it finds on a real file, and what it makes of positions."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from mainstem import Breaker, Context, IntegrationEvent, Retry, Service, running
from mainstem.broker import GroupDescription, Reader, Record, TopicDescription, TopicPartition, TopicSpec, inbox_of
from mainstem.broker.sqlite.log import SqliteLog
from mainstem.delivery import NO_ALERTS, Alerts, Entry, Failure, Letter
from mainstem.delivery.failures import Status
from mainstem.events import partition_for
from mainstem.ops.doctor.letters import waiting_letters
from mainstem.ops.doctor.positions import drifted_inputs, idle_tasks, lost_positions, without_standby
from mainstem.resilience import BreakerRule, CallsWindow
from mainstem.service import Running
from mainstem.settings import Settings
from tests.journeys.conditions import until
from tests.rooms.ops.conftest import SHOP, Shell
from tests.rooms.ops.shop import OrderPaid, loyalty

ORDERS = "orders"


def examined(shell: Shell, *arguments: str) -> list[tuple[str, bool, str]]:
    """What it finds: the check, whether it is serious, and where."""
    result = shell("doctor", "--watch", "0.1", "--json", *arguments)
    found: list[dict[str, Any]] = msgspec.json.decode(result.stdout)
    assert result.exit_code == any(each["serious"] for each in found)
    assert all(each["what"] and each["remedy"] for each in found)
    return sorted((each["check"], each["serious"], each["where"]) for each in found)


async def handled(process: Running, count: int) -> bool:
    """Whether so many events have been."""
    return sum(each.counters.handled for each in await process.statistics()) == count


async def test_a_sound_broker_has_nothing(shell: Shell) -> None:
    """Where a group has handled everything there is nothing to say, whether it runs or not."""
    async with shell.running(loyalty) as process:
        await loyalty.publish(*(OrderPaid(f"c-{number}", 1) for number in range(20)))

        async def done() -> bool:
            return sum(each.counters.handled for each in await process.statistics()) == 20

        await until(done)
        assert await asyncio.to_thread(examined, shell, f"{SHOP}:loyalty") == []
    assert await asyncio.to_thread(examined, shell) == []
    assert "0 problems, 0 warnings" in (await shell.beside("doctor")).stdout


async def test_dead_letters_are_a_problem(shell: Shell) -> None:
    """A key that waits for a decision is told, with its group."""
    await shell.fail("c-1", "c-2")
    assert await asyncio.to_thread(examined, shell) == [("dead-letters", True, "group 'loyalty'")]


async def test_an_audit_topic_is_read_once(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is parked and what is held up stand in the same topic, which may be a long one."""
    await shell.fail("c-1")
    read: list[str] = []
    reader = SqliteLog.reader

    def counted(log: SqliteLog, positions: Mapping[TopicPartition, int]) -> Reader:
        read.extend({at.topic for at in positions})
        return reader(log, positions)

    monkeypatch.setattr(SqliteLog, "reader", counted)
    await asyncio.to_thread(examined, shell)
    assert read.count("loyalty.dead-letters") == 1


async def test_events_that_nobody_handles_and_keys_in_the_wrong_place_are_seen(shell: Shell) -> None:
    """A misspelt type, and records of a client with another partitioner, are found among the last of a topic."""
    stranger = {"ce_type": b"OrderPayed", "ce_id": b"1", "ce_source": b"/shop", "ce_specversion": b"1.0"}
    wrong = 1 - partition_for(b"c-1", 2)
    async with shell.running(loyalty) as process:
        await process.broker.log.append(TopicPartition(ORDERS, wrong), [Record(b"c-1", b"{}", 1, stranger)])

        async def passed_over() -> bool:
            return any(each.counters.skipped for each in await process.statistics())

        await until(passed_over)
    assert await asyncio.to_thread(examined, shell) == [
        ("foreign-partitioner", True, "topic 'orders'"),
        ("unhandled-type", False, "topic 'orders'"),
    ]
    assert "did you mean OrderPaid?" in (await shell.beside("doctor", "--watch", "0.1")).stdout


async def test_a_group_that_nobody_runs_falls_behind(shell: Shell) -> None:
    """Records that wait for a group without members are a warning, for it may be meant so."""
    async with shell.running(loyalty):
        pass
    async with loyalty.running(broker=shell.broker, dev=True, consume=False):
        await loyalty.publish(OrderPaid("c-1", 1))
    assert await asyncio.to_thread(examined, shell) == [("not-running", False, "group 'loyalty'")]


class Needed(IntegrationEvent, topic="needs", key="who"):
    who: str
    provider: str


async def test_what_holds_a_task_up_is_told(shell: Shell) -> None:
    """A task that stands still is paused, and not stuck; a breaker of one key is told beside it, until it closes."""
    service, away = Service("clerk", publishes=(Needed,)), asyncio.Event()
    rule = BreakerRule(window=CallsWindow(2), minimum_calls=2, open_ms=50, probes=1)
    service.topic("needs", partitions=1)

    @service.on(Needed, retry=Retry.on(OSError).pause("50ms"))
    async def wait(_event: Needed) -> None:
        if not away.is_set():
            raise OSError

    @service.on(Needed, breaker=Breaker(rule, by="provider"))
    async def send(_event: Needed) -> None:
        if not away.is_set():
            raise OSError

    async with service.running(broker=shell.broker, dev=True) as process:
        await service.publish(*(Needed(f"n{number}", "east") for number in range(10)))

        async def held() -> bool:
            return any(task.paused for group in (await process.health()).groups for task in group.tasks)

        await until(held)
        found = await asyncio.to_thread(examined, shell)
        assert ("paused", True, "group 'clerk', task 0") in found
        assert "stuck-task" not in [check for check, _, _ in found]
        away.set()

        async def over() -> bool:
            tasks = [task for group in (await process.health()).groups for task in group.tasks]
            return not any(task.paused or task.open_breakers for task in tasks)

        await until(over)
    found = await asyncio.to_thread(examined, shell)
    assert not {"paused", "open-breaker"} & {check for check, _, _ in found}


class Asked(IntegrationEvent, topic="asks", key=None):
    text: str


async def test_a_task_that_does_not_move_is_stuck(shell: Shell) -> None:
    """A task with an owner, and with something to read, that does not move between two looks."""
    desk, go_on = Service("desk", publishes=(Asked,)), asyncio.Event()
    desk.topic("asks", partitions=1)

    @desk.on(Asked)
    async def answer(_asked: Asked, _context: Context) -> None:
        await go_on.wait()

    async with running(desk, broker=shell.broker, dev=True) as process:
        await desk.publish(Asked("anybody there?"))

        async def begun() -> bool:
            return any(each.in_flight for each in await process.statistics())

        await until(begun)
        assert await asyncio.to_thread(examined, shell) == [("stuck-task", True, "group 'desk', task 0")]
        go_on.set()


async def test_topics_that_differ_from_what_is_declared_have_drifted(shell: Shell) -> None:
    """With services named, a topic that is missing is a problem, and one with other settings a warning."""
    async with shell.running(loyalty) as process:
        await process.broker.admin.alter(TopicSpec("gold", 1))
    assert await asyncio.to_thread(examined, shell, f"{SHOP}:loyalty") == [("drift", False, "topic 'gold'")]
    async with running(Service("nobody"), broker=shell.broker, dev=True) as process:
        await process.broker.admin.delete("gold")
    assert await asyncio.to_thread(examined, shell, f"{SHOP}:loyalty") == [("drift", True, "topic 'gold'")]


async def test_a_topic_that_was_replaced_has_lost_its_positions(shell: Shell) -> None:
    """A group that stands beyond the end of its input is told so, and where to go on is left to a person."""
    async with shell.running(loyalty) as process:
        await loyalty.publish(OrderPaid("c-1", 1))

        async def done() -> bool:
            return sum(each.counters.handled for each in await process.statistics()) == 1

        await until(done)
    async with running(Service("nobody"), broker=shell.broker, dev=True) as process:
        await process.broker.admin.delete(ORDERS)
        await process.broker.admin.create(TopicSpec(ORDERS, 2))
    lost = [("lost-position", True, f"group 'loyalty', task {task}") for task in range(2)]
    assert await asyncio.to_thread(examined, shell) == lost


# --- positions, as data


def described(starts: tuple[int, ...], ends: tuple[int, ...]) -> dict[str, TopicDescription]:
    """The topic of orders with these bounds, and an empty inbox."""
    inbox = inbox_of("shop")
    nothing = (0,) * len(starts)
    return {
        ORDERS: TopicDescription(TopicSpec(ORDERS, len(starts)), "id", starts, ends),
        inbox: TopicDescription(TopicSpec(inbox, len(starts)), "id", nothing, nothing),
    }


def group(positions: Mapping[int, int], *, partitions: int = 2) -> GroupDescription:
    """A group of two tasks with these positions, by partition of the orders."""
    at = {TopicPartition(ORDERS, number): offset for number, offset in positions.items()}
    inbox = {TopicPartition(inbox_of("shop"), number): 0 for number in range(2)}
    return GroupDescription("shop", "shop", 2, {ORDERS: partitions}, ("m",), ("m", "m"), (1, 1), {**inbox, **at})


@pytest.mark.parametrize(
    ("positions", "lost"),
    [
        ({0: 5, 1: 10}, []),
        ({0: 4, 1: 10}, ["stands at 4, and everything below 5 has been removed"]),
        ({0: 5, 1: 11}, ["stands at 11, beyond the end 10"]),
        ({0: 5}, ["has no position, and others of its task have one"]),
    ],
)
def test_positions_that_lie_outside_are_lost(positions: Mapping[int, int], lost: list[str]) -> None:
    """Below the start, beyond the end, or missing."""
    found = list(lost_positions(group(positions), described((5, 5), (10, 10))))
    assert len(found) == len(lost)
    assert all(words in each.what for words, each in zip(lost, found, strict=True))


def test_an_input_of_another_size_has_drifted() -> None:
    """A group remembers how many partitions its inputs had."""
    assert [each.what for each in drifted_inputs(group({}, partitions=3), described((0, 0), (0, 0)))] == [
        "its input 'orders' had 3 partitions, and has 2"
    ]
    assert [each.what for each in drifted_inputs(group({}), {})] == ["its input 'orders' is not there"]


def test_a_task_without_an_owner_is_told_from_one_that_waits() -> None:
    """While a group has members, a task that nobody has is a problem of its own."""
    before = group({0: 0, 1: 0})
    alone = msgspec.structs.replace(before, owners=(None, "m"))
    topics = described((0, 0), (3, 0))
    assert [each.what.partition(" for ")[0] for each in idle_tasks(before, alone, topics, 1.0)] == [
        "nobody has taken it over"
    ]
    assert list(idle_tasks(before, group({0: 3, 1: 0}), topics, 1.0)) == []


def test_a_group_that_shares_one_folder_has_no_standby() -> None:
    """Where members are ready to stand by, and there is nobody else to stand by for, that is told."""
    found = [
        [each.check for each in without_standby(msgspec.structs.replace(group({}), places=places))]
        for places in (0, 1, 2)
    ]
    assert found == [[], ["no-standby"], []]


async def test_a_hot_key_is_named(shell: Shell) -> None:
    """Its share of what was published last is said; keys that are even are no matter."""
    async with shell.running(loyalty) as process:
        await loyalty.publish(*(OrderPaid(f"c-{number % 50}", 1) for number in range(100)))
        await until(lambda: handled(process, 100))
        assert await asyncio.to_thread(examined, shell) == []
        await loyalty.publish(*(OrderPaid("c-7", 1) for _ in range(60)))
        await until(lambda: handled(process, 160))
    assert await asyncio.to_thread(examined, shell) == [("hot-key", False, "topic 'orders'")]
    said = (await shell.beside("doctor", "--watch", "0.1")).stdout
    assert "'c-7' is the key of 38 % of the last 160 records" in said


async def test_what_gives_way_is_a_warning(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group that stands still for another one is not stuck, and what waits for a handler is no dead letter."""
    monkeypatch.setattr("mainstem.delivery.guards.giving_way.LOOK_SECONDS", 0.05)
    monkeypatch.setattr("mainstem.delivery.guards.giving_way.AGAIN_MS", 600_000)
    desk, go_on = Service("desk", publishes=(Asked,), lanes=1), asyncio.Event()
    desk.topic("asks", partitions=1)
    reports = desk.group("reports", gives_way="50ms")

    @desk.on(Asked)
    async def answer(_: Asked) -> None:
        await go_on.wait()

    @desk.on(Asked, gives_way="50ms")
    async def note(_: Asked) -> None: ...

    @reports.on(Asked)
    async def report(_: Asked) -> None: ...

    few = Settings(buffer_events=1)
    async with running(desk, broker=shell.broker, dev=True, settings=few) as process:

        async def stands_still() -> bool:
            await desk.publish(*(Asked(f"{number}") for number in range(3)))
            return any(task.paused for group in (await process.health()).groups for task in group.tasks)

        await until(stands_still)
        await desk.publish(Asked("one more"))
        found = await asyncio.to_thread(examined, shell)
        assert ("gives-way", False, "group 'desk.reports', task 0") in found
        assert ("stuck-task", True, "group 'desk', task 0") in found
        go_on.set()

        async def put_aside() -> bool:
            return any(each.counters.put_aside for each in await process.statistics())

        await until(put_aside)
        assert ("gives-way", False, "group 'desk'") in await asyncio.to_thread(examined, shell)


async def test_what_a_service_calls_too_much_is_read_back_as_it_was_stated(shell: Shell) -> None:
    """It is kept as plain numbers, and one that could not be read would hide what is to be said of all others."""
    desk = Service("desk", alerts=Alerts(dead_letters=2, parked=3, parked_age="1h"))

    @desk.on(OrderPaid)
    async def see(_order: OrderPaid) -> None: ...

    async with shell.running(desk):
        assert await asyncio.to_thread(examined, shell) == []


def test_what_a_service_calls_too_much_is_a_problem() -> None:
    """Dead letters below its threshold are a warning; parked keys are told when they pass theirs."""
    letter = Letter("orders", 0, 1, 1, b"k", b"", {})
    failure = Failure(1, 1_000, 2_000, "ValueError", "no", "")
    statuses: tuple[Status, ...] = ("dead-lettered", "parked")
    entries = [Entry(each, "tally", 0, b"kk", "k", 1, 2_000, None, failure, letter) for each in statuses]

    def told(alerts: Alerts) -> list[tuple[str, bool]]:
        return [(each.check, each.serious) for each in waiting_letters("shop", entries, alerts, 62_000)]

    assert told(NO_ALERTS) == [("dead-letters", True)]
    assert told(Alerts(dead_letters=2)) == [("dead-letters", False)]
    assert told(Alerts(dead_letters=1)) == [("dead-letters", True)]
    assert told(Alerts(dead_letters=2, dead_letter_age="1m")) == [("dead-letters", True)]
    assert told(Alerts(dead_letters=2, parked=1, parked_age="61s")) == [
        ("dead-letters", False),
        ("parked", True),
        ("parked", True),
    ]
    assert told(Alerts(dead_letters=2, parked=2, parked_age="62s")) == [("dead-letters", False)]
