"""The life of tasks: draining, backpressure, which handlers take part, and several members of one group."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from mainstem.broker import TopicPartition, TopicSpec
from mainstem.delivery import Command, Context, Processor, Retry, Store
from mainstem.errors import DefinitionError
from mainstem.settings import Settings
from tests.rooms.delivery.faults import Faulty
from tests.rooms.delivery.stage import GROUP, Keyless, Paid, Shipped, Stage, Told, on, staged, until

SPENT = Store("spent", int)


def telling(name: str, *, was: tuple[str, ...] = ()) -> Processor:
    """A handler that tells who it is and what it got."""

    @on(Paid, name=name, was=was)
    async def tell(event: Paid, context: Context) -> Told:
        return Told(f"{name} {event.n}")

    return tell


def telling_count(stage: Stage, count: int) -> Callable[[], Awaitable[bool]]:
    """Whether so much has been told."""

    async def enough() -> bool:
        return len(await stage.told()) == count

    return enough


# -- draining


async def test_a_drain_lets_handlers_finish() -> None:
    """What is in flight is finished and committed, what has not been read is left to the next owner."""
    began, goes_on = asyncio.Event(), asyncio.Event()
    runs: list[int] = []

    @on(Paid)
    async def handle(event: Paid) -> Told:
        runs.append(event.n)
        began.set()
        await goes_on.wait()
        return Told(str(event.n))

    async with staged() as stage:
        await stage.publish(Paid("a", 1))
        running = stage.start(stage.plan(handle))
        await began.wait()
        running.runner.drain()
        await stage.publish(Paid("b", 2))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not running.task.done()
        goes_on.set()
        await running.task
        assert (runs, await stage.told()) == ([1], ["1"])
        await stage.run(handle)
        assert (runs, await stage.told()) == ([1, 2], ["1", "2"])


async def test_a_drain_is_bounded() -> None:
    """After the grace period what still runs is abandoned, without a trace; all that was done is committed."""
    began, cancelled = asyncio.Event(), asyncio.Event()
    door = asyncio.Event()

    @on(Paid)
    async def handle(event: Paid, context: Context) -> Told:
        context.put(SPENT, event.n)
        if event.n == 1 and not door.is_set():
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
        return Told(str(event.n))

    settings = Settings(commit_interval_ms=60_000, grace_seconds=0.01)
    async with staged() as stage:
        await stage.publish_at_once(Paid("a", 1), Paid("b", 2), Paid("a", 3), Paid("c", 4))
        running = stage.start(stage.plan(handle, stores=[SPENT]), settings=settings)
        await began.wait()
        await running.stop()
        assert cancelled.is_set()
        assert await stage.told() == ["2", "4"]
        assert [stage.stored(SPENT, key) for key in "abc"] == [None, 2, 4]
        door.set()
        await stage.run(handle, stores=[SPENT])
        assert await stage.told() == ["2", "4", "1", "3"]


async def test_a_drain_waits_for_a_checkpoint_under_way() -> None:
    """A handler in its checkpoint is given its commit, and goes on to its end."""

    class Slow(Faulty):
        """Its commits of facts take a moment."""

        async def passing(self) -> None:
            running.runner.drain()
            await asyncio.sleep(0.002)

    @on(Paid, publishes=(Told,))
    async def handle(event: Paid, context: Context) -> Told:
        context.publish(Told("before"))
        await context.checkpoint()
        return Told("after")

    async with staged() as stage:
        await stage.publish(Paid("a"))
        running = stage.start(stage.plan(handle), broker=Slow(stage.broker, lambda _: "done").broker)
        await running.task
        assert await stage.told() == ["before", "after"]
        assert stage.rows("$checkpoints") == []


async def test_a_drain_that_finds_nothing_to_do_ends_at_once() -> None:
    """Before the first event, and before the group has been joined."""
    async with staged() as stage:
        running = stage.start(stage.plan(telling("a")))
        running.runner.drain()
        await asyncio.wait_for(running.task, 2)
        running = stage.start(stage.plan(telling("a")))
        await until(lambda: bool(running.runner.tasks))
        await asyncio.wait_for(running.stop(), 2)


# -- backpressure


async def most_in_flight(stage: Stage, settings: Settings, batch: list[Paid], batches: int) -> int:
    """How many events are in flight at most while handlers are slow."""
    most = 0
    turns = asyncio.Semaphore(2)

    @on(Paid)
    async def handle(event: Paid) -> Told:
        nonlocal most
        async with turns:
            most = max(most, running.in_flight)
            await asyncio.sleep(0)
            return Told(event.order[:1])

    for _ in range(batches):
        await stage.publish_at_once(*batch)
    # Another topic keeps batches apart, which would be joined otherwise.
    async with stage.running(handle, settings=settings, lanes=1_000) as running:
        await stage.settled(running)
    assert len(await stage.told()) == len(batch) * batches
    return most


async def test_reading_waits_for_handlers() -> None:
    """No more events are in flight than the buffer takes and one batch."""
    settings = Settings(commit_interval_ms=1, buffer_events=50)
    async with staged() as stage:
        batch = [Paid(f"k{n}", n) for n in range(3_000)]
        most = await most_in_flight(stage, settings, batch, 3)
        assert most <= 50 + 4_096
        assert most < 9_000


async def test_reading_waits_for_bytes() -> None:
    """Large events count by their bytes."""
    settings = Settings(commit_interval_ms=1, buffer_bytes=1_000_000)
    async with staged() as stage:
        batch = [Paid(f"{n:03}" + "x" * 50_000, n) for n in range(20)]
        most = await most_in_flight(stage, settings, batch, 10)
        assert most <= 20 + 40


# -- who takes part


async def test_a_handler_that_is_new_begins_behind_what_was_done() -> None:
    """The first run reads everything; one that is added later sees what comes from then on, also after restarts."""
    door = asyncio.Event()

    @on(Paid, name="old")
    async def old(event: Paid) -> Told:
        if event.n == 1 and not door.is_set():
            await door.wait()
        return Told(f"old {event.n}")

    async with staged() as stage:
        await stage.publish_at_once(*[Paid(f"k{n}", n) for n in range(4)])
        running = stage.start(stage.plan(old))
        await until(telling_count(stage, 3))
        await running.crash()
        door.set()
        # Event 1 is still to be done, and lies before where the new one begins.
        await stage.run(old, telling("new"))
        assert sorted(await stage.told()) == ["old 0", "old 1", "old 2", "old 3"]
        await stage.publish(Paid("k", 4))
        await stage.run(old, telling("new"))
        assert (await stage.told())[-2:] == ["old 4", "new 4"]


async def test_what_nobody_can_read_is_everybodys() -> None:
    """A record without a type belongs to all handlers of its topic that had begun."""
    async with staged() as stage:
        await stage.publish(Paid("a", 1))
        await stage.run(telling("old"))
        await stage.append("orders", b"a", b"{}")
        await stage.run(telling("old"), telling("new"))
        assert sorted(each.handler for each in await stage.entries() if each) == ["new", "old"]


async def test_a_topic_that_is_made_again_is_read_from_its_start_by_every_handler() -> None:
    """Where a handler began in the topic that was deleted says nothing about the new one, which counts from zero."""

    def noting(name: str) -> Processor:
        @on(Paid, name=name)
        async def note(event: Paid) -> Told:
            return Told(f"{name} {event.n}")

        return note

    async with staged() as stage:
        await stage.publish(*(Paid("a", n) for n in range(9)))
        await stage.run(noting("first"))
        await stage.run(noting("first"), noting("later"))
        await stage.broker.admin.delete("orders")
        await stage.broker.admin.create(TopicSpec("orders", 1))
        await stage.publish(Paid("a", 10), Paid("a", 11))
        await stage.run(noting("first"), noting("later"))
        assert (await stage.told())[9:] == ["first 10", "later 10", "first 11", "later 11"]


async def test_a_new_handler_is_not_given_what_nobody_could_read_before_it_began() -> None:
    """A record without a type that is still to be done, and lies before where it begins, is not its business."""
    door = asyncio.Event()

    @on(Shipped, name="old")
    async def old(event: Shipped) -> None:
        if event.order == "a":
            await door.wait()

    async with staged() as stage:
        await stage.publish(Shipped("a"))
        await stage.append("orders", b"a", b"{}")
        await stage.publish(Shipped("b"))
        running = stage.start(stage.plan(old))
        await until(lambda: bool(stage.rows("$completed")))
        await running.crash()
        door.set()
        await stage.run(old, telling("late"))
        assert [each.handler for each in await stage.entries() if each] == ["old"]


async def test_two_handlers_cannot_become_one() -> None:
    """What one of them has parked would take the place of what the other has; it is refused, and nothing is lost."""
    async with staged() as stage:
        await stage.publish(Paid("a"))
        await stage.run(telling("one"), telling("two"))
        for left in (telling("two", was=("one",)), telling("three", was=("one", "two"))):
            with pytest.raises(DefinitionError, match="one handler would be both"):
                await stage.run(left)


async def test_a_handler_that_was_renamed_goes_on() -> None:
    """With ``was=`` it has its offsets, and what was parked under the old name."""

    @on(Paid, name="before", retry=Retry.never())
    async def before(event: Paid) -> Told:
        raise ValueError("no")

    async with staged() as stage:
        await stage.publish(Paid("a", 1), Paid("a", 2))
        await stage.run(before)
        after = telling("after", was=("before",))
        async with stage.running(after) as running:
            await stage.settled(running)
            await stage.publish(Paid("a", 3))
            await stage.settled(running)
            assert await stage.told() == []
            await stage.command(Command("c", "redrive", "after", b"ka"))
            await until(telling_count(stage, 3))
            await stage.settled(running)
        assert await stage.told() == ["after 1", "after 2", "after 3"]
        assert stage.rows("$parking") == stage.rows("$parked") == []
        await stage.run(after)
        assert len(await stage.told()) == 3


async def test_in_play_a_handler_that_is_gone_stops_the_start_where_something_waits() -> None:
    """What is parked is never forgotten in silence; without that, the group runs, and the name is free again."""

    @on(Paid, name="two", retry=Retry.never())
    async def two(event: Paid) -> None:
        if event.order == "bad":
            raise ValueError("no")

    async with staged() as stage:
        await stage.publish(Paid("bad"))
        await stage.run(telling("one"), two, telling("three"), dev=True)
        with pytest.raises(DefinitionError, match="remembers handlers that nobody registers: 'two'"):
            await stage.run(telling("one"), dev=True)
        await stage.run(telling("one"), two, dev=True)
        assert sorted(key for key, _ in stage.rows("$handlers")) == [b"one", b"two"]


async def test_a_handler_that_is_gone_stops_the_start() -> None:
    """What it has parked and set would be forgotten; the error names it and both ways out, and nothing is handled."""
    async with staged() as stage:
        await stage.publish(Paid("a", 1))
        await stage.run(telling("one"), telling("two"))
        await stage.publish(Paid("a", 2))
        running = stage.start(stage.plan(telling("one")))
        with pytest.raises(DefinitionError, match="remembers handlers that nobody registers: 'two'") as raised:
            await running.task
        assert 'was=("two",)' in raised.value.remedy
        assert "mainstem retire shop two" in raised.value.remedy
        assert await stage.told() == ["one 1", "two 1"]


async def test_where_a_new_group_begins() -> None:
    """At the earliest event, or with ``start="latest"`` behind all that is there; afterwards at its commit."""
    for start, expected in (("earliest", ["h 1", "h 2"]), ("latest", ["h 2"])):
        async with staged() as stage:
            await stage.publish(Paid("a", 1))
            await stage.run(telling("h"), start=start)
            await stage.publish(Paid("a", 2))
            await stage.run(telling("h"), start=start)
            assert await stage.told() == expected


async def test_a_topic_that_was_created_again_is_read_from_its_beginning() -> None:
    """A group that begins at the latest event is not new to it: what was published before it came back counts."""
    async with staged() as stage:
        await stage.publish(Paid("a", 1))
        await stage.run(telling("h"), start="latest")
        await stage.publish(Paid("a", 2))
        await stage.run(telling("h"), start="latest")
        spec = (await stage.broker.admin.topics(["orders"]))["orders"].spec
        for again in (3, 4):
            await stage.broker.admin.delete("orders")
            await stage.broker.admin.create(spec)
            await stage.publish(Paid("a", again))
            await stage.run(telling("h"), start="latest")
        assert await stage.told() == ["h 2", "h 3", "h 4"]


# -- several tasks, several members


async def test_tasks_share_the_partitions() -> None:
    """Each task reads its own, with stores of its own; a key is always with the same one."""

    @on(Paid)
    async def count(event: Paid, context: Context) -> Told:
        context.put(SPENT, total := (context.get(SPENT) or 0) + 1)
        return Told(f"{event.order} {total}")

    async with staged(orders=8) as stage:
        await stage.publish(*[Paid(f"k{n % 10}", n) for n in range(50)])
        async with stage.running(count, stores=[SPENT], tasks=4) as running:
            await until(lambda: len(running.runner.tasks) == 4)
            await stage.settled(running)
        assert sorted(await stage.told()) == sorted(f"k{n} {total}" for n in range(10) for total in range(1, 6))
        kept = [key for task in range(4) for key, _ in stage.rows("spent", task)]
        assert sorted(kept) == [b"k%d" % n for n in range(10)]


async def test_members_take_tasks_over_from_each_other() -> None:
    """While members come, go and crash, every event is handled once in effect, and each key in order."""

    def counting() -> Processor:
        @on(Paid, name="count")
        async def count(event: Paid, context: Context) -> Told:
            total = (context.get(SPENT) or 0) + 1
            await asyncio.sleep(0)
            context.put(SPENT, total)
            return Told(f"{event.order} {event.n} {total}")

        return count

    async with staged(orders=4) as stage:
        plans = [stage.plan(counting(), stores=[SPENT], tasks=4) for _ in range(3)]
        first, second = stage.start(plans[0]), stage.start(plans[1])
        await until(lambda: len(first.runner.tasks) == len(second.runner.tasks) == 2)
        await stage.publish(*[Paid(f"k{n % 6}", n) for n in range(30)])
        third = stage.start(plans[2])
        await stage.publish(*[Paid(f"k{n % 6}", n) for n in range(30, 60)])
        await until(lambda: bool(third.runner.tasks))
        await first.crash()
        await stage.publish(*[Paid(f"k{n % 6}", n) for n in range(60, 90)])
        await second.stop()
        await until(lambda: len(third.runner.tasks) == 4)
        await stage.settled(third)
        await third.stop()
        told = [each.split() for each in await stage.told()]
        assert len(told) == 90
        for key in range(6):
            mine = [(int(n), int(total)) for name, n, total in told if name == f"k{key}"]
            assert mine == [(key + 6 * number, number + 1) for number in range(15)]


async def test_a_member_that_was_expelled_joins_again() -> None:
    """After a stall the group has given its tasks away; it is a member again afterwards, and nothing counts twice."""

    @on(Paid, name="count")
    async def count(event: Paid, context: Context) -> Told:
        context.put(SPENT, total := (context.get(SPENT) or 0) + 1)
        return Told(f"{event.order} {total}")

    settings = Settings(commit_interval_ms=1, session_timeout_seconds=0.05, grace_seconds=0.5)
    async with staged(orders=4) as stage:

        async def members() -> set[str]:
            found = (await stage.broker.admin.groups()).get(GROUP)
            return set() if found is None else set(found.members)

        plan = stage.plan(count, stores=[SPENT], tasks=4)
        first = stage.start(plan, settings=settings)
        await until(lambda: len(first.runner.tasks) == 4)
        [stalled] = await members()
        second = stage.start(plan, settings=settings)
        await until(lambda: len(first.runner.tasks) == len(second.runner.tasks) == 2)
        await stage.publish(*[Paid(f"k{n % 6}", n) for n in range(30)])
        stage.broker.silence(stalled)

        async def expelled_and_back() -> bool:
            now = await members()
            return len(now) == 2 and stalled not in now

        await until(expelled_and_back)
        await until(lambda: len(first.runner.tasks) == len(second.runner.tasks) == 2)
        await stage.publish(*[Paid(f"k{n % 6}", n) for n in range(30)])
        await until(telling_count(stage, 60))
        await first.stop()
        await second.stop()
        assert sorted(await stage.told()) == sorted(f"k{n} {total}" for n in range(6) for total in range(1, 11))


async def test_a_topic_of_three_partitions_and_one_of_twelve() -> None:
    """Inputs need not have equal counts where no store is shared; every record is handled once."""

    @on(Paid)
    async def paid(event: Paid) -> Told:
        return Told(f"paid {event.n}")

    @on(Keyless)
    async def said(event: Keyless) -> Told:
        return Told(f"said {event.n}")

    async with staged(orders=3, talk=12) as stage:
        await stage.publish(*[Paid(f"k{n}", n) for n in range(20)], *[Keyless(n) for n in range(20)])
        async with stage.running(paid, said, tasks=12) as running:
            await until(lambda: len(running.runner.tasks) == 12)
            await stage.settled(running)
        assert sorted(await stage.told()) == sorted(f"{what} {n}" for what in ("paid", "said") for n in range(20))


async def test_positions_are_those_of_the_group() -> None:
    """What a task has committed can be seen by whoever asks the broker."""
    async with staged(orders=2) as stage:
        await stage.publish(*[Paid(f"k{n}", n) for n in range(9)])
        await stage.run(telling("h"))
        described = (await stage.broker.admin.groups())[GROUP]
        ends = [(await stage.broker.log.bounds(TopicPartition("orders", p)))[1] for p in range(2)]
        assert [described.positions[TopicPartition("orders", p)] for p in range(2)] == ends
        assert sum(ends) == 9
