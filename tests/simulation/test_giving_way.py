"""Groups and handlers that give way: a burst is over sooner for the others, and nothing is lost or out of order."""

import asyncio
from random import Random

import pytest

from mainstem import IntegrationEvent, Service
from mainstem.settings import Settings
from mainstem.testing import GUARANTEES, Simulation, World, search, simulate, simulated

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


hurried = Service("shop", lanes=4)
hurried.topic("orders", partitions=2)
hurried.topic("done", partitions=1)
later = hurried.group("later", lanes=1, gives_way="2s")


@hurried.on(Ordered)
async def charge(order: Ordered) -> Done:
    """Slow."""
    await asyncio.sleep(0.2)
    return Done(order.customer, order.number, "charge")


@hurried.on(Ordered, gives_way="3s")
async def recommend(order: Ordered) -> Done:
    """Gives way by itself."""
    await asyncio.sleep(0.02)
    return Done(order.customer, order.number, "recommend")


@later.on(Ordered)
async def report(order: Ordered) -> Done:
    """Gives way with its group."""
    await asyncio.sleep(0.15)
    return Done(order.customer, order.number, "report")


async def a_burst_and_then_some(world: World) -> None:
    """More than can be handled at once."""
    await burst(world, 50)
    for number in range(50, 70):
        await world.advance(world.random.random())
        await world.publish(Ordered(f"c{number % 7}", number))


def each_handler_has_done_everything(world: World) -> None:
    """What waited follows, once and in order."""
    ordered = world.published(Ordered)
    for handler in ("charge", "recommend", "report"):
        for customer in {each.customer for each in ordered}:
            mine = handler, customer
            found = [each.number for each in world.published(Done) if (each.by, each.customer) == mine]
            assert found == [each.number for each in ordered if each.customer == customer], mine


def settings(random: Random) -> Settings:
    """With a small buffer, or a large one."""
    return Settings(session_timeout_seconds=5, buffer_events=random.choice([5, 4_000]))


simulation = Simulation(
    hurried,
    scenario=a_burst_and_then_some,
    invariants=(*GUARANTEES, each_handler_has_done_everything),
    workers=(1, 2),
    settings=settings,
)


def test_nothing_is_lost_and_each_key_keeps_its_order() -> None:
    """Whatever crashes meanwhile."""
    search(simulation, 8)
