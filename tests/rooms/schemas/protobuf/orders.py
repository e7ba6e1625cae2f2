"""Event types in Protobuf that between them have everything that has a form there."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta, Struct
from pydantic import BaseModel, Field

from mainstem import IntegrationEvent
from mainstem.schemas import FieldNumber, Personal, fallback, numbered, retired


@numbered(WEB=1, SHOP=2)
@fallback("SHOP")
class Channel(Enum):
    """How an order came."""

    WEB = "web"
    SHOP = "shop"


class Colour(IntEnum):
    NONE = 0
    RED = 1


class Size(IntEnum):
    SMALL = 1
    LARGE = 2


class Card(Struct, tag=True):
    number: Annotated[str, FieldNumber(1)]


class Cash(Struct, tag=True):
    """In coins."""


@dataclass
class Line:
    sku: Annotated[str, FieldNumber(1)]
    quantity: Annotated[int, FieldNumber(2)] = 1
    parts: Annotated[list["Line"], FieldNumber(3)] = field(default_factory=list)


@retired(4, "total")
class OrderPaid(IntegrationEvent, topic="orders", key="customer_id", namespace="Shop.Orders", format="protobuf"):
    """An order was paid.

    By a customer.
    """

    customer_id: Annotated[str, FieldNumber(1), Personal]
    amount_cents: Annotated[int, FieldNumber(2)]
    payment: Annotated[Card, FieldNumber(5)] | Annotated[Cash, FieldNumber(6)]
    size: Annotated[Size, FieldNumber(20)]
    paid_at: Annotated[datetime, FieldNumber(21)]
    lines: Annotated[list[Line], FieldNumber(7)]
    currency: Annotated[str, FieldNumber(3)] = "EUR"
    note: Annotated[str | None, FieldNumber(8)] = None
    took: Annotated[timedelta, FieldNumber(10)] = timedelta(0)
    price: Annotated[Decimal | None, FieldNumber(11)] = None
    id: Annotated[UUID | None, FieldNumber(12)] = None
    by_sku: Annotated[dict[str, Line], FieldNumber(13)] = msgspec.field(default_factory=dict)
    channel: Annotated[Channel, FieldNumber(14)] = Channel.WEB
    colours: Annotated[tuple[Colour, ...], FieldNumber(15)] = ()
    day: Annotated[date | None, FieldNumber(16)] = None
    at: Annotated[time | None, FieldNumber(17)] = None
    tags: Annotated[set[str], FieldNumber(18)] = msgspec.field(default_factory=set)
    gift: Annotated[bool, FieldNumber(19)] = False
    ratio: Annotated[float, FieldNumber(22)] = 0.5
    picture: Annotated[bytes, FieldNumber(23)] = b""
    mode: Annotated[Literal["fast", "slow"], FieldNumber(24)] = "fast"
    bundled: Annotated["OrderPaid | None", FieldNumber(25)] = None
    refund: Annotated[Card, FieldNumber(26)] | Annotated[Cash, FieldNumber(27)] | None = None
    counts: Annotated[dict[UUID, int], FieldNumber(28)] = msgspec.field(default_factory=dict)
    times: Annotated[dict[int, timedelta], FieldNumber(29)] = msgspec.field(default_factory=dict)
    prices: Annotated[list[Decimal], FieldNumber(30)] = msgspec.field(default_factory=list)


class Small(IntegrationEvent, topic="orders", key="customer_id", format="protobuf"):
    customer_id: Annotated[str, FieldNumber(1)]
    amount_cents: Annotated[int, FieldNumber(2)]


class Later(IntegrationEvent, topic="orders", key="customer_id", name="Small", format="protobuf"):
    amount_cents: Annotated[int, FieldNumber(2)]
    customer_id: Annotated[str, FieldNumber(1)]
    currency: Annotated[str, FieldNumber(3)] = "EUR"


class Bounded(Struct, kw_only=True):
    customer_id: Annotated[str, FieldNumber(1), Meta(min_length=2)]


class ModelLine(BaseModel):
    sku: Annotated[str, FieldNumber(1)]


class Model(BaseModel):
    customer_id: Annotated[str, FieldNumber(1)] = Field(alias="customerId")
    lines: Annotated[list[ModelLine], FieldNumber(2)]
    amount: Annotated[Decimal, FieldNumber(3), Field(gt=0)] = Decimal(1)


FULL = OrderPaid(
    customer_id="é-1",
    amount_cents=-(2**63),
    payment=Card("4711"),
    size=Size.LARGE,
    paid_at=datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    lines=[Line("a", 0, [Line("b")]), Line("")],
    currency="",
    note="",
    took=timedelta(days=-1, microseconds=5),
    price=Decimal("1.50"),
    id=UUID(int=7),
    by_sku={"x": Line("q"), "": Line("")},
    channel=Channel.SHOP,
    colours=(Colour.RED, Colour.NONE),
    day=date(2026, 1, 2),
    at=time(17, 30),
    tags={"a", "b"},
    gift=True,
    ratio=0.0,
    picture=b"\x00\xff",
    mode="slow",
    bundled=OrderPaid("", 0, Cash(), Size.SMALL, datetime(1, 1, 1, tzinfo=UTC), []),
    refund=Cash(),
    counts={UUID(int=1): 0},
    times={0: timedelta(seconds=1)},
    prices=[Decimal(0), Decimal("1E+3")],
)
LEAST = OrderPaid("", 0, Cash(), Size.SMALL, datetime(9999, 12, 31, tzinfo=UTC), [])
