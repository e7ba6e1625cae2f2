"""A service with everything on: stores, outputs, timers, retries, parked keys, checkpoints; and what must hold of it.

The checker computes what must be from what was published, and compares it with the log and the stores as plain data.
"""

import asyncio
from collections import defaultdict
from random import Random

from mainstem import Context, IntegrationEvent, Retry, Service
from mainstem.testing import GUARANTEES, USUAL, Simulation, World, fail

PARTITIONS = 2
POISON = -1


class Moved(IntegrationEvent, topic="moves", key="account"):
    """So much was moved; ``number`` counts the moves of an account."""

    account: str
    number: int
    amount: int


class Applied(IntegrationEvent, topic="applied", key="account"):
    """A move was applied, and this is the total since."""

    account: str
    number: int
    total: int


class Closed(IntegrationEvent, topic="closed", key="account"):
    """A timer found so many moves."""

    account: str
    moves: int


class Flaky(Exception):
    """It may work next time."""


class Outside:
    """The outside world: it remembers every call, and decides how long each takes."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.poisoned = True
        self.calls: list[tuple[str, int, str]] = []

    async def think(self) -> None:
        """Take a moment, or none."""
        if self.random.random() < 0.6:
            await asyncio.sleep(self.random.random() * 0.03)

    async def call(self, account: str, number: int, key: str) -> None:
        """Something that cannot be taken back."""
        self.calls.append((account, number, key))
        await self.think()


accounts = Service("accounts", lanes=4)
for _topic in ("moves", "applied", "closed"):
    accounts.topic(_topic, partitions=PARTITIONS)
numbers = accounts.store("numbers", list[int])
total = accounts.store("total", int)
begun = accounts.store("begun", int)
sent = accounts.store("sent", list[int])


def open_outside() -> Outside:
    """In a simulation it is replaced."""
    return Outside(Random(0))


accounts.provide(Outside, open_outside)
# More tries than there are failures, so that only poison is given up.
RETRY = Retry.on(Flaky).inline(1).later(*["2s", "5s", "20s"] * 4).also_on(ValueError)


@accounts.on(Moved, retry=RETRY, stores=(numbers, total))
async def apply(move: Moved, context: Context, outside: Outside) -> Applied:
    """Remember a move, and tell of it."""
    seen = context.get(numbers, [])
    before = context.get(total, 0)
    context.put(numbers, [*seen, move.number])
    context.wake("close", after=3 + outside.random.random())
    await outside.think()
    if move.amount == POISON and outside.poisoned:
        message = f"poison in {move.account}"
        raise ValueError(message)
    context.put(total, before + move.amount)
    await outside.think()
    return Applied(move.account, move.number, before + move.amount)


@accounts.on(Moved, retry=RETRY, stores=(begun, sent))
async def notify(move: Moved, context: Context, outside: Outside) -> None:
    """Do something outside that is remembered before, and again afterwards."""
    context.put(begun, move.number)
    await context.checkpoint()
    await outside.call(move.account, move.number, context.idempotency_key("call"))
    context.put(sent, [*context.get(sent, []), move.number])


@accounts.on_timer("close", retry=RETRY, stores=(numbers,))
async def close(context: Context, outside: Outside) -> Closed:
    """Tell how many moves there have been."""
    await outside.think()
    key = context.key
    assert key is not None
    return Closed(key.decode(), len(context.get(numbers, [])))


FAULTS = (
    *USUAL,
    fail(apply, Flaky, times=6),
    fail(apply, Flaky, times=3, after=True),
    fail(notify, Flaky, times=4, after=True),
    fail(close, Flaky, times=3),
)


async def scenario(world: World) -> None:
    """Moves in a few accounts, while things go wrong; what was given up is redriven in the end."""
    random, outside = world.random, world.stand_in(Outside)
    outside.random = random
    count: dict[str, int] = defaultdict(int)
    poisoned = random.random() < 0.3
    for _ in range(random.randint(8, 20)):
        account = f"a{random.randint(1, 4)}"
        amount = POISON if poisoned and random.random() < 0.1 else random.randint(1, 100)
        await world.publish(Moved(account, count[account], amount))
        count[account] += 1
        if random.random() < 0.2:
            await asyncio.sleep(random.random() * 2)
        if random.random() < 0.05:
            await world.restart(0)
    await world.settle()
    check_accounts(world, before_redrive=True)
    outside.poisoned = False
    for letter in world.dead_letters():
        await world.redrive(letter)


def check_accounts(world: World, *, before_redrive: bool) -> None:
    """What must be follows from what is in the log; a move that was published twice counts twice."""
    outside = world.stand_in(Outside)
    moves: dict[str, list[Moved]] = defaultdict(list)
    for move in world.published(Moved):
        moves[move.account].append(move)
    every_applied, every_closed = world.published(Applied), world.published(Closed)
    for account, published in moves.items():
        expected = list(published)
        if before_redrive:
            first = next((index for index, move in enumerate(published) if move.amount == POISON), len(published))
            expected = published[:first]
        want = [move.number for move in expected]
        assert (world.value(numbers, account) or []) == want, f"numbers of {account}"
        assert (world.value(total, account) or 0) == sum(move.amount for move in expected), f"total of {account}"
        assert (world.value(sent, account) or []) == [move.number for move in published], f"sent of {account}"
        applied = [event for event in every_applied if event.account == account]
        assert [event.number for event in applied] == want, f"applied of {account}"
        running = 0
        for event, move in zip(applied, expected, strict=True):
            running += move.amount
            assert event.total == running, f"total told of {account}"
        called = {move.number: set[str]() for move in published}
        for name, number, key in outside.calls:
            if name == account:
                called[number].add(key)
        assert all(len(keys) == 1 for keys in called.values()), f"one key for each call of {account}: {called}"
        closed = [event.moves for event in every_closed if event.account == account]
        assert closed == sorted(closed), f"timers of {account}: {closed}"
        last = closed[-1] if closed else 0
        # It looks at a store of the handler that has parked the key, and so its timer waits behind that.
        assert last == len(want) or (len(want) < len(published) and last < len(want)), f"the last timer of {account}"


def adds_up(world: World) -> None:
    """Each account's moves are all applied, once, in their order, and its timer tells of the last one."""
    assert world.dead_letters() == []
    check_accounts(world, before_redrive=False)


simulation = Simulation(
    accounts,
    scenario=scenario,
    invariants=(*GUARANTEES, adds_up),
    faults=FAULTS,
    replace={Outside: open_outside},
)
