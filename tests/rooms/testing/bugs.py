"""Services with a bug each, as people write them; and what of them does not hold."""

import asyncio
import multiprocessing

from mainstem import Context, IntegrationEvent, Retry, Service
from mainstem.testing import GUARANTEES, USUAL, Simulation, World, fail


class Ordered(IntegrationEvent, topic="orders", key="order_id"):
    """Somebody has ordered something."""

    order_id: str
    customer_id: str
    amount: int


class Shipped(IntegrationEvent, topic="shipments", key="order_id"):
    """It is on its way."""

    order_id: str


class Greeted(IntegrationEvent, topic="greetings", key="customer_id"):
    """A customer was greeted."""

    customer_id: str


class Bank:
    """Remembers what it was asked for."""

    def __init__(self) -> None:
        self.charged: list[str] = []

    async def charge(self, order_id: str, key: str | None = None) -> None:
        """Take the money; of two calls with one key, once."""
        await asyncio.sleep(0.2)
        if key is None or key not in self.charged:
            self.charged.append(key or order_id)


async def orders_come_in(world: World) -> None:
    """A few orders of a few customers, some of them close together."""
    for number in range(6):
        await world.publish(Ordered(f"o-{number}", f"c-{number % 2}", 100))
        await asyncio.sleep(world.random.choice([0.0, 0.5]))


# -- a call to the outside that cannot be made twice

forgetful = Service("forgetful")
forgetful.provide(Bank, Bank)


@forgetful.on(Ordered)
async def charge(order: Ordered, bank: Bank) -> Shipped:
    """Charges again whenever it is run again."""
    await bank.charge(order.order_id)
    return Shipped(order.order_id)


careful = Service("careful")
careful.provide(Bank, Bank)


@careful.on(Ordered)
async def charge_with_key(order: Ordered, context: Context, bank: Bank) -> Shipped:
    """The bank knows the call again."""
    await bank.charge(order.order_id, context.idempotency_key("charge"))
    return Shipped(order.order_id)


def every_order_is_charged_once(world: World) -> None:
    """Every order is charged once."""
    charged = world.stand_in(Bank).charged
    assert len(charged) == len(set(charged)), f"the bank has charged {charged}"


# -- state that is in no store

counting = Service("counting")
greeted_already: set[str] = set()


@counting.on(Ordered, retry=Retry.on(ConnectionError).inline(1))
async def greet(order: Ordered) -> Greeted | None:
    """Greets each customer once, and remembers whom in a place that no crash and no other process respects."""
    if order.customer_id in greeted_already:
        return None
    greeted_already.add(order.customer_id)
    return Greeted(order.customer_id)


async def one_customer_orders(world: World) -> None:
    """Three orders of somebody who was never here."""
    greeted_already.clear()
    for number in range(3):
        await world.publish(Ordered(f"o-{number}", "c-1", 100))
        await asyncio.sleep(1)


def customers_are_greeted_once(world: World) -> None:
    """Each customer is greeted once."""
    greeted = [each.customer_id for each in world.published(Greeted)]
    customers = {each.customer_id for each in world.published(Ordered)}
    assert sorted(greeted) == sorted(customers), f"ordered have {sorted(customers)}, and greeted were {greeted}"


# -- an order between keys, which nobody promises

numbering = Service("numbering")
numbering.topic("orders", partitions=2)
highest = numbering.store("highest", int)


class Ledger:
    """Enters orders in a book."""

    def __init__(self) -> None:
        self.entered: list[str] = []

    def enter(self, order_id: str) -> None:
        """The next line of the book."""
        if order_id not in self.entered:
            self.entered.append(order_id)


numbering.provide(Ledger, Ledger)


@numbering.on(Ordered)
async def enter(order: Ordered, ledger: Ledger) -> None:
    """Takes it for granted that orders come in the order in which they were published."""
    ledger.enter(order.order_id)


async def one_order_after_the_other(world: World) -> None:
    """Each long after the one before it."""
    for number in range(6):
        await world.publish(Ordered(f"o-{number}", "c-1", 100))
        await asyncio.sleep(1)


def orders_are_entered_in_order(world: World) -> None:
    """The book has the orders as they were published."""
    entered = world.stand_in(Ledger).entered
    assert entered == sorted(entered), f"the book says {entered}"


def search_of(service: Service, scenario: object, invariant: object, stand_in: type | None = None) -> Simulation:
    """Everything that usually goes wrong, and the invariant beside what is guaranteed."""
    return Simulation(
        service,
        scenario=scenario,  # type: ignore[arg-type]  # one of those above
        invariants=(*GUARANTEES, invariant),  # type: ignore[arg-type]  # the same
        faults=USUAL,
        replace={} if stand_in is None else {stand_in: stand_in},
    )


async def fails_in_another_process(world: World) -> None:
    """Here it holds."""
    await orders_come_in(world)
    assert multiprocessing.parent_process() is None


elsewhere = Simulation(careful, scenario=fails_in_another_process, replace={Bank: Bank})
outside = search_of(forgetful, orders_come_in, every_order_is_charged_once, Bank)
with_key = search_of(careful, orders_come_in, every_order_is_charged_once, Bank)
in_a_global = Simulation(
    counting,
    scenario=one_customer_orders,
    invariants=(*GUARANTEES, customers_are_greeted_once),
    faults=[*USUAL, fail(greet, ConnectionError, after=True)],
)
across_keys = search_of(numbering, one_order_after_the_other, orders_are_entered_in_order, Ledger)
