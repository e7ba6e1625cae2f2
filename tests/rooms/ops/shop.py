"""Services that the tests of the command line run; what they do depends on files in the current folder."""

from dataclasses import dataclass
from pathlib import Path

from mainstem import Context, DomainEvent, IntegrationEvent, Retry, Service, Timer, Topic


class OrderPaid(IntegrationEvent, topic="orders", key="customer_id"):
    """A negative amount cannot be handled until somebody has mended it."""

    customer_id: str
    amount_cents: int


class GoldReached(IntegrationEvent, topic="gold", key="customer_id", namespace="Shop"):
    customer_id: str


class Counted(DomainEvent, topic="counted", service="elsewhere"):
    number: int


@dataclass(frozen=True)
class ErpOrder:
    order_no: str


ERP = Topic("erp", ErpOrder, key="order_no", envelope=None)

loyalty = Service("loyalty", publishes=(OrderPaid,))
loyalty.topic("orders", partitions=2)
loyalty.topic("gold", partitions=1, retention="7d")
spent = loyalty.store("spent", int)


def mended() -> bool:
    """Whether the test has put it right."""
    return Path("mended").exists()


@loyalty.on(OrderPaid, retry=Retry.never())
async def tally(order: OrderPaid, context: Context) -> GoldReached | None:
    """Count what a customer has spent."""
    if order.amount_cents < 0 and not mended():
        raise ValueError(f"cannot pay back {-order.amount_cents}")
    context.wake("remind", after="7d")
    before = context.get(spent, 0)
    context.put(spent, after := before + order.amount_cents)
    return GoldReached(order.customer_id) if before < 10_000 <= after else None


@loyalty.on_timer("remind")
async def remind(_timer: Timer) -> None:
    """Nothing to do."""


changed = Service("loyalty", publishes=(OrderPaid,))
changed.store("spent", int)


@changed.on(OrderPaid)
async def count(_order: OrderPaid) -> None:
    """The service of the same name, after somebody has renamed its handler and removed its timer."""


importer = Service("importer")


@importer.on(ERP)
async def take_in(_order: ErpOrder) -> None:
    """Nothing to do."""


wide = Service("wide-reader")
wide.topic("wide", partitions=1, record_bytes_max=5_000_000)


class Wide(IntegrationEvent, topic="wide", key="text"):
    text: str


@wide.on(Wide)
async def widen(_wide: Wide) -> None:
    """Nothing to do."""


class Parcel(IntegrationEvent, topic="parcels", key="street"):
    street: str


class Weighed(IntegrationEvent, topic="weights", format="avro"):
    grams: int


post = Service("post", publishes=(Parcel, Weighed))
post.topic("parcels", partitions=1)
rounds = post.store("rounds", list[str])


@post.on(Parcel, retry=Retry.never())
async def sort_it(_parcel: Parcel, context: Context) -> None:
    """Fails until somebody has mended it, and its party waits."""
    if not mended():
        raise ValueError("no light in here")
    context.put(rounds, [*context.get(rounds, []), "sorted"])


@post.on(Parcel)
async def deliver_it(_parcel: Parcel, context: Context) -> None:
    """Shares the store."""
    context.put(rounds, [*context.get(rounds, []), "delivered"])


@post.on(Parcel, retry=Retry.never(), order="none")
async def weigh_it(_parcel: Parcel) -> None:
    """Fails too, and nobody waits for it."""
    if not mended():
        raise ValueError("no scales")


listener = Service("listener")


@listener.on(GoldReached, publishes=(Counted,))
async def listen(_gold: GoldReached) -> None:
    """Says that it publishes another service's domain event."""


class BookedFirst(IntegrationEvent, topic="bookings", name="Shop.Booked"):
    place: int


class Booked(IntegrationEvent, topic="bookings", name="Shop.Booked", version=2, oldest=2):
    seat: str


@dataclass
class Row:
    """One class on two topics."""

    number: int


@dataclass
class Place:
    """All that is read of a booking."""

    seat: str


desk = Service("desk", publishes=(Booked, BookedFirst, Topic("paper", Row, type_name="paper"), Topic("wood", Row)))
till = Service("till", publishes=(Topic("left", Row), Topic("right", Row)))


@desk.on(Topic.of(Booked, as_=Place))
async def see(_place: Place) -> None:
    """Nothing to do."""
