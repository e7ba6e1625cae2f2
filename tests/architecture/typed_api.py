"""What a type checker says about code that uses Mainstem. It is read by mypy and pyright, both strict, and never run.

A line that must be refused says so for both; a comment that is no longer needed is itself a fault.
"""

from dataclasses import dataclass
from typing import assert_type

from mainstem.events import IntegrationEvent, Topic


class OrderPaid(IntegrationEvent, topic="orders", key="customer_id"):
    """An event as users write it."""

    customer_id: str
    amount_cents: int
    currency: str = "EUR"


class Several(IntegrationEvent, topic="orders", key=("shop", "order"), version=2, name="Few", was=("Old",)):
    """All that a class line may say."""

    shop: str
    order: int


class Misspelt(IntegrationEvent, topc="orders"):  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue, reportGeneralTypeIssues]
    """A class keyword that does not exist."""


class Numbered(IntegrationEvent, topic="orders", version="2"):  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportGeneralTypeIssues]
    """A class keyword of the wrong type."""


paid = OrderPaid("c-1", 4200)
assert_type(paid.amount_cents, int)
assert_type(OrderPaid(customer_id="c-1", amount_cents=1, currency="CHF"), OrderPaid)

OrderPaid("c-1")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
OrderPaid("c-1", "4200")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
OrderPaid("c-1", 4200, curency="EUR")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
paid.amount_cents = 1  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


@dataclass(frozen=True)
class ErpOrder:
    """A type that is not ours."""

    order_no: str


assert_type(Topic("erp.orders", ErpOrder, key="order_no", envelope=None), Topic[ErpOrder])
Topic("erp.orders", ErpOrder, envelope="none")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
