"""Events that are put off from outside a handler: published once, whatever crashes, also when a call is repeated."""

import asyncio
from random import Random

from mainstem import Context, IntegrationEvent, Service
from mainstem.settings import Settings
from mainstem.testing import (
    Fault,
    crash,
    lose_answer,
    lose_ownership,
    refuse_commit,
    run_simulation,
    simulate,
)

NAMES = 12


class Ordered(IntegrationEvent, topic="orders", key="customer"):
    customer: str


class Reminded(IntegrationEvent, topic="reminders", key="customer"):
    customer: str
    number: int


def services(random: Random, ids: list[str]) -> tuple[Service, Service]:
    """Who puts off, and who hears of it."""
    shop, reader = Service("shop", publishes=(Reminded,), tasks=random.choice([1, 3])), Service("reader")
    for topic in ("orders", "reminders"):
        shop.topic(topic, partitions=3)

    @shop.on(Ordered)
    async def note(_order: Ordered) -> None:
        """Somebody must be there to keep them."""

    @reader.on(Reminded)
    async def hear(_reminded: Reminded, context: Context) -> None:
        ids.append(context.event_id)

    return shop, reader


def mishaps(random: Random) -> list[Fault]:
    """Some of all that can go wrong."""
    every = [
        refuse_commit(probability=0.1),
        lose_answer(happened=True, probability=0.2),
        lose_answer(happened=False, probability=0.2),
        crash("commit.*", probability=0.2, times=4),
        crash("writer.*", probability=0.1, times=4),
        lose_ownership("*", probability=0.05, times=2),
    ]
    return random.sample(every, random.randint(1, 3))


async def scenario() -> None:
    """Some are put off, and put off again by whoever does not know whether a call has arrived; some are taken back."""
    random, ids = Random(asyncio.get_running_loop().seed), list[str]()  # type: ignore[attr-defined]
    shop, reader = services(random, ids)
    workers, settings = random.randint(1, 2), Settings(session_timeout_seconds=5)
    async with simulate(shop, reader, workers=workers, faults=mishaps(random), settings=settings) as world:
        await world.advance("10s")
        due_ms = world.clock.now_ms() + 600_000

        names = {f"c-{number}" for number in range(NAMES)}
        for name in sorted(names) + random.sample(sorted(names), 6):
            await shop.later.publish(Reminded(name, 1), at=due_ms, name=name)
            await world.advance(random.random())
        gone = set(random.sample(sorted(names), 4))
        for name in sorted(gone):
            assert await shop.later.cancel(name, wait="60s")
        assert world.clock.now_ms() < due_ms
        await world.advance("20m")
        await world.settle()
        assert sorted(each.customer for each in world.published(Reminded)) == sorted(names - gone)
        assert len(set(ids)) == NAMES - len(gone)


def test_each_is_published_once() -> None:
    """And none that was taken back."""
    for seed in range(25):
        run_simulation(scenario, seed=seed)
