"""One firing of a timer: its identity, its time, and what becomes of it when it is interrupted."""

import asyncio

import pytest

from mainstem.clock import SystemClock
from mainstem.delivery import Command, Context, Processor, Retirement, Retry, Store
from mainstem.errors import DefinitionError
from mainstem.state import Timer
from tests.rooms.delivery.stage import GROUP, Keyless, Paid, Running, Stage, Told, on, staged, until

STEP = Store("step", int)
OTHER = Store("other", int)
STORES = [STEP, OTHER]


class Door:
    """Where a handler waits until the test lets it go on, or ends it."""

    def __init__(self, *, opened: bool = False) -> None:
        """Closed, unless said otherwise."""
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()
        if opened:
            self.opened.set()

    async def pass_through(self) -> None:
        """Wait."""
        self.reached.set()
        await self.opened.wait()


@on(Paid, name="set")
async def set_timer(event: Paid, context: Context) -> None:
    """Set the timer to a time that is past."""
    context.wake("ring", at=event.n)


async def crashed_at(door: Door, stage: Stage, *processors: Processor) -> None:
    """Run until the door is reached, then end without another commit."""
    running = stage.start(stage.plan(*processors, stores=STORES))
    await asyncio.wait_for(door.reached.wait(), 5)
    await running.crash()


async def told(stage: Stage, count: int) -> bool:
    """Whether so much has been told."""
    return len(await stage.told()) >= count


async def all_told(stage: Stage, running: Running, count: int) -> None:
    """Return when so much has been told, and nothing is left to do."""
    await until(lambda: told(stage, count))
    await stage.settled(running)


def nothing_left(stage: Stage) -> bool:
    """Whether no timer is set, and no firing has begun."""
    return not any(stage.rows(store) for store in ("$due", "$timers", "$begun", "$checkpoints"))


# -- interrupted


@pytest.mark.parametrize("meanwhile", ["wake", "cancel", "nothing"])
async def test_a_firing_that_dies_behind_its_checkpoint_goes_on(meanwhile: str) -> None:
    """Whatever it has done to its own timer: it runs to its end, once, and before another firing that it has set."""
    runs: list[tuple[str, int, int | None]] = []

    def firing(door: Door) -> Processor:
        @on(timer="ring", name="ring", publishes=(Told,))
        async def fire(timer: Timer, context: Context) -> Told:
            step = context.get(STEP, 0)
            runs.append((context.event_id, timer.due_ms, step))
            if step == 2:
                return Told("next")
            if step == 0:
                if meanwhile == "wake":
                    context.wake("ring", at=0)
                elif meanwhile == "cancel":
                    assert not context.cancel("ring"), "what is firing is not set any more"
                context.put(STEP, 1)
                context.publish(Told("half"))
                await context.checkpoint()
                await door.pass_through()
            context.put(STEP, 2)
            return Told("whole")

        return fire

    async with staged() as stage:
        await stage.publish(Paid("a"))
        door = Door()
        await crashed_at(door, stage, set_timer, firing(door))
        expected = ["half", "whole", "next"] if meanwhile == "wake" else ["half", "whole"]
        async with stage.running(set_timer, firing(Door()), stores=STORES) as running:
            await all_told(stage, running, len(expected))
        assert await stage.told() == expected
        assert [step for _, _, step in runs] == ([0, 1, 2] if meanwhile == "wake" else [0, 1])
        assert runs[0][:2] == runs[1][:2]
        assert len(set(await stage.told_ids())) == len(expected)
        assert nothing_left(stage)


async def test_a_timer_set_by_another_event_does_not_take_the_place_of_a_firing_that_has_begun() -> None:
    """What has begun ends, and what was set meanwhile fires afterwards; each once."""
    door = Door()

    def firing(door: Door) -> Processor:
        @on(timer="ring", name="ring")
        async def fire(context: Context) -> Told:
            if context.get(STEP) is None:
                context.put(STEP, 1)
                await context.checkpoint()
                await door.pass_through()
            return Told(context.event_id)

        return fire

    async with staged() as stage:
        await stage.publish(Paid("a"))
        await crashed_at(door, stage, set_timer, firing(door))
        await stage.publish(Paid("a"))
        async with stage.running(set_timer, firing(Door()), stores=STORES) as running:
            await all_told(stage, running, 2)
        assert len(set(await stage.told())) == 2
        assert nothing_left(stage)


async def test_a_firing_parks_behind_its_checkpoint() -> None:
    """It is tried again, given up and redriven as one firing; a timer that it has set fires beside, behind it."""
    bad, runs = [True], list[str]()

    @on(timer="ring", name="ring", retry=Retry.on(ValueError).later("2ms"), publishes=(Told,))
    async def fire(context: Context) -> Told:
        runs.append(context.event_id)
        if context.get(STEP) is None:
            context.put(STEP, 1)
            context.publish(Told("half"))
            context.wake("ring", at=0)
            await context.checkpoint()
        if bad[0]:
            raise ValueError("no")
        return Told("whole")

    async with staged() as stage:
        await stage.publish(Paid("a"))
        async with stage.running(set_timer, fire, stores=STORES) as running:

            async def given_up() -> bool:
                return "dead-lettered" in await stage.history() and not stage.rows("$due")

            await until(given_up)
            await stage.settled(running)
            assert (stage.rows("$begun"), len(stage.rows("$parked"))) == ([], 2)
            bad[0] = False
            await stage.command(Command("c-1", "redrive", "ring", b"ka"))
            await all_told(stage, running, 3)
        assert await stage.told() == ["half", "whole", "whole"]
        assert len(set(await stage.told_ids())) == 3
        assert runs == [*[runs[0]] * 3, runs[-1]]
        assert runs[0] != runs[-1]
        assert nothing_left(stage)


async def test_what_has_begun_needs_its_handler() -> None:
    """A firing that has begun stops the start when nobody handles its timer any more; under a new name it goes on."""
    door = Door()

    def firing(name: str, door: Door, **options: object) -> Processor:
        @on(timer="ring", name=name, publishes=(Told,), **options)
        async def fire(context: Context) -> Told:
            if context.get(STEP) is None:
                context.put(STEP, 1)
                context.publish(Told("half"))
                await context.checkpoint()
                await door.pass_through()
            return Told("whole")

        return fire

    async with staged() as stage:
        await stage.publish(Paid("a"))
        await crashed_at(door, stage, set_timer, firing("ring", door))
        assert (len(stage.rows("$begun")), stage.rows("$due")) == (1, [])

        @on(timer="bell", name="ring")
        async def bell() -> None:
            pass

        with pytest.raises(DefinitionError, match="timers 'ring' are set, and nobody handles them"):
            await stage.start(stage.plan(set_timer, bell)).task
        renamed = firing("peal", Door(), was=("ring",))
        async with stage.running(set_timer, renamed, stores=STORES) as running:
            await all_told(stage, running, 2)
        assert await stage.told() == ["half", "whole"]
        assert len(set(await stage.told_ids())) == 2
        assert nothing_left(stage)


async def test_what_has_begun_is_forgotten_with_its_timers() -> None:
    """A retired timer takes the firings along that have begun, and then the group starts without its handler."""
    door = Door()

    @on(timer="ring", name="ring")
    async def fire(context: Context) -> None:
        context.wake("ring", after=3_600)
        context.put(STEP, 1)
        await context.checkpoint()
        await door.pass_through()

    @on(Paid, name="set")
    async def set_nothing(event: Paid) -> None:
        pass

    async with staged() as stage:
        await stage.publish(Paid("a"))
        await crashed_at(door, stage, set_timer, fire)
        group = (await stage.broker.admin.groups([GROUP]))[GROUP]
        retirement = Retirement(stage.broker, group, "ring", ("ring",))
        assert (await retirement.look()).timers == 2
        await retirement.carry_out(SystemClock(), "gone", lambda _: None)
        assert nothing_left(stage)
        await stage.run(set_nothing, stores=STORES)


# -- which one it is


async def test_each_setting_fires_under_an_id_of_its_own() -> None:
    """Also when several have the same time: what they publish, and their keys for the outside, differ."""
    keys: list[str] = []

    @on(timer="ring", name="ring")
    async def fire(context: Context) -> Told:
        keys.append(context.idempotency_key("call"))
        return Told("rings")

    async with staged() as stage:
        async with stage.running(set_timer, fire) as running:
            for count in (1, 2, 3):
                await stage.publish(Paid("a"))
                await all_told(stage, running, count)
        assert len(set(await stage.told_ids())) == len(set(keys)) == 3


async def test_a_firing_has_the_same_id_in_every_run() -> None:
    """What was not committed happens again under the same ids, also in another process."""
    runs: list[tuple[str, str]] = []

    def firing(door: Door) -> Processor:
        @on(timer="ring", name="ring")
        async def fire(context: Context) -> Told:
            runs.append((context.event_id, context.idempotency_key("call")))
            await door.pass_through()
            return Told("rings")

        return fire

    async with staged() as stage:
        await stage.publish(Paid("a"))
        door = Door()
        await crashed_at(door, stage, set_timer, firing(door))
        async with stage.running(set_timer, firing(Door(opened=True)), stores=STORES) as running:
            await all_told(stage, running, 1)
        assert (len(runs), len(set(runs))) == (2, 1)


async def test_a_timer_that_is_set_again_behind_a_checkpoint_is_another_one() -> None:
    """A second run of an event goes on counting what it causes: of what it had set already, it is not a repetition."""

    def setting(door: Door) -> Processor:
        @on(Paid, name="set")
        async def set_later(event: Paid, context: Context) -> None:
            context.wake("ring", at=2**50)
            if context.get(STEP) is None:
                context.put(STEP, 1)
                await context.checkpoint()
                await door.pass_through()

        return set_later

    @on(timer="ring", name="ring")
    async def fire() -> None:
        pass

    async with staged() as stage:
        await stage.publish(Paid("a"))
        door = Door()
        await crashed_at(door, stage, setting(door), fire)
        before = stage.rows("$timers")
        await stage.run(setting(Door()), fire, stores=STORES)
        [(key, row)], [(key_after, row_after)] = before, stage.rows("$timers")
        assert (key, row[:8]) == (key_after, row_after[:8])
        assert row != row_after


async def test_a_keyless_timer_that_is_set_anew_while_it_fires_fires_again() -> None:
    """Keyless events have no lane that would keep them apart from the firing: nothing it does undoes their setting."""
    door = Door()

    @on(Keyless)
    async def set_keyless(event: Keyless, context: Context) -> None:
        context.wake("ring", at=event.n)

    @on(timer="ring", name="ring")
    async def fire(context: Context) -> Told:
        await door.pass_through()
        return Told(context.event_id)

    async with staged() as stage:
        await stage.publish(Keyless(5), timestamp_ms=1_000)
        async with stage.running(set_keyless, fire) as running:
            await asyncio.wait_for(door.reached.wait(), 5)
            await stage.publish(Keyless(5), timestamp_ms=1_000)
            await until(lambda: running.counters.handled == 2)
            door.opened.set()
            await all_told(stage, running, 2)
        assert len(set(await stage.told())) == 2
        assert nothing_left(stage)


@pytest.mark.parametrize("meanwhile", ["crash", "retry"])
async def test_of_keyless_firings_of_one_moment_none_is_lost(meanwhile: str) -> None:
    """Two that are due at the same time would park at the same place: one waits until the other has been there."""
    runs: list[str] = []
    bad = [True]

    @on(Keyless)
    async def set_keyless(event: Keyless, context: Context) -> None:
        context.wake("ring", at=event.n)

    def firing(door: Door, attempt: int) -> Processor:
        @on(timer="ring", name="ring", retry=Retry.on(ValueError).later(later, later))
        async def fire(context: Context) -> Told:
            runs.append(context.event_id)
            if context.attempt == attempt:
                await door.pass_through()
            await asyncio.sleep(0.02)
            if bad[0]:
                raise ValueError("no")
            return Told(context.event_id)

        return fire

    attempt, later = (1, "100ms") if meanwhile == "crash" else (2, "1ms")
    async with staged() as stage:
        door = Door()
        await stage.publish(Keyless(5), timestamp_ms=1_000)
        running = stage.start(stage.plan(set_keyless, firing(door, attempt)))
        await asyncio.wait_for(door.reached.wait(), 5)
        await stage.publish(Keyless(5), timestamp_ms=1_000)
        await until(lambda: running.counters.handled == 2)
        if meanwhile == "crash":
            await until(lambda: len(stage.rows("$begun")) == len(stage.rows("$due")) == 1)
            await running.crash()
            running = stage.start(stage.plan(set_keyless, firing(Door(opened=True), attempt)))
            await until(lambda: len(runs) > 1)
        await asyncio.sleep(0.05)
        bad[0] = False
        door.opened.set()
        await all_told(stage, running, 2)
        await running.stop()
        assert len(set(await stage.told())) == 2
        assert nothing_left(stage)
        assert not stage.rows("$parked")


async def test_a_firing_goes_back_to_the_event_that_has_set_it() -> None:
    """It was caused by that event, and what it publishes belongs to the same whole, also through a second timer."""
    seen: list[tuple[str, str | None]] = []

    @on(timer="ring", name="ring")
    async def fire(context: Context) -> Told:
        seen.append((context.correlation_id, context.causation_id))
        if context.get(STEP) is None:
            context.put(STEP, 1)
            context.wake("ring", after=0)
        return Told(context.event_id)

    async with staged() as stage:
        await stage.append("orders", b"a", b'{"order":"a"}', ce_type=b"Paid", ce_id=b"e-1", ce_correlationid=b"whole")
        async with stage.running(set_timer, fire, stores=STORES) as running:
            await all_told(stage, running, 2)
        first, _ = await stage.told()
        assert seen == [("whole", "e-1"), ("whole", first)]
        assert [headers["ce_correlationid"] for _, _, headers in await stage.read("told")] == [b"whole"] * 2


# -- when it was


async def test_a_firing_is_never_earlier_than_what_has_set_it() -> None:
    """A time that is past already counts as that of the event; so what is published does not go back behind it."""
    seen: list[tuple[int, int]] = []

    @on(timer="ring", name="ring")
    async def fire(timer: Timer, context: Context) -> Told:
        seen.append((timer.due_ms, context.timestamp_ms))
        if context.get(STEP) is None:
            context.put(STEP, 1)
            context.wake("ring", at=7)
        return Told("rings")

    async with staged() as stage:
        await stage.publish(Paid("a", 5), timestamp_ms=9_000)
        async with stage.running(set_timer, fire, stores=STORES) as running:
            await all_told(stage, running, 2)
        assert seen == [(9_000, 9_000), (9_000, 9_000)]


async def test_an_event_from_the_future_does_not_keep_its_timer_waiting() -> None:
    """A producer whose clock is ahead: the timer is due when it was asked for, and its time is never in the future."""
    seen: list[int] = []

    @on(timer="ring", name="ring")
    async def fire(context: Context) -> Told:
        seen.append(context.timestamp_ms - context.now_ms)
        return Told("rings")

    async with staged() as stage:
        await stage.publish(Paid("a"), timestamp_ms=stage.clock.now_ms() + 3_600_000)
        async with stage.running(set_timer, fire) as running:
            await all_told(stage, running, 1)
        assert seen[0] <= 0
