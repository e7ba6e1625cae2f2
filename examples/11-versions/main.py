"""An event changes its form, and nobody has to be deployed at once.

``shop`` is old and writes version 1; ``kiosk`` is new and writes version 3. ``billing`` knows the newest form alone,
and is given both: steps make each version the next one. ``mailer`` reads two fields, and says so. ``archive`` was
forgotten: what it does not know becomes a dead letter, never silence.
"""

from dataclasses import dataclass

from mainstem import IntegrationEvent, Service, Topic
from mainstem.schemas.upcasting import rename
from mainstem.testing import simulate, simulated


class OrderPlacedFirst(IntegrationEvent, topic="orders", key="order_id", name="OrderPlaced"):
    order_id: str
    client_id: str
    total: int


class OrderPlaced(IntegrationEvent, topic="orders", key="order_id", version=3):
    order_id: str
    customer_id: str
    total_cents: int
    currency: str


OrderPlaced.upcast(1, rename("client_id", "customer_id"))


@OrderPlaced.upcast(2)
def with_currency(data: dict[str, object]) -> dict[str, object]:
    """Version 2 had whole euros."""
    euros = data.pop("total")
    assert isinstance(euros, int)
    return {**data, "total_cents": euros * 100, "currency": "EUR"}


@dataclass
class Seen:
    order_id: str
    customer_id: str


shop = Service("shop", publishes=(OrderPlacedFirst,))
kiosk = Service("kiosk", publishes=(OrderPlaced,))
billing, mailer, archive = Service("billing"), Service("mailer"), Service("archive")


@billing.on(OrderPlaced)
async def bill(order: OrderPlaced) -> None:
    print(f"billing: {order.customer_id} pays {order.total_cents / 100:.2f} {order.currency}")


@mailer.on(Topic.of(OrderPlaced, as_=Seen))
async def mail(order: Seen) -> None:
    print(f"mailer: dear {order.customer_id}, thank you for {order.order_id}")


@archive.on(OrderPlacedFirst)
async def keep(order: OrderPlacedFirst) -> None:
    print(f"archive: {order.order_id}")


@simulated
async def main() -> None:
    async with simulate(shop, kiosk, billing, mailer, archive) as world:
        for order in (OrderPlacedFirst("o-1", "ann", 40), OrderPlaced("o-2", "bob", 1250, "CHF")):
            await world.publish(order)
            await world.settle()
        for letter in world.dead_letters():
            print(f"{letter.handler}: {letter.error.splitlines()[0]}")


main()
