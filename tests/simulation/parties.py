"""Handlers and a timer that share a store, one that skips its dead letters and one without order, while things fail.

What the party leaves in its store must be what it would have been if nothing had ever failed.
"""

import asyncio
from collections import defaultdict
from random import Random

from mainstem import Context, IntegrationEvent, Retry, Service
from mainstem.settings import Settings
from mainstem.testing import Fault, SimulationLoop, World, crash, fail, lose_answer, lose_ownership, simulate, stall

POISON = 7


class Treated(IntegrationEvent, topic="treatments", key="patient"):
    """``number`` counts the treatments of a patient."""

    patient: str
    number: int


class Flaky(Exception):
    """It may work next time."""


class Cure:
    """Whether the poison works still."""

    found = False


clinic = Service("clinic", lanes=3)
clinic.topic("treatments", partitions=2)
notes = clinic.store("notes", list[str])
bills = clinic.store("bills", list[int])
calls = clinic.store("calls", list[int])
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
        for _ in range(random.randint(8, 25)):
            patient = f"p{random.randint(1, 2)}"
            await world.publish(Treated(patient, treated[patient]))
            treated[patient] += 1
            if random.random() < 0.2:
                await asyncio.sleep(random.random() * 3)
            if random.random() < 0.05:
                await world.restart(random.randrange(workers))
        await world.settle()
        check(world, treated, cured=False)
        cure.found = True
        while letters := world.dead_letters():
            for letter in letters:
                await world.redrive(letter)
            await world.settle()
        check(world, treated, cured=True)


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
