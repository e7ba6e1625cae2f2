"""Sequences that are longer than a commit: dropped, renamed and retired in many small ones, whoever dies in between."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest

from mainstem import Context, IntegrationEvent, Service
from mainstem.clock import SystemClock
from mainstem.delivery import Command, Outputs, Plan, Processor, Retirement, Retry
from mainstem.delivery.context import Gathered, no_effects
from mainstem.delivery.failures import (
    Audit,
    Checkpoints,
    Failure,
    Letter,
    Parking,
    Stopped,
    handover,
    letters,
    place_of,
)
from mainstem.delivery.roster.roster import Roster
from mainstem.delivery.works import works
from mainstem.errors import DefinitionError
from mainstem.state import TaskState, timers
from mainstem.testing import crash, simulate, simulated
from tests.rooms.delivery.faults import Commit, Faulty
from tests.rooms.delivery.stage import GROUP, Paid, Stage, Told, on, staged, until
from tests.rooms.state.rows import DictRows

AT_ONCE = 20
LONG = 110
OWN_STORES = ("$parking", "$parked", "$dropped", "$timers", "$due", "$checkpoints")


@pytest.fixture(autouse=True)
def _small_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit takes so little that a hundred events are a long sequence."""
    monkeypatch.setattr(letters, "LETTERS_AT_ONCE", AT_ONCE)
    monkeypatch.setattr(handover, "CHANGES_AT_ONCE", AT_ONCE)


def refusing(name: str = "handle", *, was: tuple[str, ...] = (), last: int = LONG) -> Processor:
    """A handler that cannot bear the first events, and tells of later ones."""

    @on(Paid, name=name, was=was, retry=Retry.never())
    async def handle(event: Paid) -> Told:
        if event.n < last:
            raise ValueError("no")
        return Told(f"{name} {event.order} {event.n}")

    return handle


async def parked(stage: Stage, *processors: Processor) -> None:
    """A long sequence, and two short ones beside it."""
    await stage.publish_at_once(*[Paid("long", n) for n in range(LONG)])
    await stage.publish(Paid("short", 1), Paid("brief", 1))
    await stage.run(*(processors or (refusing(),)))
    assert len(stage.rows("$parked")) == LONG + 2


def answered(stage: Stage, count: int) -> Callable[[], Awaitable[bool]]:
    """Whether so many commands were answered."""

    async def done() -> bool:
        return len(await stage.answers()) == count

    return done


def largest(faulty: Faulty) -> int:
    """How much the largest of the commits carried."""
    return max(len(each.rows) + len(each.records) for each in faulty.commits)


class Dying(Exception):
    """The process ends here."""


def dies_at(number: int) -> Callable[[str], None]:
    """End the process in the middle of its commit of that number."""
    seen: list[str] = []

    def point(name: str) -> None:
        if name == "commit.commit":
            seen.append(name)
            if len(seen) == number:
                raise Dying

    return point


def lives() -> Iterator[Callable[[str], None]]:
    """One process after the other, each of which gets one commit further than the one before."""
    for number in range(1, 100):
        yield dies_at(number)


# -- dropped


async def test_a_long_sequence_is_dropped_in_small_commits() -> None:
    """The decision is one commit; the letters go in many, and nothing is left."""
    async with staged() as stage:
        await parked(stage)
        faulty = Faulty(stage.broker, lambda _: "done")
        async with stage.running(refusing(), broker=faulty.broker) as running:
            await stage.settled(running)
            await stage.command(Command("c", "discard", "handle", b"klong", "of no use"))
            await stage.settled(running)
            await stage.publish(Paid("long", LONG))
            await stage.settled(running)
            await until(lambda: stage.rows("$dropped") == [])
        assert [each.found for each in await stage.answers()] == [LONG]
        assert await stage.told() == [f"handle long {LONG}"]
        assert [len(stage.rows(store)) for store in OWN_STORES] == [2, 2, 0, 0, 0, 0]
        assert largest(faulty) <= 2 * AT_ONCE


async def test_a_key_that_parks_again_while_its_old_letters_are_swept() -> None:
    """What waits now is kept, in order; only what was dropped goes, also when both are dropped in the end."""
    async with staged() as stage:
        await parked(stage)
        plan = stage.plan(refusing())
        for count in range(3):
            running = stage.start(plan)
            await stage.command(Command("c", "discard", "handle", b"klong"))
            await until(answered(stage, count + 1))
            await stage.publish_at_once(*[Paid("long", n) for n in range(LONG)])
            await until(lambda: len(stage.rows("$parking")) == 3)
            await running.crash()
        await stage.run(refusing())
        async with stage.running(refusing()) as running:
            await stage.settled(running)
            await until(lambda: stage.rows("$dropped") == [])
        found = [each.waiting for each in await stage.entries() if each is not None and each.status == "discarded"]
        assert found == [LONG] * 3
        assert len(stage.rows("$parked")) == LONG + 2
        async with stage.running(refusing(last=0)) as running:
            await stage.command(Command("c", "redrive", "handle", b"klong"))
            await until(lambda: len(stage.rows("$parked")) == 2)
        assert await stage.told() == [f"handle long {n}" for n in range(LONG)]


class Ordered(IntegrationEvent, topic="orders", key="order"):
    order: str
    n: int


class Done(IntegrationEvent, topic="done", key="order"):
    order: str
    n: int


@pytest.mark.parametrize("seed", range(10))
@simulated
async def test_whoever_dies_while_letters_are_swept_goes_on(seed: int) -> None:
    """In a simulation in which every third commit kills its process: one decision, one answer, and nothing is left."""
    shop = Service("shop")
    dying = [crash("commit.commit", probability=0.3, times=20), crash("writer.committed", probability=0.1, times=5)]

    @shop.on(Ordered, retry=Retry.never())
    async def work(event: Ordered, context: Context) -> Done:
        if event.n < LONG:
            raise ValueError("no")
        return Done(event.order, event.n)

    async with simulate(shop, faults=dying, seed=seed) as world:
        await world.publish(*[Ordered("o", n) for n in range(LONG)])
        await world.settle()
        [letter] = world.dead_letters()
        await world.discard(letter, "of no use")
        await world.publish(Ordered("o", LONG))
        await world.settle()
        assert [event.n for event in world.published(Done)] == [LONG]
        assert world.dead_letters() == []
        for task in range(8):
            rows = world._broker.rows("shop", task)
            assert [store for store in OWN_STORES if rows.scan(store, b"", None, limit=1)] == []
        assert sum(step.what == "crash" for step in world.trace.steps) > 3


# -- renamed


async def test_a_renaming_dies_after_each_commit_and_goes_on() -> None:
    """Each life moves a little more; in the end all of it has the new name, and the audit topic says so once."""
    async with staged() as stage:
        await parked(stage, refusing("before"))
        after = refusing("after", was=("before",), last=0)
        deaths = 0
        for point in lives():
            faulty = Faulty(stage.broker, lambda _: "done")
            try:
                await stage.run(after, point=point, broker=faulty.broker)
                break
            except Dying:
                deaths += 1
            assert largest(faulty) <= 2 * AT_ONCE + 4
        assert deaths > 3
        assert {key[2:7] for key, _ in stage.rows("$parking")} == {b"after"}
        assert len(stage.rows("$parked")) == LONG + 2
        told = [each for each in await stage.entries() if each is not None and each.handler == "after"]
        assert sorted((each.key or "", each.status, each.waiting) for each in told) == [
            ("brief", "dead-lettered", 1),
            ("long", "dead-lettered", LONG),
            ("short", "dead-lettered", 1),
        ]
        async with stage.running(after):
            await stage.command(Command("c", "redrive", "after", b"klong"))
            await until(lambda: len(stage.rows("$parked")) == 2)
        assert await stage.told() == [f"after long {n}" for n in range(LONG)]


async def test_code_that_is_rolled_back_in_the_middle_of_a_renaming_is_refused() -> None:
    """Half of what it has parked has the other name; it says so, takes all of it back with ``was=``, or goes on."""
    async with staged() as stage:
        await parked(stage, refusing("before"))
        running = stage.start(stage.plan(refusing("after", was=("before",))), point=dies_at(3))
        with pytest.raises(Dying):
            await running.task
        with pytest.raises(DefinitionError, match="remembers handlers that nobody registers: 'after'"):
            await stage.run(refusing("before"))
        back = refusing("before", was=("after",), last=0)
        async with stage.running(back) as running:
            await stage.settled(running)
            await stage.command(Command("c", "redrive", "before", b"klong"))
            await until(lambda: len(stage.rows("$parked")) == 2)
        assert await stage.told() == [f"before long {n}" for n in range(LONG)]


# -- retired


async def retire(stage: Stage, point: Callable[[str], None]) -> None:
    """Retire the handler."""
    group = (await stage.broker.admin.groups([GROUP]))[GROUP]
    retirement = Retirement(stage.broker, group, "handle")
    await retirement.carry_out(SystemClock(), "gone", lambda _: None, point)


async def test_a_retirement_dies_after_each_commit_and_is_repeated() -> None:
    """Each sequence is told of once, with all that it held; in the end nothing is left, and the group starts."""
    async with staged() as stage:
        await parked(stage)
        deaths = 0
        for point in lives():
            try:
                await retire(stage, point)
                break
            except Dying:
                deaths += 1
                assert stage.rows("$handlers"), "it can be found again"
        assert deaths > 3
        assert [store for store in (*OWN_STORES, "$handlers") if stage.rows(store)] == []
        told = [each for each in await stage.entries() if each is not None and each.status == "discarded"]
        assert sorted((each.key or "", each.waiting, each.reason) for each in told) == [
            ("brief", 1, "gone"),
            ("long", LONG, "gone"),
            ("short", 1, "gone"),
        ]
        await stage.run(refusing("other", last=0))


async def test_a_handler_that_was_being_renamed_can_be_retired() -> None:
    """What still stands under its old name goes as well."""
    async with staged() as stage:
        await parked(stage, refusing("before"))
        running = stage.start(stage.plan(refusing("handle", was=("before",))), point=dies_at(3))
        with pytest.raises(Dying):
            await running.task
        await retire(stage, lambda _: None)
        assert [store for store in (*OWN_STORES, "$handlers") if stage.rows(store)] == []


async def test_what_is_completed_ahead_stays_so_when_a_handler_is_retired() -> None:
    """Retirement commits as a task does: the completed set and the positions are those of before."""
    async with staged() as stage:
        door: list[Commit] = []

        @on(Paid)
        async def slow(event: Paid) -> None:
            if event.n == 0 and not door:
                await until(lambda: bool(door), 60)

        await stage.publish_at_once(Paid("slow", 0), *[Paid(f"o-{n}", n) for n in range(1, 4)])
        running = stage.start(stage.plan(slow, refusing()))
        await until(lambda: bool(stage.rows("$completed")) and len(stage.rows("$parking")) == 3)
        await running.crash()
        before = stage.rows("$completed")
        await retire(stage, lambda _: None)
        assert stage.rows("$completed") == before


# -- beside them


async def test_a_long_redrive_lets_others_have_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the handler never waits: the event loop is given back after so many events of the sequence."""
    monkeypatch.setattr(works, "WORKED_OFF_AT_ONCE", AT_ONCE)
    turns, seen = [0], []

    async def tick() -> None:
        while True:
            turns[0] += 1
            await asyncio.sleep(0)

    @on(Paid, name="handle", retry=Retry.never())
    async def handle(event: Paid) -> None:
        seen.append(turns[0])

    async with staged() as stage:
        await parked(stage)
        async with stage.running(handle):
            ticking = asyncio.create_task(tick())
            await stage.command(Command("c", "redrive", "handle", b"klong"))
            await until(lambda: len(seen) == LONG)
            ticking.cancel()
        assert len(set(seen)) >= LONG // AT_ONCE


def looks_at_take_over(count: int) -> int:
    """How often the rows are asked when a task with so many parked keys is taken over."""
    rows = DictRows()
    state = TaskState(rows)
    plan = Plan(service=GROUP, group=GROUP, processors=(), partitions={}, outputs=Outputs([], {}, "/shop"))
    effects, failure = no_effects(), Failure(1, 1, 1, "ValueError", "no", "")
    for number in range(count):
        letter = Letter("orders", 0, number, 1, b"k-%d" % number, b"", {})
        Parking(state).park(effects, ("handle", place_of(letter)), letter, Stopped(failure, None if number % 2 else 5))
        state.apply(effects.writes)
    for page in Roster(plan, state, Parking(state), Checkpoints(state), Audit(GROUP, 0)).call([refusing()], {}, 1):
        state.apply(page.writes)
    rows.write(state.cut())
    state, rows.reads = TaskState(rows), 0
    parking, checkpoints = Parking(state), Checkpoints(state)
    assert parking.some
    for page in Roster(plan, state, parking, checkpoints, Audit(GROUP, 0)).call([refusing()], {}, 1):
        assert page.writes == {}
    timers.names(state)
    timers.next_due_ms(state)
    return rows.reads


def test_what_is_parked_costs_a_take_over_nothing() -> None:
    """Nobody reads it all: with a thousand parked keys the rows are asked as often as with two."""
    assert looks_at_take_over(1_200) == looks_at_take_over(2)


def test_nobody_looks_for_checkpoints_where_there_are_none() -> None:
    """An event that is handled beside what is parked costs no read for them."""
    rows = DictRows()
    checkpoints, gathered = Checkpoints(TaskState(rows)), Gathered()
    before = rows.reads
    gathered.through.append(("handle", Letter("orders", 0, 1, 1, b"o", b"", {}).batch(), 0))
    checkpoints.close(gathered)
    assert rows.reads == before
