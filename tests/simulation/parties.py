"""Handlers and a timer that share a store, one that skips its dead letters and one without order, while things fail.

What the party leaves in its store must be what it would have been if nothing had ever failed. Events without a key
have a party too: none of its handlers is given an event before those that stand in front of it are through.
"""

import asyncio
from collections import defaultdict
from random import Random

from mainstem import Context, IntegrationEvent, Retry, Service
from mainstem.settings import Settings
from mainstem.testing import Fault, SimulationLoop, World, crash, fail, lose_answer, lose_ownership, simulate, stall

POISON = 7
POISONED_WALK = 3


class Treated(IntegrationEvent, topic="treatments", key="patient"):
    """``number`` counts the treatments of a patient."""

    patient: str
    number: int


class Walk(IntegrationEvent, topic="walks"):
    """It has no key."""

    number: int


class Step(IntegrationEvent, topic="steps", key="who"):
    """What a handler tells of a walk."""

    who: str
    number: int


class Flaky(Exception):
    """It may work next time."""


class Cure:
    """Whether the poison works still."""

    found = False


clinic = Service("clinic", lanes=3)
clinic.topic("treatments", partitions=2)
clinic.topic("walks", partitions=1)
clinic.topic("steps", partitions=1)
notes = clinic.store("notes", list[str])
bills = clinic.store("bills", list[int])
calls = clinic.store("calls", list[int])
paths = clinic.store("paths", int)
clinic.provide(Cure, Cure)
RETRY = Retry.on(Flaky).inline(1).later(*["1s", "5s", "30s"] * 5)


@clinic.on(Treated, retry=RETRY, stores=(notes,))
async def write_down(event: Treated, context: Context) -> None:
    """The first of the party."""
    before = context.get(notes, [])
    await asyncio.sleep(0.003)
    context.put(notes, [*before, f"w{event.number}"])
    if event.number % 4 == 0:
        context.wake("look", after="2s")


@clinic.on(Treated, retry=RETRY, stores=(notes,))
async def sign(event: Treated, context: Context, cure: Cure) -> None:
    """The second one makes a checkpoint, and may not get beyond it."""
    if (before := context.get(notes, []))[-1] != f"s{event.number}":
        context.put(notes, [*before, f"s{event.number}"])
    await context.checkpoint()
    if event.number == POISON and not cure.found:
        raise ValueError(event.patient)
    await asyncio.sleep(0.001)
    context.put(notes, [*context.get(notes, []), f"S{event.number}"])


@clinic.on(Treated, retry=RETRY, stores=(notes,))
async def file_away(event: Treated, context: Context) -> None:
    """The third one."""
    context.put(notes, [*context.get(notes, []), f"f{event.number}"])


@clinic.on_timer("look", retry=RETRY, stores=(notes,))
async def look(context: Context) -> None:
    """A timer of the party: it must find no event half done."""
    if (last := context.get(notes, [])[-1])[0] not in "fl":
        message = f"it looked after {last}"
        raise AssertionError(message)
    context.put(notes, [*context.get(notes, []), "l"])


@clinic.on(Treated, retry=Retry.on(Flaky).later("1s"), stores=(bills,), order="skip")
async def bill(event: Treated, context: Context) -> None:
    """It has one try more, and then goes on without."""
    context.put(bills, [*context.get(bills, []), event.number])


@clinic.on(Treated, retry=RETRY, stores=(calls,), order="none")
async def call(event: Treated, context: Context) -> None:
    """It takes its events as they come."""
    context.put(calls, [*context.get(calls, []), event.number])


@clinic.on(Walk, retry=RETRY, stores=(paths,))
async def set_out(walk: Walk, _context: Context, cure: Cure) -> Step:
    """The first of those that go for a walk; some walks cannot begin."""
    if walk.number % 5 == POISONED_WALK and not cure.found:
        raise ValueError(walk.number)
    return Step("set_out", walk.number)


@clinic.on(Walk, retry=RETRY, stores=(), publishes=(Step,))
async def look_on(walk: Walk, context: Context) -> Step:
    """Not one of them. Its checkpoint commits what those in front of it have done, and have parked."""
    await asyncio.sleep(0.002)
    await context.checkpoint()
    return Step("look_on", walk.number)


@clinic.on(Walk, retry=RETRY, stores=(paths,))
async def come_home(walk: Walk, _context: Context) -> Step:
    """The last of them."""
    return Step("come_home", walk.number)


def faults(random: Random) -> list[Fault]:
    """Some of what can go wrong, chosen by chance."""
    every = [
        crash("commit.*", probability=0.05, times=3),
        crash("writer.*", probability=0.02, times=2),
        crash("handler.*", probability=0.05, times=3),
        lose_ownership("*", probability=0.02, times=1),
        lose_ownership("commit.*", probability=0.1, stand_still=True),
        stall("*", by="4s", probability=0.02, times=2),
        lose_answer(happened=random.random() < 0.5, probability=0.05),
        *(fail(each, Flaky, probability=0.15, times=5, after=True) for each in (write_down, sign, file_away, look)),
        fail(bill, Flaky, probability=0.3, times=6, after=True),
        fail(call, Flaky, probability=0.3, times=6, after=True),
        *(fail(each, Flaky, probability=0.2, times=5, after=True) for each in (set_out, look_on, come_home)),
    ]
    return random.sample(every, random.randint(1, 6))


async def scenario() -> None:
    """Treatments of a few patients, while things go wrong; then everything must add up."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimulationLoop)
    random, cure = Random(loop.seed), Cure()
    settings = Settings(session_timeout_seconds=5, commit_events=random.choice([1, 3, 1_000]))
    workers = random.randint(1, 3)
    async with simulate(
        clinic, replace={Cure: cure}, workers=workers, faults=faults(random), settings=settings
    ) as world:
        treated: dict[str, int] = defaultdict(int)
        walks = random.randint(0, 8)
        for done in range(random.randint(8, 25)):
            patient = f"p{random.randint(1, 2)}"
            await world.publish(Treated(patient, treated[patient]))
            treated[patient] += 1
            if done < walks:
                await world.publish(Walk(done))
            if random.random() < 0.2:
                await asyncio.sleep(random.random() * 3)
            if random.random() < 0.05:
                await world.restart(random.randrange(workers))
        await world.settle()
        check(world, treated, cured=False)
        check_walks(world, [number for number in range(walks) if number % 5 != POISONED_WALK], walks)
        cure.found = True
        while letters := world.dead_letters():
            for letter in letters:
                await world.redrive(letter)
            await world.settle()
        check(world, treated, cured=True)
        check_walks(world, list(range(walks)), walks)


def check(world: World, treated: dict[str, int], *, cured: bool) -> None:
    """The party's events are whole and in order; those of the others are there once, and in order but for the late."""
    for patient, count in treated.items():
        done = count if cured else min(count, POISON)
        want = [f"{step}{number}" for number in range(done) for step in "wsSf"]
        if done < count:
            want += [f"w{POISON}", f"s{POISON}"]
        found = world.value(notes, patient) or []
        assert [each for each in found if each != "l"] == want, f"notes of {patient}: {found}"
        billed = world.value(bills, patient) or []
        late = [each.key for each in world.dead_letters() if each.handler == "bill"].count(patient)
        assert len(billed) == len(set(billed)) == count - late, f"bills of {patient}: {billed}"
        if not late and not cured:
            assert billed == list(range(count)), f"bills of {patient}: {billed}"
        called = world.value(calls, patient) or []
        assert sorted(called) == list(range(count)), f"calls of {patient}: {called}"


def check_walks(world: World, begun: list[int], walks: int) -> None:
    """Who looks on has seen every walk; those who go for it have begun it and come home from it, once and in order."""
    steps = [(step.who, step.number) for step in world.published(Step).all()]
    assert len(steps) == len(set(steps)), f"a step was told twice: {steps}"
    found = {
        who: sorted(number for name, number in steps if name == who) for who in ("set_out", "look_on", "come_home")
    }
    assert found == {"set_out": begun, "look_on": list(range(walks)), "come_home": begun}, f"steps: {found}"
    for number in begun:
        assert steps.index(("set_out", number)) < steps.index(("come_home", number)), f"walk {number}: {steps}"
