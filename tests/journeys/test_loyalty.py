# ruff: noqa: D103 - the handler stands here as the page shows it
"""The first example, word by word as a newcomer reads it, on a real broker."""

from pathlib import Path

import pytest

from mainstem import Context, IntegrationEvent, Service, running
from tests.journeys.conditions import Collected, stored, until


class OrderPaid(IntegrationEvent, topic="orders", key="customer_id"):
    customer_id: str
    amount_cents: int
    currency: str = "EUR"  # a field with a default may be added at any time: no new version


class GoldReached(IntegrationEvent, topic="loyalty", key="customer_id"):
    customer_id: str


loyalty = Service("loyalty")
spent = loyalty.store("spent", int)  # durable memory, one value per key


@loyalty.on(OrderPaid)
async def tally(order: OrderPaid, context: Context) -> GoldReached | None:
    before = context.get(spent, 0)
    context.put(spent, after := before + order.amount_cents)
    return GoldReached(order.customer_id) if before < 10_000 <= after else None


@pytest.mark.parametrize("where", ["memory", "file"])
async def test_a_customer_reaches_gold(where: str, tmp_path: Path) -> None:
    """An order is counted, and the one that passes the mark publishes that gold was reached, once."""
    url = "sqlite:///:memory:" if where == "memory" else f"sqlite:///{tmp_path}/shop.db"
    shop = Service("shop", publishes=(OrderPaid,))
    reader = Collected("reader", GoldReached)
    async with running(shop, loyalty, reader.service, broker=url, dev=True) as process:
        await shop.publish(OrderPaid("c-1", 6_000), OrderPaid("c-2", 500))
        await shop.publish(OrderPaid("c-1", 6_000))
        await shop.publish(OrderPaid("c-1", 6_000))
        await until(lambda: reader.events == [GoldReached("c-1")])
        await until(lambda: stored(process, "loyalty", spent, b"c-1") == 18_000)
        assert stored(process, "loyalty", spent, b"c-2") == 500
