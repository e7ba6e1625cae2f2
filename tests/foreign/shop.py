"""What a console is shown: a service whose events carry the ids of their schemas, in every format and place."""

import enum
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated

from msgspec import Struct

from mainstem import Context, IntegrationEvent, Service
from mainstem.schemas import FieldNumber, fallback, numbered


@fallback("OTHER")
@numbered(WEB=1, OTHER=2)
class Channel(enum.StrEnum):
    WEB = "web"
    OTHER = "other"


@dataclass
class Line:
    sku: Annotated[str, FieldNumber(1)]
    price: Annotated[Decimal, FieldNumber(2)]


class Card(Struct, tag=True):
    digits: Annotated[str, FieldNumber(1)]


class Cash(Struct, tag=True):
    pass


class Placed(IntegrationEvent, topic="orders", key="order", namespace="Shop", format="avro", schema_id="prefix"):
    order: str
    placed_at: datetime
    lines: list[Line]
    payment: Card | Cash
    channel: Channel = Channel.WEB
    note: str | None = None


class Confirmed(IntegrationEvent, topic="confirmations", key="order", namespace="Shop", schema_id="prefix"):
    order: str
    confirmed_at: datetime
    lines: list[Line]
    payment: Card | Cash
    channel: Channel = Channel.WEB
    note: str | None = None


class Shipped(
    IntegrationEvent, topic="shipments", key="order", namespace="Shop", format="protobuf", schema_id="prefix"
):
    order: Annotated[str, FieldNumber(1)]
    shipped_at: Annotated[datetime, FieldNumber(2)]
    lines: Annotated[list[Line], FieldNumber(3)]
    payment: Annotated[Card, FieldNumber(4)] | Annotated[Cash, FieldNumber(5)]
    channel: Annotated[Channel, FieldNumber(6)] = Channel.WEB
    note: Annotated[str | None, FieldNumber(7)] = None


class Paid(IntegrationEvent, topic="payments", key="order", namespace="Shop", format="avro", schema_id="header"):
    order: str
    cents: int = 0


class Thanked(IntegrationEvent, topic="thanks", key="order", namespace="Shop"):
    order: str
    times: int


shop = Service("shop", publishes=(Placed,), tasks=1)
for each in ("orders", "confirmations", "shipments", "payments", "thanks"):
    shop.topic(each, partitions=2)
thanks = shop.store("thanks", int)


@shop.on(Placed)
async def confirm(placed: Placed) -> Confirmed:
    """In JSON what came in Avro."""
    return Confirmed(placed.order, placed.placed_at, placed.lines, placed.payment, placed.channel, placed.note)


@shop.on(Confirmed)
async def ship(confirmed: Confirmed) -> Shipped:
    """In Protobuf what came in JSON."""
    about = confirmed
    return Shipped(about.order, about.confirmed_at, about.lines, about.payment, about.channel, about.note)


@shop.on(Shipped)
async def pay(shipped: Shipped) -> Paid:
    """With the id in a header."""
    return Paid(shipped.order, 4200)


@shop.on(Paid)
async def thank(paid: Paid, context: Context) -> Thanked:
    """Without any id, and remembered."""
    times = context.get(thanks, 0) + 1
    context.put(thanks, times)
    print("thanked", paid.order, flush=True)
    return Thanked(paid.order, times)
