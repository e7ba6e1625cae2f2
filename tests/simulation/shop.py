"""What the accounts leave out: two services, groups, batches, plain functions, keyless events, partition stores."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable

from mainstem import Context, IntegrationEvent, Retry, Service
from mainstem.testing import GUARANTEES, USUAL, Simulation, World, crash, fail


class Ordered(IntegrationEvent, topic="orders", key="customer"):
    """Somebody wants so many items."""

    customer: str
    number: int
    items: int


class Visited(IntegrationEvent, topic="visits"):
    """It has no key."""

    page: str


class Shipped(IntegrationEvent, topic="shipments", key="customer"):
    """One item is on its way."""

    customer: str
    number: int
    part: int


class Counted(IntegrationEvent, topic="counts", key="customer"):
    """So many items have been shipped to a customer."""

    customer: str
    shipments: int


class Flaky(Exception):
    """It may work next time."""


RETRY = Retry.on(Flaky).inline(1).later(*["1s", "5s", "30s"] * 3)
PAUSE = Retry.on(Flaky).inline(1).pause("5s")

shop = Service("shop", lanes=3)
for _name, _partitions in (("orders", 2), ("visits", 3), ("shipments", 3), ("counts", 1)):
    shop.topic(_name, partitions=_partitions)
ordered = shop.store("ordered", list[int])
pages = shop.group("pages", lanes=1)
hits = pages.store("hits", int, scope="partition")
totals = shop.group("totals", lanes=1)
items = totals.store("items", int, scope="partition")
plain = shop.group("plain")
count = plain.store("count", int)
warehouse = Service("warehouse")
shipped = warehouse.store("shipped", list[tuple[int, int]])


@shop.on(Ordered, retry=RETRY)
async def ship(order: Ordered, context: Context) -> AsyncIterator[Shipped]:
    """Ship every item by itself."""
    context.put(ordered, [*context.get(ordered, []), order.number])
    for part in range(order.items):
        if part:
            await asyncio.sleep(0.002 * part)
        yield Shipped(order.customer, order.number, part)


@pages.on(Visited, retry=RETRY)
async def hit(visit: Visited, context: Context) -> None:
    """Count per page, in each task."""
    context.put(hits, context.get(hits, 0, key=visit.page) + 1, key=visit.page)
    await asyncio.sleep(0.001)


@totals.on(Ordered, retry=RETRY)
async def add_up(orders: list[Ordered], context: Context) -> None:
    """Many orders at once."""
    await asyncio.sleep(0.003)
    context.put(items, context.get(items, 0, key="all") + sum(order.items for order in orders), key="all")


@plain.on(Ordered, retry=PAUSE)
def tally(_order: Ordered, context: Context) -> None:
    """An ordinary function."""
    context.put(count, context.get(count, 0) + 1)


@warehouse.on(Shipped, retry=PAUSE)
async def count_shipments(event: Shipped, context: Context) -> Counted:
    """Remember what was shipped, and tell how much that is."""
    seen = [*context.get(shipped, []), (event.number, event.part)]
    context.put(shipped, seen)
    return Counted(event.customer, len(seen))


FAULTS = (
    *USUAL,
    crash(ship, restart_after="20s"),
    fail(ship, Flaky, times=6, after=True),
    fail(add_up, Flaky, times=6, after=True),
    fail(tally, Flaky, times=6, after=True),
    fail(hit, Flaky, times=6),
    fail(count_shipments, Flaky, times=6),
)


async def scenario(world: World) -> None:
    """Orders and visits while things go wrong."""
    random = world.random
    for number in range(random.randint(5, 15)):
        if random.random() < 0.4:
            await world.publish(Visited(f"p{random.randint(1, 3)}"))
        else:
            await world.publish(Ordered(f"c{random.randint(1, 3)}", number, random.randint(0, 4)))
        if random.random() < 0.2:
            await asyncio.sleep(random.random() * 3)


def summed(values: Iterable[dict[bytes, int]]) -> Counter[bytes]:
    """The values of all tasks, key by key."""
    found: Counter[bytes] = Counter()
    for each in values:
        found.update(each)
    return found


def adds_up(world: World) -> None:
    """What must be follows from what is in the log, in its order; an order that was published twice counts twice."""
    orders = world.published(Ordered).all()
    visits = world.published(Visited).all()
    assert world.dead_letters() == []
    for customer in {order.customer for order in orders}:
        mine = [order for order in orders if order.customer == customer]
        parts = [(order.number, part) for order in mine for part in range(order.items)]
        assert world.value(ordered, customer) == [order.number for order in mine], f"orders of {customer}"
        assert world.value(count, customer) == len(mine), f"orders of {customer}, counted by the plain function"
        sent = [(event.number, event.part) for event in world.published(Shipped) if event.customer == customer]
        assert sent == parts, f"shipments to {customer}"
        assert (world.value(shipped, customer) or []) == parts, f"shipments to {customer}, in the warehouse"
        told = [event.shipments for event in world.published(Counted) if event.customer == customer]
        assert told == list(range(1, len(parts) + 1)), f"counts of {customer}"
    assert summed(world.values(hits, task=task) for task in range(3)) == Counter(
        visit.page.encode() for visit in visits
    )
    assert summed(world.values(items, task=task) for task in range(2))[b"all"] == sum(order.items for order in orders)


simulation = Simulation(shop, warehouse, scenario=scenario, invariants=(*GUARANTEES, adds_up), faults=FAULTS)
