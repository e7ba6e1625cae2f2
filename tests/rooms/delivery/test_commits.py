"""When a task commits, how a commit may end, and what is left in each case."""

import asyncio
import random
from functools import partial

import pytest

from mainstem.broker import TopicPartition
from mainstem.delivery import Context, Processor, Retry, Store
from mainstem.delivery.group import rests
from mainstem.delivery.group.losses import LOSSES_MOST
from mainstem.delivery.tasks import Task
from mainstem.errors import BrokerError, CommitRefused
from mainstem.resilience import Backoff
from mainstem.settings import Settings
from tests.rooms.delivery.faults import Commit, Ending, Faulty, by_chance
from tests.rooms.delivery.stage import QUICK, Paid, Running, Stage, Told, on, staged, until

SPENT = Store("spent", int)
RANG = Store("rang", int)
SELDOM = Settings(commit_interval_ms=60_000, session_timeout_seconds=5.0, grace_seconds=1.0)


def tally(runs: list[int], *, waits: bool = False) -> Processor:
    """Adds up, and tells."""

    @on(Paid, name="tally")
    async def handle(event: Paid, context: Context) -> Told:
        runs.append(event.n)
        total = (context.get(SPENT) or 0) + 1
        if waits:
            await asyncio.sleep(0)
        context.put(SPENT, total)
        return Told(f"{event.order}{event.n}={total}")

    return handle


@pytest.mark.parametrize("ending", ["fenced", "refused", "lost", "unknown"])
async def test_each_way_a_commit_can_end(ending: Ending) -> None:
    """Refused or lost: none of it is there, and all is done again. Unknown but done: nothing is done again."""
    runs: list[int] = []
    async with staged() as stage:

        def once(commit: Commit) -> Ending:
            bad = [each for each in faulty.commits if each.records]
            return ending if bad and commit is bad[0] else "done"

        faulty = Faulty(stage.broker, once)
        await stage.publish_at_once(*[Paid("a", n) for n in range(5)])
        await stage.run(tally(runs), stores=[SPENT], broker=faulty.broker)
        assert await stage.told() == [f"a{n}={n + 1}" for n in range(5)]
        assert stage.stored(SPENT, "a") == 5
        assert len(set(await stage.told_ids())) == 5
        assert faulty.take_overs == 2
        assert runs == list(range(5)) * (1 if ending == "unknown" else 2)


def restless(seed: int) -> tuple[Processor, Processor]:
    """A handler that now and then waits, fails, parks and sets a timer; and that timer's."""
    chance = random.Random(seed)
    fails = {n for n in range(60) if chance.random() < 0.1}
    failed: set[int] = set()

    @on(Paid, retry=Retry.on(ValueError).later("1ms"))
    async def count(event: Paid, context: Context) -> Told:
        context.put(SPENT, (context.get(SPENT) or 0) + 1)
        if event.n % 5 == 0:
            await asyncio.sleep(0)
        if event.n % 7 == 0:
            context.wake("ring", at=0)
        if event.n in fails and event.n not in failed:
            failed.add(event.n)
            raise ValueError("not now")
        return Told(f"{event.order} {event.n}")

    @on(timer="ring", name="ring")
    async def ring(context: Context) -> None:
        context.put(RANG, (context.get(RANG) or 0) + 1)

    return count, ring


async def run_until_done(stage: Stage, faulty: Faulty, *processors: Processor) -> None:
    """Run the group as often as it is ended by its losses, until nothing is left to do."""
    for _ in range(60):
        running = stage.start(stage.plan(*processors, stores=[SPENT, RANG]), broker=faulty.broker)
        try:
            await stage.settled(running)
            await until(partial(at_rest, stage, running))
            await stage.settled(running)
        except CommitRefused as error:
            assert "lost 3 times" in error.what  # noqa: PT017 - it may also not happen
        else:
            await running.stop()
            return
    raise AssertionError("it never got to an end")


def at_rest(stage: Stage, running: Running) -> bool:
    """Whether nothing waits for its time, or the group has ended."""
    return running.task.done() or not (stage.rows("$due") or stage.rows("$parking"))


@pytest.mark.parametrize("seed", range(6))
async def test_effects_count_once_whatever_happens(seed: int) -> None:
    """Commits end badly at random, while events fail, park, wait and wake; in the end every effect is there once."""
    chance = random.Random(seed)
    events = [Paid(chance.choice("abcd"), n) for n in range(60)]
    async with staged() as stage:
        faulty = Faulty(stage.broker, by_chance(seed, 0.3))

        async def feed() -> None:
            for start in range(0, 60, 5):
                await stage.publish_at_once(*events[start : start + 5])
                await asyncio.sleep(0.001)

        feeding = asyncio.create_task(feed())
        processors = restless(seed)
        await run_until_done(stage, faulty, *processors)
        await feeding
        await run_until_done(stage, faulty, *processors)
        assert any(each.ended not in ("done", None) for each in faulty.commits)
        told = [each.split() for each in await stage.told()]
        for key in "abcd":
            mine = [event.n for event in events if event.order == key]
            assert [int(n) for name, n in told if name == key] == mine
            assert stage.stored(SPENT, key) == (len(mine) or None)
        assert len(set(await stage.told_ids())) == 60
        assert stage.rows("$due") == stage.rows("$timers") == stage.rows("$parked") == stage.rows("$completed") == []


async def test_a_full_disk_pauses_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often there is no room, the process lives; the task goes on from its last commit, and nothing is lost."""
    monkeypatch.setattr(rests, "FULL_DISK", Backoff(first_seconds=0.001, longest_seconds=0.001))
    refused: list[Commit] = []

    def ending(commit: Commit) -> Ending:
        if not commit.records or len(refused) > LOSSES_MOST:
            return "done"
        refused.append(commit)
        return "full"

    async with staged() as stage:
        faulty = Faulty(stage.broker, ending)
        await stage.publish(Paid("a", 1), Paid("a", 2))
        await stage.run(tally([]), stores=[SPENT], broker=faulty.broker)
        assert len(refused) > LOSSES_MOST
        assert await stage.told() == ["a1=1", "a2=2"]


async def test_a_full_disk_does_not_keep_a_process_from_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that waits for room ends when it is drained, and its work is done by the next owner."""
    monkeypatch.setattr(rests, "FULL_DISK", Backoff(first_seconds=60, longest_seconds=60, jitter="none"))
    async with staged() as stage:
        faulty = Faulty(stage.broker, lambda commit: "full" if commit.records else "done")
        await stage.publish(Paid("a", 1))
        running = stage.start(stage.plan(tally([]), stores=[SPENT]), broker=faulty.broker)
        await until(lambda: any(each.ended == "full" for each in faulty.commits))
        await running.stop()
        assert await stage.told() == []
        await stage.run(tally([]), stores=[SPENT])
        assert len(await stage.told()) == 1


async def test_three_losses_end_it() -> None:
    """Lost again and again while the group stays the same, something else is wrong: the error says what was last."""
    async with staged() as stage:
        faulty = Faulty(stage.broker, lambda commit: "fenced" if commit.records else "done")
        await stage.publish(Paid("a"))
        running = stage.start(stage.plan(tally([]), stores=[SPENT]), broker=faulty.broker)
        with pytest.raises(CommitRefused, match="task 0 of 'shop' was lost 3 times") as raised:
            await running.task
        assert "it was to be fenced" in raised.value.why
        assert faulty.take_overs == 3
        assert await stage.told() == []


async def test_one_commit_is_in_flight_while_the_next_batch_runs() -> None:
    """Events go on meanwhile, and see what the commit carries; the next commit begins when it is done."""
    runs: list[int] = []
    began, goes_on = asyncio.Event(), asyncio.Event()

    class Slow(Faulty):
        """Its commits of facts wait to be let through."""

        async def passing(self) -> None:
            began.set()
            await goes_on.wait()

    async with staged() as stage:
        faulty = Slow(stage.broker, lambda _: "done")
        async with stage.running(tally(runs), stores=[SPENT], broker=faulty.broker) as running:
            await stage.publish(Paid("a", 1))
            await began.wait()
            await stage.publish(Paid("a", 2))
            await until(lambda: len(runs) == 2)
            await stage.publish(Paid("a", 3))
            await until(lambda: len(runs) == 3)
            assert len([each for each in faulty.commits if each.records]) == 1
            assert await stage.told() == []
            goes_on.set()
            await stage.settled(running)
        assert await stage.told() == ["a1=1", "a2=2", "a3=3"]
        assert len([each for each in faulty.commits if each.records]) == 2


async def test_a_commit_names_a_position_for_every_input() -> None:
    """Changed or not, the inbox included."""
    async with staged(orders=2) as stage:
        faulty = Faulty(stage.broker, lambda _: "done")
        await stage.publish(Paid("a"), Paid("b"))
        await stage.run(tally([]), stores=[SPENT], broker=faulty.broker)
        inputs = {TopicPartition("orders", 0), TopicPartition("orders", 1), TopicPartition("shop.inbox", 0)}
        assert faulty.commits
        assert all(set(each.named) == inputs for each in faulty.commits)


async def test_an_idle_task_commits_at_once() -> None:
    """However seldom it would commit otherwise, also when its handlers had to wait; and then no more."""
    for waits in (False, True):
        async with staged() as stage:
            handler = tally([], waits=waits)
            async with stage.running(handler, stores=[SPENT], settings=SELDOM) as running:
                await until(lambda: bool(running.runner.tasks))
                await stage.publish(Paid("a", 1))
                await stage.settled(running)
                commits = running.counters.commits
                for _ in range(50):
                    await asyncio.sleep(0)
                assert running.counters.commits == commits
            assert await stage.told() == ["a1=1"]


async def test_so_many_events_make_a_commit() -> None:
    """A task that is never idle commits after so many events."""
    door = asyncio.Event()

    @on(Paid)
    async def handle(event: Paid) -> Told:
        if event.n == 7:
            await door.wait()
        return Told(str(event.n))

    settings = Settings(commit_interval_ms=60_000, commit_events=3, grace_seconds=QUICK.grace_seconds)
    async with staged() as stage:
        await stage.publish_at_once(*[Paid(f"k{n}", n) for n in range(12)])

        async def eleven() -> bool:
            return len(await stage.told()) == 11

        async with stage.running(handle, settings=settings) as running:
            await until(eleven)
            assert running.in_flight == 1
            door.set()
        assert sorted(map(int, await stage.told())) == list(range(12))


async def test_what_is_done_beyond_the_position_is_not_done_again() -> None:
    """One event holds the position back; those behind it are committed, and the next owner passes them over."""
    runs: list[int] = []
    door = asyncio.Event()

    @on(Paid)
    async def handle(event: Paid) -> Told:
        runs.append(event.n)
        if event.n in (0, 5) and not door.is_set():
            await door.wait()
        return Told(str(event.n))

    async with staged() as stage:
        for start in range(0, 12, 4):
            await stage.publish_at_once(*[Paid(f"k{n}", n) for n in range(start, start + 4)])
        running = stage.start(stage.plan(handle))

        async def ten() -> bool:
            return len(await stage.told()) == 10

        await until(ten)
        await running.crash()
        assert (await stage.broker.admin.groups())["shop"].positions[TopicPartition("orders", 0)] == 0
        assert len(stage.rows("$completed")) == 1
        runs.clear()
        door.set()
        await stage.run(handle)
        assert runs == [0, 5]
        assert sorted(map(int, await stage.told())) == list(range(12))
        assert stage.rows("$completed") == []


async def test_a_position_that_was_moved_behind_its_back_stops_the_task() -> None:
    """A topic that was deleted and created again does not belong to what is known about it: no guess is made."""
    door = asyncio.Event()

    @on(Paid)
    async def handle(event: Paid) -> Told:
        if event.n == 0:
            await door.wait()
        return Told(str(event.n))

    async with staged() as stage:
        await stage.publish(Paid("a", 0), Paid("b", 1))
        running = stage.start(stage.plan(handle))
        await until(lambda: bool(stage.rows("$completed")))
        await running.crash()
        spec = (await stage.broker.admin.topics(["orders"]))["orders"].spec
        await stage.broker.admin.delete("orders")
        await stage.broker.admin.create(spec)
        running = stage.start(stage.plan(handle))
        with pytest.raises(BrokerError, match="disagree") as raised:
            await running.task
        assert "groups reset" in raised.value.remedy
        assert type(raised.value) is BrokerError


async def told(stage: Stage, count: int) -> bool:
    """Whether so much has been told."""
    return len(await stage.told()) == count


async def test_nobody_looks_up_while_a_handler_waits() -> None:
    """What is done beside it is committed in time; and when there is nothing to commit, no timer of the task runs."""
    doors = {order: asyncio.Event() for order in ("first", "second", "third")}

    @on(Paid)
    async def handle(event: Paid) -> Told:
        await doors[event.order].wait()
        return Told(event.order)

    async with staged() as stage:
        await stage.publish_at_once(*map(Paid, doors))
        async with stage.running(handle) as running:
            await until(lambda: running.in_flight == 3)
            [task] = running.runner.tasks.values()
            assert isinstance(task, Task)
            for count, order in enumerate(("third", "second"), start=1):
                await until(lambda: task._ticking is None)
                doors[order].set()
                await until(partial(told, stage, count))
                assert len(stage.rows("$completed")) == 1
            assert running.in_flight == 1
            doors["first"].set()
            await stage.settled(running)
        assert await stage.told() == ["third", "second", "first"]
