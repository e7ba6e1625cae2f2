"""Simulation: what is done to a service is done again and again, each time with other things going wrong.

What does not hold is made small and told as a story. Here a service greets its customers, and remembers whom it has
greeted in a set of its own: in no store, so that a run that is rolled back leaves it behind.
"""

from mainstem import Context, IntegrationEvent, Retry, Service
from mainstem.testing import Simulation, World, fail, search


class Ordered(IntegrationEvent, topic="orders", key="customer_id"):
    customer_id: str
    number: int


class Greeted(IntegrationEvent, topic="greetings", key="customer_id"):
    customer_id: str


hasty = Service("hasty")
greeted_already: set[str] = set()


@hasty.on(Ordered, retry=Retry.on(ConnectionError).inline(2))
async def greet(order: Ordered) -> Greeted | None:
    if order.customer_id in greeted_already:
        return None
    greeted_already.add(order.customer_id)
    return Greeted(order.customer_id)


sound = Service("sound")
greeted_before = sound.store("greeted", bool)


@sound.on(Ordered, retry=Retry.on(ConnectionError).inline(2))
async def greet_once(order: Ordered, context: Context) -> Greeted | None:
    if context.get(greeted_before, default=False):
        return None
    context.put(greeted_before, value=True)
    return Greeted(order.customer_id)


async def customers_order(world: World) -> None:
    greeted_already.clear()
    for number in range(6):
        await world.publish(Ordered(f"c-{number % 3}", number))
        await world.advance("1s")


def each_customer_is_greeted_once(world: World) -> None:
    """Whoever has ordered is greeted, and nobody is greeted twice."""
    ordered = {each.customer_id for each in world.published(Ordered)}
    greeted = [each.customer_id for each in world.published(Greeted)]
    assert sorted(greeted) == sorted(ordered), f"ordered has {sorted(ordered)}, and greeted was {greeted}"


def main() -> None:
    for service, handler in ((sound, greet_once), (hasty, greet)):
        simulation = Simulation(
            service,
            scenario=customers_order,
            invariants=[each_customer_is_greeted_once],
            faults=[fail(handler, ConnectionError, after=True)],
            workers=1,
        )
        try:
            print(f"{service.name}: {search(simulation, 50)} seeds hold")
        except AssertionError as failed:
            print(f"{service.name}: {failed}")


if __name__ == "__main__":
    main()
