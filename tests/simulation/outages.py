"""Providers that are away for a while, and three groups that need them, each with a breaker of another kind."""

import asyncio
from collections import defaultdict
from random import Random

from mainstem import Breaker, Context, IntegrationEvent, KillSwitch, Retry, Service
from mainstem.resilience import BreakerRule, CallsWindow
from mainstem.settings import Settings
from mainstem.testing import (
    Fault,
    SimulationLoop,
    World,
    crash,
    lose_answer,
    lose_ownership,
    simulate,
    stall,
)

PROVIDERS = ("east", "west")
OPEN_SECONDS = 8
PROBES = 2
CALL_SECONDS = 0.5
TASKS = 2
FAILURES = 3


class Sent(IntegrationEvent, topic="messages", key="customer"):
    """A message to a customer, by one of the providers."""

    customer: str
    number: int
    provider: str


class Away(Exception):
    """The provider does not answer."""


class Providers:
    """They are away between two moments, and remember who asked meanwhile, task by task."""

    def __init__(self) -> None:
        random = Random(loop.seed if isinstance(loop := asyncio.get_running_loop(), SimulationLoop) else 0)
        self.away = {
            each: (start := random.uniform(0, 20), start + random.uniform(20, 120))
            for each in (*PROVIDERS, "all", "code")
        }
        self.refused: dict[tuple[str, int], list[tuple[float, bytes | None]]] = defaultdict(list)

    async def ask(self, name: str, context: Context) -> None:
        """Answer after a while, or not at all."""
        now = asyncio.get_running_loop().time()
        start, end = self.away[name]
        if start <= now < end:
            self.refused[name, context.partition].append((now, context.key))
        await asyncio.sleep(CALL_SECONDS)
        if start <= now < end:
            raise Away(name) if name != "code" else TypeError(name)


RULE = BreakerRule(window=CallsWindow(6), minimum_calls=3, open_ms=OPEN_SECONDS * 1_000, probes=PROBES)
FEW = Retry.on(Away).inline(1).later("2s", "2s")
UNFORESEEN = Retry.on(Exception).inline(1).later("2s", "2s")

mail = Service("mail", lanes=4)
mail.provide(Providers, Providers)
mail.topic("messages", partitions=TASKS)
by_provider = mail.store("by_provider", list[int])
wide = mail.group("wide", lanes=4)
by_all = wide.store("by_all", list[int])
careless = mail.group("careless", lanes=4)
by_code = careless.store("by_code", list[int])


@mail.on(Sent, retry=FEW, breaker=Breaker(RULE, by="provider", counts=(Away,)))
async def send(event: Sent, context: Context, providers: Providers) -> None:
    """Each provider by itself."""
    await providers.ask(event.provider, context)
    context.put(by_provider, [*context.get(by_provider, []), event.number])


@wide.on(Sent, retry=FEW, breaker=Breaker(RULE, counts=(Away,)))
async def send_all(event: Sent, context: Context, providers: Providers) -> None:
    """One thing that every event needs."""
    await providers.ask("all", context)
    context.put(by_all, [*context.get(by_all, []), event.number])


@careless.on(Sent, retry=UNFORESEEN, breaker=KillSwitch(failures=FAILURES, probe="4s", longest="16s"))
async def send_carelessly(event: Sent, context: Context, providers: Providers) -> None:
    """Its author has thought of nothing."""
    await providers.ask("code", context)
    context.put(by_code, [*context.get(by_code, []), event.number])


def faults(random: Random) -> list[Fault]:
    """Some of what can go wrong beside, chosen by chance; nothing, every third time."""
    every = [
        crash("commit.*", probability=0.03, times=3),
        crash("handler.*", probability=0.03, times=3),
        crash("writer.*", probability=0.02, times=2),
        lose_ownership("*", probability=0.02, times=1),
        stall("*", by="3s", probability=0.02, times=2),
        lose_answer(happened=random.random() < 0.5, probability=0.05),
    ]
    return random.sample(every, random.randint(1, 4)) if random.random() < 0.67 else []


async def scenario() -> None:
    """Messages to a few customers while providers are away; then everything must add up."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimulationLoop)
    random = Random(loop.seed)
    settings = Settings(session_timeout_seconds=5, commit_events=random.choice([1, 3, 1_000]))
    workers, wrong = random.randint(1, 2), faults(random)
    providers = Providers()
    async with simulate(
        mail, replace={Providers: providers}, workers=workers, faults=wrong, settings=settings
    ) as world:
        sent: dict[str, list[int]] = defaultdict(list)
        for number in range(random.randint(20, 60)):
            customer = f"c{random.randint(1, 9)}"
            sent[customer].append(number)
            await world.publish(Sent(customer, number, random.choice(PROVIDERS)))
            if random.random() < 0.3:
                await asyncio.sleep(random.random() * 8)
        began_ms = world.clock.now_ms()
        await world.settle()
        assert world.clock.now_ms() - began_ms < 1_200_000, "something has waited for nearly an hour"
        if not wrong:
            check_probes(providers)
            assert len(world.dead_letters()) <= TASKS * (FAILURES - 1), "the kill switch let too many through"
        assert {each.handler for each in world.dead_letters()} <= {"send_carelessly"}
        for letter in world.dead_letters():
            await world.redrive(letter)
        await world.settle()
        check(world, sent)


def check(world: World, sent: dict[str, list[int]]) -> None:
    """Each message has been sent once in each of the three ways, and each customer's in order."""
    for store in (by_provider, by_all, by_code):
        for customer, numbers in sent.items():
            assert world.value(store, customer) == numbers, f"{store.name} of {customer}"


def check_probes(providers: Providers) -> None:
    """Behind the failures that opened it, a breaker lets no more through at a time than it says."""
    for (name, task), calls in providers.refused.items():
        probes, between = (1, 4) if name == "code" else (PROBES, OPEN_SECONDS)
        bursts: list[list[float]] = []
        keys = set[bytes | None]()
        for now, key in calls:
            keys.add(key)
            if not bursts or now - bursts[-1][-1] > between - CALL_SECONDS:
                # A kill switch opens when so many keys have failed, and not before.
                bursts = [[]] if name == "code" and len(keys) <= FAILURES else [*bursts, []]
            bursts[-1].append(now)
        for burst in bursts[1:]:
            assert len(burst) <= probes, f"{len(burst)} calls of {name} in task {task} at once: {burst}"
