"""Handlers and a timer that share a store, one that skips its dead letters and one without order, while things fail.

What the party leaves in its store must be what it would have been if nothing had ever failed. Events without a key
have a party too: none of its handlers is given an event before those that stand in front of it are through.
"""

import asyncio
from collections import defaultdict

from mainstem import Context, IntegrationEvent, Retry, Service
from mainstem.testing import GUARANTEES, USUAL, Simulation, World, duplicate, fail

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


FAULTS = (
    # The same treatment twice is for its patient two treatments of one number.
    *(each for each in USUAL if each != duplicate()),
    *(fail(each, Flaky, times=5, after=True) for each in (write_down, sign, file_away, look)),
    fail(bill, Flaky, times=6, after=True),
    fail(call, Flaky, times=6, after=True),
    *(fail(each, Flaky, times=5, after=True) for each in (set_out, look_on, come_home)),
)


async def scenario(world: World) -> None:
    """Treatments of a few patients, while things go wrong; then the cure is found."""
    random = world.random
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
            await world.restart(0)
    await world.settle()
    check(world, cured=False)
    check_walks(world, cured=False)
    world.stand_in(Cure).found = True
    while letters := world.dead_letters():
        for letter in letters:
            await world.redrive(letter)
        await world.settle()


def check(world: World, *, cured: bool) -> None:
    """The party's events are whole and in order; those of the others are there once, and in order but for the late."""
    treated: dict[str, list[int]] = defaultdict(list)
    for event in world.published(Treated):
        treated[event.patient].append(event.number)
    for patient, numbers in treated.items():
        poison = numbers.index(POISON) if POISON in numbers else len(numbers)
        done = numbers if cured else numbers[:poison]
        want = [f"{step}{number}" for number in done for step in "wsSf"]
        if len(done) < len(numbers):
            want += [f"w{POISON}", f"s{POISON}"]
        found = world.value(notes, patient) or []
        assert [each for each in found if each != "l"] == want, f"notes of {patient}: {found}"
        billed = world.value(bills, patient) or []
        late = [each.key for each in world.dead_letters() if each.handler == "bill"].count(patient)
        assert len(billed) == len(set(billed)) == len(numbers) - late, f"bills of {patient}: {billed}"
        if not late and not cured:
            assert billed == numbers, f"bills of {patient}: {billed}"
        called = world.value(calls, patient) or []
        assert sorted(called) == numbers, f"calls of {patient}: {called}"


def check_walks(world: World, *, cured: bool) -> None:
    """Who looks on has seen every walk; those who go for it have begun it and come home from it, once and in order."""
    walks = [walk.number for walk in world.published(Walk)]
    begun = [number for number in walks if cured or number % 5 != POISONED_WALK]
    steps = [(step.who, step.number) for step in world.published(Step).all()]
    assert len(steps) == len(set(steps)), f"a step was told twice: {steps}"
    found = {
        who: sorted(number for name, number in steps if name == who) for who in ("set_out", "look_on", "come_home")
    }
    assert found == {"set_out": begun, "look_on": walks, "come_home": begun}, f"steps: {found}"
    for number in begun:
        assert steps.index(("set_out", number)) < steps.index(("come_home", number)), f"walk {number}: {steps}"


def the_party_is_whole(world: World) -> None:
    """What the party leaves in its store is what it would be if nothing had ever failed."""
    check(world, cured=True)
    check_walks(world, cured=True)


simulation = Simulation(
    clinic,
    scenario=scenario,
    invariants=(*GUARANTEES, the_party_is_whole),
    faults=FAULTS,
    replace={Cure: Cure},
)
