"""Types of every sort that has a form in Avro."""

import enum
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta
from pydantic import BaseModel, Field

from mainstem.events import DomainEvent, IntegrationEvent
from mainstem.schemas import fallback


@fallback("OTHER")
class Channel(enum.Enum):
    """An enum that may grow."""

    WEB = "web"
    SHOP = "shop"
    OTHER = "other"


class Carrier(enum.Enum):
    """Its values cannot be symbols."""

    FAST = "fast-one"
    SLOW = "slow one"


class Grade(enum.IntEnum):
    """An enum of numbers."""

    ONE = 1
    TWO = 2


class Line(msgspec.Struct, frozen=True):
    """A part of an order."""

    sku: str
    price: Annotated[Decimal, Meta(extra={"precision": 9, "scale": 2}, description="In euros")]
    tags: frozenset[str] = frozenset()


class Card(msgspec.Struct, frozen=True, tag="card"):
    """Paid by card."""

    number: str
    at: datetime


class Cash(msgspec.Struct, frozen=True, tag="cash"):
    """Paid in cash."""

    given: Decimal


class Tree(msgspec.Struct, frozen=True):
    """A type that holds itself."""

    at: date
    children: "tuple[Tree, ...]" = ()


class OrderPaid(
    IntegrationEvent, topic="orders", key="customer_id", namespace="Shop.Orders", was=("Shop.Orders.Paid",)
):
    """An event of nearly everything."""

    customer_id: UUID
    at: datetime
    local: Annotated[datetime, Meta(tz=False)]
    day: date
    clock: time
    took: timedelta
    total: Decimal
    raw: bytes
    lines: tuple[Line, ...]
    first: Line | None
    payment: Card | Cash
    earlier: list[Card | Cash | None]
    tree: Tree
    either: int | str | None
    grade: Grade
    way: Literal["air", "sea"]
    notes: dict[str, datetime | None] = msgspec.field(default_factory=dict)
    sets: set[int] = msgspec.field(default_factory=set)
    channel: Channel = Channel.WEB
    carrier: Carrier | None = None
    currency: str = "EUR"
    rate: float = 1.0
    since: datetime | None = None
    blob: bytes = b"\x00\xff"
    discount: Annotated[Decimal, Meta(extra={"precision": 5, "scale": 3})] = Decimal("-0.25")
    opened: date = date(2020, 1, 2)


class Moved(DomainEvent, topic="moves", service="booking"):
    """A small event."""

    customer_id: str
    amount_cents: int
    currency: str = "EUR"
    note: str | None = None


@dataclass
class ErpOrder:
    """A type that is not ours."""

    order_no: str
    lines: list[Line] = field(default_factory=list)


class Address(BaseModel):
    """A model within a model."""

    street: str
    number: int | None = None


class Customer(BaseModel):
    """A pydantic model."""

    id: UUID
    name: Annotated[str, Field(max_length=50, description="In full")]
    credit: Decimal = Field(default=Decimal("0.50"), max_digits=9, decimal_places=2)
    address: Address | None = None
    channel: Channel = Channel.WEB
    since: datetime
    friends: list[Address] = []
