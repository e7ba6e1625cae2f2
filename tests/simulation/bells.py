"""Handlers and firings that set, replace and cancel timers between checkpoints, and what must hold of every setting.

What an event or a firing does is drawn from its id, step by step, and each step writes a line into its bell's log in
the same commit. So the log tells in which order everything happened, and the checker reads it, and the facts, alone.
"""

import asyncio
from random import Random
from typing import Literal

from msgspec import Struct

from mainstem import Context, IntegrationEvent, Retry, Service, Timer
from mainstem.testing import GUARANTEES, USUAL, Simulation, World, duplicate, fail
from tests.simulation.bells_checked import Line, Ring, check

PARTITIONS = 2
SETTINGS_MOST = 20
"""A bell that has been set so often is not set again."""
TIMERS = ("high", "low")


class Pulled(IntegrationEvent, topic="pulls", key="bell"):
    """Somebody pulls at a bell."""

    bell: str
    number: int


class Shouted(IntegrationEvent, topic="shouts"):
    """Without a key; all of them share one timer."""

    number: int


class Rung(IntegrationEvent, topic="rings", key="bell"):
    """A step of an event or a firing was to publish this."""

    bell: str
    by: str
    step: int


class Echoed(IntegrationEvent, topic="echoes"):
    """The timer that the shouts share has fired."""

    due_ms: int


class Flaky(Exception):
    """It may work next time."""


class Cracked(Exception):
    """It works when it has been mended."""


class Smith(Struct):
    """Decides what goes wrong inside handlers, and how long they take; remembers every call from them."""

    random: Random
    trips: int
    cracked: bool = True
    calls: dict[tuple[str, int], set[str]] = {}

    async def work(self, by: str) -> None:
        """Take a moment, or none; or fail."""
        if self.random.random() < 0.5:
            await asyncio.sleep(self.random.random() * 0.05)
        if self.trips and self.random.random() < 0.1:
            self.trips -= 1
            raise Flaky
        if self.cracked and by.endswith("0"):
            raise Cracked


class Step(Struct, frozen=True):
    """One thing that a handler does."""

    action: Literal["begin", "set", "cancel", "checkpoint", "publish", "later", "drop"]
    timer: str = ""
    delta_ms: int = 0


def plan_of(by: str, *, firing: bool) -> list[Step]:
    """What the event or the firing of this name does: the same in every run."""
    random = Random(by)
    steps = [Step("begin")] if firing else []
    for _ in range(random.randint(1, 6)):
        action = random.choice(
            ["set", "set", "cancel", "checkpoint", "checkpoint", "publish", "later", "later", "drop"]
        )
        if firing and action == "set" and random.random() < 0.5:
            action = "publish"
        delta = random.choice([0, -1_000_000, 1, random.randint(1, 200), random.randint(200, 20_000)])
        steps.append(Step(action, random.choice(TIMERS), delta))  # type: ignore[arg-type]
    return steps


bells = Service("bells", lanes=4)
for _topic in ("pulls", "shouts", "rings", "echoes"):
    bells.topic(_topic, partitions=PARTITIONS)
book = bells.store("book", list[Line])
done = bells.store("done", dict[str, int])


def open_smith() -> Smith:
    """In a simulation it is replaced."""
    return Smith(Random(0), 0, calls={})


bells.provide(Smith, open_smith)
# More tries than there are failures.
RETRY = Retry.on(Flaky).inline(1).later(*["2s", "5s", "20s"] * 6).also_on(Cracked)


def see_to_timer(context: Context, step: Step, line: Line, lines: list[Line]) -> None:
    """Set a timer or cancel it, and note what came of it."""
    if step.action == "set" and sum(each.action == "set" for each in lines) < SETTINGS_MOST:
        at = context.now_ms + step.delta_ms
        line.due_ms = max(at, min(context.timestamp_ms, context.now_ms))
        context.wake(step.timer, at=at)
    elif step.action == "cancel":
        line.found = context.cancel(step.timer)


def see_to_what_waits(context: Context, step: Step, line: Line, lines: list[Line]) -> None:
    """Publish something later, or cancel the last that was to be; and note what came of it."""
    if step.action == "later":
        rung = Rung((context.key or b"").decode(), line.by, line.step)
        line.timer = context.publish_later(rung, at=context.now_ms + step.delta_ms)
    elif waiting := [each.timer for each in lines if each.action == "later"]:
        line.timer = waiting[-1]
        line.found = context.cancel_later(line.timer)


async def carry_out(context: Context, smith: Smith, due_ms: int | None = None) -> None:
    """Do what is left to do of a plan."""
    by = f"{context.handler}/{context.event_id}"
    for number, step in enumerate(plan_of(by, firing=due_ms is not None)):
        if number < context.get(done, {}).get(by, 0):
            continue
        await smith.work(by)
        lines = context.get(book, [])
        line = Line(by, number, step.action, step.timer)
        if step.action == "begin":
            assert context.timestamp_ms == due_ms
            line = Line(by, number, "begin", context.topic.removeprefix("$timer:"), due_ms)
        elif step.action == "publish":
            smith.calls.setdefault((by, number), set()).add(context.idempotency_key(str(number)))
            context.publish(Rung((context.key or b"").decode(), by, number))
        elif step.action in ("later", "drop"):
            see_to_what_waits(context, step, line, lines)
        else:
            see_to_timer(context, step, line, lines)
        context.put(book, [*lines, line])
        context.put(done, {**context.get(done, {}), by: number + 1})
        if step.action == "checkpoint":
            await context.checkpoint()


@bells.on(Pulled, retry=RETRY, publishes=(Rung,))
async def pull(pulled: Pulled, context: Context, smith: Smith) -> None:
    """One of two handlers of the same event, which share timers and memory."""
    await carry_out(context, smith)


@bells.on(Pulled, retry=RETRY, publishes=(Rung,))
async def follow(pulled: Pulled, context: Context, smith: Smith) -> None:
    """The other."""
    await carry_out(context, smith)


@bells.on_timer("high", retry=RETRY, publishes=(Rung,))
async def high(timer: Timer, context: Context, smith: Smith) -> None:
    """A firing does the same as an event."""
    await carry_out(context, smith, timer.due_ms)


@bells.on_timer("low", retry=RETRY, publishes=(Rung,))
async def low(timer: Timer, context: Context, smith: Smith) -> None:
    """And so does this."""
    await carry_out(context, smith, timer.due_ms)


@bells.on(Shouted, retry=RETRY)
async def shout(shouted: Shouted, context: Context, smith: Smith) -> None:
    """Each has a time of its own, so that a firing can be told."""
    context.wake("echo", at=context.timestamp_ms + shouted.number * 100)
    await smith.work("")


@bells.on_timer("echo", retry=RETRY)
async def echo(timer: Timer, context: Context, smith: Smith) -> Echoed:
    """Without a key, so without memory."""
    await smith.work("")
    if smith.random.random() < 0.5:
        await context.checkpoint()
        await smith.work("")
    return Echoed(timer.due_ms)


FAULTS = (
    *USUAL,
    fail(high, Flaky, times=3),
    fail(low, Flaky, times=3, after=True),
    fail(echo, Flaky, times=2, after=True),
    fail(pull, Flaky, times=3, after=True),
)


async def scenario(world: World) -> None:
    """A few bells are pulled while things go wrong, also with the clock; what cracked is mended in the end."""
    random, smith = world.random, world.stand_in(Smith)
    smith.random, smith.trips = random, random.randint(0, 6)
    pulls: dict[str, int] = {}
    shouts = 0
    for _ in range(random.randint(4, 10)):
        if random.random() < 0.2:
            shouts += 1
            await world.publish(Shouted(shouts))
        else:
            bell = f"b{random.randint(1, 3)}"
            pulls[bell] = pulls.get(bell, 0) + 1
            await world.publish(Pulled(bell, pulls[bell]))
        chance = random.random()
        if chance < 0.3:
            await asyncio.sleep(random.random() * 3)
        elif chance < 0.35:
            await world.restart(0)
    await world.settle()
    smith.cracked = False
    while letters := world.dead_letters():
        for letter in letters:
            await world.redrive(letter)
        await world.settle()
    await world.publish(Shouted(shouts + 1))


def every_setting_has_its_end(world: World) -> None:
    """Each setting of a timer fires once, unless it was replaced or cancelled; and each step is taken once."""
    smith = world.stand_in(Smith)
    causes = {
        f"{handler}/{fact.id}": len(plan_of(f"{handler}/{fact.id}", firing=False))
        for fact in world.published(Pulled).facts
        for handler in ("pull", "follow")
    }
    rings = [Ring(each.event.by, each.event.step, each.id) for each in world.published(Rung).facts]
    lines = {key.decode(): found for key, found in world.values(book).items()}
    check(lines, causes, rings, lambda by: len(plan_of(by, firing=True)))
    assert all(len(keys) == 1 for keys in smith.calls.values()), f"one key for each call: {smith.calls}"


def shouts_are_echoed(world: World) -> None:
    """Each shout is echoed once, or replaced by a later one."""
    told = [each.due_ms for each in world.published(Echoed)]
    at = {each.event.number: each.timestamp_ms for each in world.published(Shouted).facts}
    assert len(told) == len(set(told)) <= len(at), f"each shout is echoed once, or replaced: {told}"
    if at:
        last = max(at)
        assert at[last] + last * 100 in told, "the last shout was replaced by nothing"


simulation = Simulation(
    bells,
    scenario=scenario,
    invariants=(*GUARANTEES, every_setting_has_its_end, shouts_are_echoed),
    # A pull that comes twice is for its handlers one event with one id, whose steps are taken once.
    faults=[each for each in FAULTS if each != duplicate()],
    replace={Smith: open_smith},
)
