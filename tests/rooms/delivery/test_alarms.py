"""Durable timers on a running group: set, replaced, cancelled, fired once, parked, and kept over a change of owner."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from mainstem.clock import SystemClock
from mainstem.database import TaskRows
from mainstem.delivery import Command, Context, Processor, Retry, Store
from mainstem.delivery.works import alarm
from mainstem.errors import DefinitionError
from mainstem.state import Timer
from tests.rooms.delivery.stage import Keyless, Paid, Shipped, Stage, Told, on, staged, until

SPENT = Store("spent", int)


def setting(do: Callable[[Paid, Context], object]) -> Processor:
    """A handler that does something with its context."""

    @on(Paid, name="set")
    async def set_timer(event: Paid, context: Context) -> None:
        do(event, context)

    return set_timer


@on(timer="ring", name="ring")
async def ring(timer: Timer, context: Context) -> Told:
    """Tells, and counts in the key's store."""
    context.put(SPENT, (context.get(SPENT) or 0) + 1)
    assert (context.key, context.timestamp_ms, context.topic) == (timer.key, timer.due_ms, "$timer:ring")
    return Told(f"{(timer.key or b'nobody').decode()} rings")


async def told(stage: Stage, count: int) -> bool:
    """Whether so much has been told."""
    return len(await stage.told()) >= count


async def test_a_timer_fires_in_its_keys_lane() -> None:
    """Once, when it is due, with the key's memory; afterwards nothing of it is left."""
    async with staged() as stage:
        await stage.publish(Paid("a"), Paid("b"))
        handler = setting(lambda _, context: context.wake("ring", after="3ms"))
        async with stage.running(handler, ring, stores=[SPENT]) as running:
            await until(lambda: told(stage, 2))
            await stage.settled(running)
        assert sorted(await stage.told()) == ["a rings", "b rings"]
        assert (stage.stored(SPENT, "a"), stage.stored(SPENT, "b")) == (1, 1)
        assert stage.rows("$timers") == stage.rows("$due") == []


async def test_a_timer_can_be_replaced_and_cancelled() -> None:
    """One name and key, one timer: the last word counts, also within one event."""
    cancelled: list[bool] = []

    def do(event: Paid, context: Context) -> None:
        if event.order == "replaced":
            context.wake("ring", after=3_600)
            context.wake("ring", at=0)
        elif event.order == "cancelled":
            context.wake("ring", at=0)
            cancelled.append(context.cancel("ring"))
            cancelled.append(context.cancel("ring"))
        elif event.n:
            cancelled.append(context.cancel("ring"))
        else:
            context.wake("ring", after=3_600)

    async with staged() as stage:
        await stage.publish(Paid("replaced"), Paid("cancelled"), Paid("later", 0))
        async with stage.running(setting(do), ring, stores=[SPENT]) as running:
            await until(lambda: told(stage, 1))
            await stage.settled(running)
            assert len(stage.rows("$due")) == 1
            await stage.publish(Paid("later", 1))
            await stage.settled(running)
        assert await stage.told() == ["replaced rings"]
        assert cancelled == [True, False, True]
        assert stage.rows("$due") == stage.rows("$timers") == []


async def test_timers_survive_a_change_of_owner() -> None:
    """The next owner fires what has become due meanwhile, and each firing has the same ids in every run."""
    async with staged() as stage:
        await stage.publish(Paid("a"), Paid("b"), Paid("c"))
        handler = setting(lambda _, context: context.wake("ring", after="40ms"))
        await stage.run(handler, ring, stores=[SPENT])
        assert (len(stage.rows("$due")), await stage.told()) == (3, [])
        async with stage.running(handler, ring, stores=[SPENT]) as running:
            await until(lambda: told(stage, 3))
            await stage.settled(running)
        assert sorted(await stage.told()) == ["a rings", "b rings", "c rings"]
        assert len(set(await stage.told_ids())) == 3


async def test_a_firing_that_was_not_committed_happens_again() -> None:
    """A crash in the middle of a firing loses nothing, and what it publishes in the end is published once."""
    runs: list[int] = []
    door = asyncio.Event()

    @on(timer="ring", name="ring")
    async def slow(timer: Timer, context: Context) -> Told:
        runs.append(timer.due_ms)
        await door.wait()
        return Told("rings")

    async with staged() as stage:
        await stage.publish(Paid("a"))
        handler = setting(lambda _, context: context.wake("ring", after="1ms"))
        running = stage.start(stage.plan(handler, slow))
        # A setting that had not been committed would be made again, for another time.
        await until(lambda: bool(runs) and bool(stage.rows("$due") or stage.rows("$begun")))
        await running.crash()
        door.set()
        async with stage.running(handler, slow) as running:
            await until(lambda: told(stage, 1))
            await stage.settled(running)
        assert (await stage.told(), len(runs), len(set(runs))) == (["rings"], 2, 1)


async def test_a_busy_lane_keeps_a_timer_waiting() -> None:
    """A timer that becomes due while an event of its key is handled fires behind it; its row is looked at again."""
    order: list[str] = []
    door = asyncio.Event()

    @on(Paid, name="set")
    async def handle(event: Paid, context: Context) -> None:
        if event.n == 0:
            context.wake("ring", after="1ms")
            return
        await door.wait()
        order.append("event")
        if event.n == 2:
            context.cancel("ring")

    @on(timer="ring", name="ring")
    async def fire(context: Context) -> None:
        order.append("timer")

    for n, expected in ((1, ["event", "timer"]), (2, ["event"])):
        order.clear()
        door.clear()
        async with staged() as stage:
            await stage.publish_at_once(Paid("a", 0), Paid("a", n))
            async with stage.running(handle, fire) as running:
                await until(lambda: running.in_flight == 2)
                door.set()
                await stage.settled(running)
                await until(lambda: not stage.rows("$due"))
            assert order == expected


async def test_a_firing_that_fails_is_retried_and_parked_like_an_event() -> None:
    """Inline, later, dead letter, redrive: all of it, with the timer's own id, time and key."""
    bad = [True]
    attempts: list[tuple[int, str, int]] = []

    @on(timer="ring", name="ring", retry=Retry.on(ValueError).later("2ms"))
    async def fire(timer: Timer, context: Context) -> Told:
        attempts.append((context.attempt, context.event_id, timer.due_ms))
        if bad[0]:
            raise ValueError("no")
        return Told("rings")

    async with staged() as stage:
        await stage.publish(Paid("a"), timestamp_ms=500)
        handler = setting(lambda _, context: context.wake("ring", at=1_000))
        async with stage.running(handler, fire) as running:

            async def given_up() -> bool:
                return await stage.history() == ["parked", "dead-lettered"]

            await until(given_up)
            await stage.settled(running)
            assert stage.rows("$due") == []
            bad[0] = False
            await stage.command(Command("c-1", "redrive", "ring", b"ka"))
            await until(lambda: told(stage, 1))
            await stage.settled(running)
        assert [attempt for attempt, _, _ in attempts] == [1, 2, 1]
        assert len({(event_id, due_ms) for _, event_id, due_ms in attempts}) == 1
        assert attempts[0][2] == 1_000
        assert stage.rows("$parked") == stage.rows("$parking") == []


async def test_a_timer_that_sets_itself_again_goes_on() -> None:
    """Each firing is another one, with ids of its own."""

    @on(timer="ring", name="ring")
    async def again(timer: Timer, context: Context) -> Told:
        count = (context.get(SPENT) or 0) + 1
        context.put(SPENT, count)
        if count < 5:
            context.wake("ring", after=0)
        return Told(str(count))

    async with staged() as stage:
        await stage.publish(Paid("a"))
        handler = setting(lambda _, context: context.wake("ring", at=0))
        async with stage.running(handler, again, stores=[SPENT]) as running:
            await until(lambda: told(stage, 5))
            await stage.settled(running)
        assert await stage.told() == ["1", "2", "3", "4", "5"]
        assert len(set(await stage.told_ids())) == 5
        assert stage.rows("$due") == []


async def test_keyless_timers() -> None:
    """A timer of a keyless event belongs to nobody: one for each name; it fires in any lane, and is no empty key's."""

    @on(Keyless, name="set")
    async def set_timer(event: Keyless, context: Context) -> None:
        context.wake("ring", at=event.n)

    @on(timer="ring", name="ring")
    async def fire(timer: Timer, context: Context) -> Told:
        return Told(f"{timer.key!r} at {timer.due_ms} is {context.event_id}")

    async with staged() as stage:
        await stage.append("talk", b"", b'{"n":5}', ce_type=b"Keyless")
        await stage.append("talk", None, b'{"n":5}', ce_type=b"Keyless")
        async with stage.running(set_timer, fire) as running:
            await until(lambda: told(stage, 2))
            await stage.settled(running)
        first, second = sorted(await stage.told())
        assert (first.split()[0], second.split()[0]) == ("None", "b''")
        assert first.split()[-1] != second.split()[-1]


async def test_many_due_timers_come_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many are due at once, only so many are in flight, and all of them fire once."""
    monkeypatch.setattr(alarm, "AT_ONCE", 10)
    most = [0]
    turns = asyncio.Semaphore(3)

    @on(timer="ring", name="ring")
    async def fire(context: Context) -> Told:
        async with turns:
            most[0] = max(most[0], running.in_flight)
            await asyncio.sleep(0)
            return Told((context.key or b"").decode())

    async with staged() as stage:
        await stage.publish_at_once(*[Paid(f"k{n}") for n in range(300)])
        handler = setting(lambda _, context: context.wake("ring", at=5))
        await stage.run(setting(lambda _, context: context.wake("ring", after=3_600)), fire)
        async with stage.running(handler, fire) as running:
            await stage.publish_at_once(*[Paid(f"k{n}") for n in range(300)])
            await until(lambda: told(stage, 300))
            await stage.settled(running)
        assert sorted(await stage.told()) == sorted(f"k{n}" for n in range(300))
        assert 3 <= most[0] <= 10
        assert stage.rows("$due") == []


async def test_timers_that_nobody_handles_stop_the_start() -> None:
    """A handler that was renamed or removed while its timers were waiting is found at the start, by name."""
    async with staged() as stage:
        await stage.publish(Paid("a"))
        handler = setting(lambda _, context: context.wake("ring", after=3_600))
        await stage.run(handler, ring, stores=[SPENT])

        @on(timer="bell", name="ring")
        async def bell() -> None:
            pass

        running = stage.start(stage.plan(handler, bell))
        with pytest.raises(DefinitionError, match="timers 'ring' are set, and nobody handles them"):
            await running.task
        assert len(stage.rows("$due")) == 1


async def test_idle_timers_cost_nothing_but_their_rows() -> None:
    """While nothing is due the task sleeps until the first one is, and not for long: the wall clock may jump."""
    assert alarm.LONGEST_SLEEP_SECONDS <= 60
    async with staged() as stage:
        now = SystemClock().now_ms()
        await stage.publish(*[Paid(f"k{n}") for n in range(5)])
        handler = setting(lambda event, context: context.wake("ring", at=now + 3_600_000 - event.n))
        async with stage.running(handler, ring, stores=[SPENT]) as running:
            await stage.settled(running)
            commits = running.counters.commits
            await stage.publish(Shipped("a"))
            await stage.settled(running)
            assert running.counters.commits <= commits + 2
            [task] = running.runner.tasks.values()
            assert task.in_flight == 0
        assert len(stage.rows("$due")) == 5


async def test_a_take_over_reads_as_much_whatever_is_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many timers are set and keys parked: nobody looks at them before they are due."""
    read: list[int] = []
    scan = TaskRows.scan

    def counted(self: TaskRows, *bounds: Any, **options: Any) -> list[tuple[bytes, bytes]]:
        found = scan(self, *bounds, **options)
        read.append(len(found))
        return found

    @on(Paid, name="set", retry=Retry.on(ValueError).later("1h"))
    async def set_or_fail(event: Paid, context: Context) -> None:
        context.wake("ring", after=3_600)
        if event.n:
            raise ValueError("no")

    counts: list[int] = []
    async with staged() as stage:
        for many in (2, 200):
            orders = [Paid(f"k{number}", number % 2) for number in range(many)]
            await stage.publish_at_once(*orders)
            await stage.run(set_or_fail, ring, stores=[SPENT])
            with monkeypatch.context() as patched:
                patched.setattr(TaskRows, "scan", counted)
                read.clear()
                await stage.run(set_or_fail, ring, stores=[SPENT])
                counts.append(sum(read))
        assert len(stage.rows("$due")) == len(stage.rows("$timers")) == 200
    assert counts[0] == counts[1] > 0


async def test_keyless_events_that_set_a_timer_at_the_same_moment_leave_nothing_behind() -> None:
    """It fires once, for the one that was through last; no row stays that would be looked at again and again."""
    together = asyncio.Barrier(3)

    @on(Keyless)
    async def set_timer(event: Keyless, context: Context) -> None:
        context.wake("ring", at=event.n)
        await together.wait()

    @on(timer="ring", name="ring")
    async def tell(timer: Timer) -> Told:
        return Told(f"{timer.due_ms}")

    async with staged() as stage:
        await stage.publish_at_once(Keyless(1), Keyless(2), Keyless(3))
        async with stage.running(set_timer, tell) as running:
            await until(lambda: told(stage, 1))
            await stage.settled(running)
        assert len(await stage.told()) == 1
        assert (stage.rows("$due"), stage.rows("$timers")) == ([], [])
