"""Groups and handlers that give way: a burst is over sooner for the others, and nothing is lost or out of order."""

import asyncio
import random

import pytest

from mainstem import IntegrationEvent, Service
from mainstem.settings import Settings
from mainstem.testing import World, crash, lose_answer, lose_ownership, refuse_commit, search, simulate, simulated

GROUPS = ("shop", "shop.mails", "shop.reports")


class Ordered(IntegrationEvent, topic="orders", key="customer"):
    """What comes in a burst."""

    customer: str
    number: int


class Done(IntegrationEvent, topic="done", key="customer"):
    """A handler is through with it."""

    customer: str
    number: int
    by: str


def shop(done: dict[str, list[float]]) -> Service:
    """Handlers that each take a tenth of a second for an event: of the service, and of two groups that give way."""
    service = Service("shop", lanes=1)
    service.topic("orders", partitions=2)
    mails = service.group("mails", lanes=1, gives_way="40s")
    reports = service.group("reports", lanes=1, gives_way="10s")

    @service.on(Ordered)
    async def charge(_: Ordered) -> None:
        await asyncio.sleep(0.1)
        done["shop"].append(asyncio.get_running_loop().time())

    @mails.on(Ordered)
    async def write(_: Ordered) -> None:
        await asyncio.sleep(0.1)
        done["shop.mails"].append(asyncio.get_running_loop().time())

    @reports.on(Ordered)
    async def report(_: Ordered) -> None:
        await asyncio.sleep(0.1)
        done["shop.reports"].append(asyncio.get_running_loop().time())

    return service


async def burst(world: World, count: int) -> float:
    """So many events at once; when."""
    await world.publish(*(Ordered(f"c{number % 7}", number) for number in range(count)))
    return asyncio.get_running_loop().time()


@simulated
async def test_the_sooner_a_group_gives_way_the_later_it_is_done(caplog: pytest.LogCaptureFixture) -> None:
    """While the service is behind both wait, and while the mails are, the reports do; then all are handled."""
    done: dict[str, list[float]] = {name: [] for name in GROUPS}
    async with simulate(shop(done), settings=Settings(buffer_events=10)) as world:
        begin = await burst(world, 2_000)
        await world.settle()
    times = {name: [at - begin for at in found] for name, found in done.items()}
    assert {name: len(found) for name, found in times.items()} == dict.fromkeys(GROUPS, 2_000)
    over = {name: max(found) for name, found in times.items()}
    # What was published at once is over at once, and so nobody goes on before.
    assert not [at for at in times["shop.mails"] if 42 < at < over["shop"]]
    # The reports begin with the mails, and look around after a second.
    assert len([at for at in times["shop.reports"] if 12 < at < over["shop.mails"]]) < 30
    assert over["shop"] < over["shop.mails"] < over["shop.reports"]
    for group, tasks in (("'shop.mails', epoch", 2), ("'shop.reports', epoch", 2)):
        said = [line for line in caplog.messages if group in line and "still: it gives way to 'shop'" in line]
        assert len(said) == tasks


async def scenario() -> None:
    """A burst for a slow handler, for another one that gives way and for a group that does, while anything may fail."""
    service = Service("shop", lanes=random.choice([1, 4]))
    service.topic("orders", partitions=2)
    service.topic("done", partitions=1)
    later = service.group("later", lanes=random.choice([1, 4]), gives_way="2s")

    @service.on(Ordered)
    async def charge(order: Ordered) -> Done:
        await asyncio.sleep(0.2)
        return Done(order.customer, order.number, "charge")

    @service.on(Ordered, gives_way="3s")
    async def recommend(order: Ordered) -> Done:
        await asyncio.sleep(0.02)
        return Done(order.customer, order.number, "recommend")

    @later.on(Ordered)
    async def report(order: Ordered) -> Done:
        await asyncio.sleep(0.15)
        return Done(order.customer, order.number, "report")

    faults = [
        refuse_commit(probability=0.05),
        lose_answer(happened=random.choice([True, False]), probability=0.05),
        crash("commit.*", probability=0.1, times=3),
        crash("handler.*", probability=0.02, times=3),
        lose_ownership("*", probability=0.02, times=2),
    ]
    world = simulate(
        service,
        workers=random.randint(1, 2),
        faults=random.sample(faults, 2),
        settings=Settings(session_timeout_seconds=5, buffer_events=random.choice([5, 4_000])),
    )
    async with world as shop:
        await burst(shop, 50)
        for number in range(50, 70):
            await shop.advance(random.random())
            await shop.publish(Ordered(f"c{number % 7}", number))
        await shop.settle()
        for handler in ("charge", "recommend", "report"):
            for customer in range(7):
                mine = handler, f"c{customer}"
                found = [each.number for each in shop.published(Done) if (each.by, each.customer) == mine]
                assert found == list(range(customer, 70, 7)), (handler, customer)


def test_nothing_is_lost_and_each_key_keeps_its_order() -> None:
    """What waited follows, once and in order, whatever crashes meanwhile."""
    search(scenario, 8)
