"""Events and brokers that the tests of this room share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mainstem import DomainEvent, IntegrationEvent
from mainstem.broker.sqlite import SqliteBroker


class OrderPaid(IntegrationEvent, topic="orders", key="customer_id"):
    customer_id: str
    amount_cents: int = 0


class GoldReached(IntegrationEvent, topic="loyalty", key="customer_id"):
    customer_id: str


class SeatTaken(DomainEvent, topic="seats", key="flight", service="booking"):
    flight: str


class Bank:
    """Something a handler may want."""


@asynccontextmanager
async def embedded() -> AsyncIterator[SqliteBroker]:
    """A broker in memory, open."""
    broker = SqliteBroker(None)
    await broker.open()
    try:
        yield broker
    finally:
        await broker.close()
