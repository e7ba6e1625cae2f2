"""The smallest service that has everything the guards are about: memory, an output, a call, a timer, a letter."""

import asyncio

from mainstem import Context, Deduplicate, IntegrationEvent, Retry, Service
from mainstem.testing import GUARANTEES, Fault, Invariant, Simulation, World

JUMP_MS = 600_000


class Paid(IntegrationEvent, topic="paid", key="till"):
    """So much was paid; the numbers of a till count on."""

    till: str
    number: int


class Booked(IntegrationEvent, topic="booked", key="till"):
    """It was booked, and this is what has been booked so far."""

    till: str
    numbers: list[int]


class Closed(IntegrationEvent, topic="closed", key="till"):
    """Some time after the last payment."""

    till: str
    due_ms: int
    now_ms: int


class Printer:
    """Prints, at once unless something goes wrong."""

    def __init__(self) -> None:
        self.out_of_paper = True

    async def print(self, number: int) -> None:
        """One in seven does not fit, unless there is more paper."""
        if number % 7 == 6 and self.out_of_paper:
            raise ValueError(number)


till = Service("till", lanes=3)
for _topic in ("paid", "booked", "closed"):
    till.topic(_topic, partitions=2)
numbers = till.store("numbers", list[int])
till.provide(Printer, Printer)


@till.on(Paid, retry=Retry.on(ConnectionError).inline(1).later("2s", "5s", "5s"), deduplicate=Deduplicate("1d"))
async def book(paid: Paid, context: Context, printer: Printer) -> Booked:
    """Remember it, and tell."""
    before = context.get(numbers, [])
    await printer.print(paid.number)
    context.put(numbers, [*before, paid.number])
    context.wake("close", after="5m")
    return Booked(paid.till, [*before, paid.number])


@till.on_timer("close", stores=())
async def close(context: Context) -> Closed:
    """The till is closed."""
    assert context.key is not None
    return Closed(context.key.decode(), context.timestamp_ms, context.now_ms)


async def scenario(world: World) -> None:
    """A few payments, some of them one after the other; what could not be printed is redriven."""
    # Whoever comes late to a group takes tasks over; that has happened before anything else does.
    await world.advance("2s")
    for number in range(10):
        await world.publish(Paid(f"t{number % 4}", number))
        if world.random.random() < 0.4:
            await asyncio.sleep(world.random.random())
    # While somebody sleeps no time is skipped, and only the faults set the clock.
    await asyncio.sleep(400)
    await world.settle()
    world.stand_in(Printer).out_of_paper = False
    for letter in world.dead_letters():
        await world.redrive(letter)
    await asyncio.sleep(400)


def each_is_booked_once_in_order(world: World) -> None:
    """What is in the store, and what was told, are the payments of the till, each once, in order."""
    for name in ("t0", "t1", "t2", "t3"):
        paid = list(dict.fromkeys(each.number for each in world.published(Paid) if each.till == name))
        assert world.value(numbers, name, []) == paid, f"booked in {name}"
        told = [each.numbers for each in world.published(Booked) if each.till == name]
        assert told == [paid[: n + 1] for n in range(len(paid))], f"told of {name}"


def tills_are_closed_in_time(world: World) -> None:
    """A timer fires soon after it is due by the wall clock, also when that was set forward past it."""
    jumps = [step.seconds * 1_000 + JUMP_MS for step in world.trace.steps if step.what == "clock jumps"]
    for closed in world.published(Closed):
        latest = max([closed.due_ms, *(world.trace.began_ms + each for each in jumps)])
        assert closed.now_ms < latest + 60_000, f"{closed.till} was closed {closed.now_ms - latest} ms late"


def simulation(*faults: Fault, workers: int = 2, invariants: tuple[Invariant, ...] = ()) -> Simulation:
    """With these faults, and no others."""
    return Simulation(
        till,
        scenario=scenario,
        invariants=(*GUARANTEES, each_is_booked_once_in_order, *invariants),
        faults=faults,
        replace={Printer: Printer},
        workers=workers,
    )
