"""Checkpoints: what has been committed of an event stays, counts once, and is what a later run finds."""

import asyncio
import logging

import pytest

from mainstem.delivery import Context, Processor, Retry, Store
from tests.rooms.delivery.faults import Commit, Ending, Faulty
from tests.rooms.delivery.stage import Paid, Stage, Told, on, staged, until

SENT = Store("sent", int)
OTHER = Store("other", int)
STORES = [SENT, OTHER]


class Door:
    """Where a handler waits until the test lets it go on, or ends it."""

    def __init__(self) -> None:
        """Closed."""
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    async def pass_through(self) -> None:
        """Wait."""
        self.reached.set()
        await self.opened.wait()


def sending(door: Door, seen: list[int | None]) -> Processor:
    """A handler that notes how far it has come, twice, and publishes on the way."""

    @on(Paid, publishes=(Told,))
    async def send(event: Paid, context: Context) -> Told:
        seen.append(context.get(SENT))
        if context.get(SENT) is None:
            context.publish(Told("first"))
            context.publish(Told("second"))
            context.put(SENT, 1)
            await context.checkpoint()
            await door.pass_through()
        context.put(SENT, 2)
        return Told("last")

    return send


async def crashed_at(door: Door, stage: Stage, *processors: Processor) -> None:
    """Run until the door is reached, then end without another commit."""
    running = stage.start(stage.plan(*processors, stores=STORES))
    await asyncio.wait_for(door.reached.wait(), 5)
    await running.crash()


async def test_what_was_put_before_it_is_found_by_a_later_run() -> None:
    """After a crash behind a checkpoint, the facts and memory before it are there once, and ids go on counting."""
    seen: list[int | None] = []
    async with staged() as stage:
        await stage.append("orders", b"a", b'{"order":"a"}', ce_type=b"Paid", ce_id=b"e-1")
        door = Door()
        await crashed_at(door, stage, sending(door, seen))
        assert (await stage.told(), stage.stored(SENT, "a")) == (["first", "second"], 1)
        await stage.run(sending(Door(), seen), stores=STORES)
        assert (await stage.told(), stage.stored(SENT, "a")) == (["first", "second", "last"], 2)
        assert seen == [None, 1]
        with_crash = await stage.told_ids()
        assert stage.rows("$checkpoints") == []
    async with staged() as stage:
        await stage.append("orders", b"a", b'{"order":"a"}', ce_type=b"Paid", ce_id=b"e-1")
        open_door = Door()
        open_door.opened.set()
        await stage.run(sending(open_door, seen), stores=STORES)
        assert await stage.told_ids() == with_crash
        assert stage.rows("$checkpoints") == []


async def test_it_holds_the_lane() -> None:
    """While an event is between its checkpoints the next one of its key waits, and others do not."""
    order: list[str] = []

    @on(Paid)
    async def handle(event: Paid, context: Context) -> None:
        order.append(f"{event.order}{event.n} begins")
        context.put(SENT, event.n)
        await context.checkpoint()
        assert context.get(SENT) == event.n
        order.append(f"{event.order}{event.n} ends")

    async with staged() as stage:
        await stage.publish_at_once(Paid("a", 1), Paid("a", 2), Paid("b", 1))
        await stage.run(handle, stores=STORES)
        assert [each for each in order if each[0] == "a"] == ["a1 begins", "a1 ends", "a2 begins", "a2 ends"]
        assert order.index("b1 begins") < order.index("a1 ends")


async def test_a_failure_behind_it_leaves_what_was_before() -> None:
    """The next run in place finds what was put; what came after the checkpoint has left no trace."""
    seen: list[tuple[int | None, int | None]] = []

    @on(Paid, retry=Retry.on(ValueError).inline(3), publishes=(Told,))
    async def handle(event: Paid, context: Context) -> None:
        seen.append((before := context.get(SENT), context.get(OTHER)))
        context.put(SENT, (before or 0) + 1)
        context.publish(Told(f"run {context.attempt}"))
        await context.checkpoint()
        context.put(OTHER, 99)
        context.publish(Told("never"))
        if context.attempt < 3:
            raise ValueError("no")
        context.delete(OTHER)

    async with staged() as stage:
        await stage.publish(Paid("a"))
        await stage.run(handle, stores=STORES)
        assert seen == [(None, None), (1, None), (2, None)]
        assert await stage.told() == ["run 1", "run 2", "run 3", "never"]
        assert len(set(await stage.told_ids())) == 4
        assert (stage.stored(SENT, "a"), stage.stored(OTHER, "a"), stage.rows("$checkpoints")) == (3, None, [])


async def test_nothing_to_commit_costs_nothing() -> None:
    """A checkpoint of an event that has caused nothing returns at once, and leaves no row."""

    @on(Paid)
    async def handle(event: Paid, context: Context) -> None:
        await context.checkpoint()

    async with staged() as stage:
        await stage.publish(Paid("a"))
        counters = await stage.run(handle, stores=STORES)
        assert counters.commits <= 3
        assert stage.rows("$checkpoints") == []


def counting(name: str, runs: list[str]) -> Processor:
    """A handler that counts in a store that others use as well, and tells."""

    @on(Paid, name=name)
    async def count(event: Paid, context: Context) -> Told:
        runs.append(name)
        context.put(SENT, (context.get(SENT) or 0) + 1)
        return Told(name)

    return count


def checkpointing(name: str, runs: list[str], door: Door) -> Processor:
    """The same, with a checkpoint and a door in the middle."""

    @on(Paid, name=name)
    async def count(event: Paid, context: Context) -> Told:
        runs.append(name)
        if context.get(OTHER) is None:
            context.put(SENT, (context.get(SENT) or 0) + 1)
            context.put(OTHER, 1)
            await context.checkpoint()
            await door.pass_through()
        return Told(name)

    return count


@pytest.mark.parametrize("crash", [False, True])
async def test_the_handlers_before_it_are_committed_with_it(crash: bool) -> None:  # noqa: FBT001 - a test's parameter
    """They are not run again, what they did counts once, and nothing of theirs overwrites what came after them."""
    runs: list[str] = []

    def processors(door: Door) -> list[Processor]:
        return [counting("one", runs), checkpointing("two", runs, door), counting("three", runs)]

    async with staged() as stage:
        await stage.publish(Paid("a"))
        door = Door()
        if crash:
            await crashed_at(door, stage, *processors(door))
            assert (stage.stored(SENT, "a"), await stage.told()) == (2, ["one"])
        open_door = Door()
        open_door.opened.set()
        await stage.run(*processors(open_door), stores=STORES)
        assert runs == (["one", "two", "two", "three"] if crash else ["one", "two", "three"])
        assert stage.stored(SENT, "a") == 3
        assert await stage.told() == ["one", "two", "three"]
        assert stage.rows("$checkpoints") == []


async def test_a_handler_that_parked_before_it_parks_once() -> None:
    """What was parked is committed with the checkpoint, and is neither parked again nor forgotten by the next run."""
    runs: list[str] = []

    @on(Paid, retry=Retry.never())
    async def bad(event: Paid) -> None:
        runs.append("bad")
        raise ValueError("no")

    async with staged() as stage:
        await stage.publish(Paid("a"))
        door = Door()
        await crashed_at(door, stage, bad, checkpointing("two", runs, door))
        open_door = Door()
        open_door.opened.set()
        await stage.run(bad, checkpointing("two", runs, open_door), stores=STORES)
        assert runs == ["bad", "two", "two"]
        assert await stage.history() == ["dead-lettered"]
        assert len(stage.rows("$parked")) == 1
        assert stage.rows("$checkpoints") == []


async def test_a_parked_event_goes_on_counting() -> None:
    """An event that is parked behind a checkpoint publishes under further ids when it is tried again."""

    @on(Paid, retry=Retry.on(ValueError).later("5ms"), publishes=(Told,))
    async def handle(event: Paid, context: Context) -> Told:
        if context.get(SENT) is None:
            context.publish(Told("before"))
            context.put(SENT, 1)
            await context.checkpoint()
            raise ValueError("no")
        return Told("after")

    async with staged() as stage:
        await stage.publish(Paid("a"))
        async with stage.running(handle, stores=STORES) as running:
            await until(lambda: told(stage, 2))
            await stage.settled(running)
        assert await stage.told() == ["before", "after"]
        assert len(set(await stage.told_ids())) == 2
        assert stage.rows("$checkpoints") == stage.rows("$parking") == stage.rows("$due") == []


async def told(stage: Stage, count: int) -> bool:
    """Whether so much has been published."""
    return len(await stage.told()) >= count


async def test_a_timer_that_made_a_checkpoint_fires_again_after_a_crash() -> None:
    """It has begun until its handler has succeeded; a timer of the same name that it has set anew stays."""
    seen: list[tuple[int, int | None]] = []
    door = Door()

    @on(Paid)
    async def begin(event: Paid, context: Context) -> None:
        context.wake("work", after="1ms")

    def worker(door: Door) -> Processor:
        @on(timer="work", name="work", publishes=(Told,))
        async def work(context: Context) -> Told:
            seen.append((context.timestamp_ms, context.get(SENT)))
            if context.get(SENT) is None:
                context.put(SENT, 1)
                context.publish(Told("half"))
                await context.checkpoint()
                await door.pass_through()
            context.wake("work", after=3_600)
            return Told("whole")

        return work

    async with staged() as stage:
        await stage.publish(Paid("a"))
        await crashed_at(door, stage, begin, worker(door))
        assert (len(stage.rows("$begun")), stage.rows("$due")) == (1, [])
        async with stage.running(begin, worker(Door()), stores=STORES) as running:
            await until(lambda: told(stage, 2))
            await stage.settled(running)
        assert [value for _, value in seen] == [None, 1]
        assert seen[0][0] == seen[1][0]
        assert await stage.told() == ["half", "whole"]
        assert len(stage.rows("$due")) == len(stage.rows("$timers")) == 1
        assert stage.rows("$checkpoints") == stage.rows("$begun") == []


async def test_whoever_waits_for_a_checkpoint_that_is_refused_is_ended() -> None:
    """The handler of a task that is lost in its checkpoint does not go on; the next incarnation runs it again."""
    went_on: list[int] = []

    @on(Paid)
    async def handle(event: Paid, context: Context) -> None:
        context.put(SENT, (context.get(SENT) or 0) + 1)
        await context.checkpoint()
        went_on.append(context.get(SENT) or 0)

    async with staged() as stage:
        faulty = Faulty(stage.broker, lambda _: "fenced" if len(faulty.commits) == 2 else "done")
        await stage.publish(Paid("a"))
        await stage.run(handle, stores=STORES, broker=faulty.broker)
        assert went_on == [1]
        assert faulty.take_overs == 2


async def test_what_is_worked_off_before_its_event_is_done_is_not_handled_again() -> None:
    """A handler that parked it before a later one's checkpoint is through, also when its retry comes first."""
    door, first = Door(), [True]

    @on(Paid, retry=Retry.on(ValueError).later("1ms", "1m"), stores=frozenset({SENT.name}))
    async def count(event: Paid, context: Context) -> Told | None:
        if event.order != "slow":
            return None
        if first[0]:
            raise ValueError("not yet")
        context.put(SENT, (context.get(SENT) or 0) + 1)
        return Told("counted")

    @on(Paid, stores=frozenset({OTHER.name}))
    async def send(event: Paid, context: Context) -> None:
        if event.order == "slow":
            context.put(OTHER, 1)
            await context.checkpoint()
        if event.order in ("slow", "held") and first[0]:
            await door.pass_through() if event.order == "slow" else await door.opened.wait()

    async with staged() as stage:
        await stage.publish(Paid("held"))
        await stage.publish_at_once(*[Paid(f"o-{n}") for n in range(5_000)])
        await stage.publish(Paid("slow"))
        running = stage.start(stage.plan(count, send, stores=STORES))
        await door.reached.wait()
        await running.crash()
        first[0] = False
        await stage.run(count, send, stores=STORES)
        assert (await stage.told(), stage.stored(SENT, "slow")) == (["counted"], 1)
        assert stage.rows("$checkpoints") == []


async def test_a_handler_that_was_renamed_between_two_runs_is_still_through() -> None:
    """What it did before the crash is not done again under its new name, and no row of the old name stays."""
    runs: list[str] = []

    def renamed(door: Door) -> list[Processor]:
        @on(Paid, name="uno", was=("one",))
        async def uno(event: Paid, context: Context) -> Told:
            runs.append("uno")
            return Told("uno")

        return [uno, checkpointing("two", runs, door)]

    async with staged() as stage:
        await stage.publish(Paid("a"))
        door = Door()
        await crashed_at(door, stage, counting("one", runs), checkpointing("two", runs, door))
        open_door = Door()
        open_door.opened.set()
        await stage.run(*renamed(open_door), stores=STORES)
        assert runs == ["one", "two", "two"]
        assert await stage.told() == ["one", "two"]
        assert stage.rows("$checkpoints") == []


async def test_a_parked_handler_goes_on_counting_after_a_later_ones_checkpoint() -> None:
    """It made a checkpoint of its own before it was parked, and its outputs keep their ids when it is tried again."""

    @on(Paid, name="first", retry=Retry.on(ValueError).later("5ms"), publishes=(Told,), stores=frozenset({SENT.name}))
    async def first(event: Paid, context: Context) -> Told:
        if context.get(SENT) is None:
            context.put(SENT, 1)
            context.publish(Told("first before"))
            await context.checkpoint()
            raise ValueError("no")
        return Told("first after")

    @on(Paid, name="second", publishes=(Told,), stores=frozenset())
    async def second(event: Paid, context: Context) -> None:
        context.publish(Told("second"))
        await context.checkpoint()

    async with staged() as stage:
        await stage.publish(Paid("a"))
        async with stage.running(first, second, stores=STORES) as running:
            await until(lambda: told(stage, 3))
            await stage.settled(running)
        assert await stage.told() == ["first before", "second", "first after"]
        assert len(set(await stage.told_ids())) == 3
        assert stage.rows("$checkpoints") == []


@pytest.mark.parametrize("ending", ["fenced", "refused", "lost", "unknown"])
@pytest.mark.parametrize("before", [0, 1])
async def test_a_commit_that_fails_in_a_checkpoint_is_no_failure_of_the_handler(
    ending: Ending, before: int, caplog: pytest.LogCaptureFixture
) -> None:
    """It ends the incarnation: nothing is counted, retried or parked, whether or not the handler has failed before."""
    caplog.set_level(logging.INFO)
    attempts: list[int] = []

    @on(Paid, publishes=(Told,), retry=Retry.on(ValueError).inline(1))
    async def send(event: Paid, context: Context) -> None:
        attempts.append(context.attempt)
        if len(attempts) <= before:
            raise ValueError("not yet")
        context.publish(Told("now"))
        try:
            await context.checkpoint()
        except Exception as error:
            raise ValueError("as handlers do") from error

    def once(commit: Commit) -> Ending:
        return ending if commit.records and sum(bool(each.records) for each in faulty.commits) == 1 else "done"

    async with staged() as stage:
        faulty = Faulty(stage.broker, once)
        await stage.publish(Paid("a", 1))
        async with stage.running(send, broker=faulty.broker) as running:
            await until(lambda: len(attempts) == before + 2)
            await stage.settled(running)
        assert await stage.history() == []
        assert len(await stage.told()) == (1 if ending != "unknown" else len(set(await stage.told_ids())))
    assert attempts[before:] in ([before + 1, 1], [before + 1] * 2)
    assert sum("failed (" in each.message for each in caplog.records) == before
    assert sum("is lost" in each.message for each in caplog.records) == 1


@pytest.mark.parametrize("again_in", ["the same run", "the next run"])
async def test_one_that_was_given_up_is_waited_for_by_the_next(again_in: str) -> None:
    """Nothing new has been caused since, but what was is not durable yet; and that is what a checkpoint promises."""
    found: list[int | None] = []
    slow = asyncio.Event()

    class Slow(Faulty):
        async def passing(self) -> None:
            await slow.wait()

    @on(Paid, retry=Retry.on(TimeoutError).inline(1), publishes=(Told,))
    async def send(event: Paid, context: Context) -> None:
        if context.get(SENT) is None:
            context.publish(Told("sent"))
            context.put(SENT, 1)
            try:
                async with asyncio.timeout(0.02):
                    await context.checkpoint()
            except TimeoutError:
                asyncio.get_running_loop().call_later(0.2, slow.set)
                if again_in == "the next run":
                    raise
        await context.checkpoint()
        found.append(stage.stored(SENT, "a"))

    async with staged() as stage:
        await stage.publish(Paid("a"))
        await stage.run(send, stores=STORES, broker=Slow(stage.broker, lambda _: "done").broker)
        assert found == [1]
        assert stage.rows("$checkpoints") == []
