"""What a type checker says about code that uses Mainstem. It is read by mypy and pyright, both strict, and never run.

A line that must be refused says so for both; a comment that is no longer needed is itself a fault.
"""

from dataclasses import dataclass
from typing import assert_type

import msgspec

from mainstem.events import Declaration, DomainEvent, IntegrationEvent, NotificationEvent, Topic, declaration_of
from mainstem.schemas.upcasting import drop, rename


class OrderPaid(IntegrationEvent, topic="orders", key="customer_id"):
    """An event as users write it."""

    customer_id: str
    amount_cents: int
    currency: str = "EUR"


class Several(IntegrationEvent, topic="orders", key=("shop", "order"), version=2, name="Few", was=("Old",)):
    """All that a class line may say."""

    shop: str
    order: int


class Documented(IntegrationEvent, topic="orders", envelope="structured"):
    """Attributes and payload in one document."""


class Bare(IntegrationEvent, topic="orders", envelope=None):  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportGeneralTypeIssues]
    """An event class has an envelope."""


class BookingEvent(DomainEvent, key="room", namespace="Booking", service="booking"):
    """A class without topic lends its fields, key, namespace and owner."""

    room: int


class RoomBooked(BookingEvent, topic="rooms"):
    """It has the fields of its parent, and its own."""

    guests: list[str] = msgspec.field(default_factory=list[str])


class Placed(IntegrationEvent, topic="orders", version=3, oldest=1, format="avro", schema_id="prefix"):
    """Forms that change, and a form in bytes."""

    order: int


class ErpEvent(IntegrationEvent, format="avro", schema_id="prefix", subject="topic-record"):
    """A class without topic lends its form too."""


class Registered(IntegrationEvent, topic="orders", subject="record-name"):  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportGeneralTypeIssues]
    """A subject is named in one of three ways."""


class Written(IntegrationEvent, topic="orders", format="xml"):  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportGeneralTypeIssues]
    """A format that does not exist."""


@dataclass
class Seen:
    """What is read of an event."""

    order: int


def older(data: dict[str, object]) -> dict[str, object]:
    """A step from one version to the next."""
    return data


def stranger(data: list[int]) -> list[int]:
    """No step: a payload is an object."""
    return data


Placed.upcast(1, rename("no", "order"), older)
Placed.upcast(2)(older)
Placed.upcast(2, stranger)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Placed.upcast("1", older)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
assert_type(Topic.of(Placed, as_=Seen), Topic[Seen])
Topic("orders", Seen, version=2).upcast(1, drop("order"))


class Reminder(NotificationEvent, topic="reminders", key=None):
    """Without a key."""

    text: str

    def shortened(self) -> str:
        """Events may have methods."""
        return self.text[:10]


class Misspelt(IntegrationEvent, topc="orders"):  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue, reportGeneralTypeIssues]
    """A class keyword that does not exist."""


class Numbered(IntegrationEvent, topic="orders", version="2"):  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportGeneralTypeIssues]
    """A class keyword of the wrong type."""


class Listed(IntegrationEvent, topic="orders", key=["a"]):  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportGeneralTypeIssues]
    """Several key fields are a tuple."""


class Owned(DomainEvent, topic="orders", service=None):  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportGeneralTypeIssues]
    """An owner has a name."""


class Formerly(IntegrationEvent, topic="orders", was="Old"):  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportGeneralTypeIssues]
    """Former names are a tuple."""


class Thawed(IntegrationEvent, topic="orders", frozen=False):  # type: ignore[call-arg, misc]  # pyright: ignore[reportCallIssue, reportGeneralTypeIssues]
    """Events are frozen, all of them."""


paid = OrderPaid("c-1", 4200)
assert_type(paid.amount_cents, int)
assert_type(OrderPaid(customer_id="c-1", amount_cents=1, currency="CHF"), OrderPaid)

OrderPaid("c-1")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
OrderPaid("c-1", "4200")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
OrderPaid("c-1", 4200, curency="EUR")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
OrderPaid("c-1", 4200, "EUR", "late")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
RoomBooked("12")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
_ = paid.amount  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
paid.amount_cents = 1  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]

assert_type(RoomBooked(12, ["ann"]).room, int)
assert_type(RoomBooked(12).guests, list[str])
assert_type(Reminder("see you").shortened(), str)

match paid:
    case OrderPaid(customer_id=customer):
        assert_type(customer, str)


@dataclass(frozen=True)
class ErpOrder:
    """A type that is not ours."""

    order_no: str


assert_type(Topic("erp.orders", ErpOrder, key="order_no", envelope=None), Topic[ErpOrder])
assert_type(Topic("erp.orders", ErpOrder, envelope="structured"), Topic[ErpOrder])
Topic("erp.orders", ErpOrder, envelope="none")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Topic("erp.orders", ErpOrder("o-1"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Topic("erp.orders", ErpOrder, topic="erp.orders")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]

assert_type(declaration_of(OrderPaid), Declaration)
assert_type(declaration_of(Topic("erp.orders", ErpOrder)), Declaration)
declaration_of("orders")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
