"""With ``dev``, and in a simulation, an event that nobody could read is refused where it is published."""

from dataclasses import dataclass
from typing import cast

import pytest

from mainstem import Context, IntegrationEvent, Retry, Service, Topic
from mainstem.errors import EventRefused
from mainstem.testing import simulate, simulated
from tests.rooms.service.events import OrderPaid, embedded

WRONG = OrderPaid("c-1", cast("int", "12"))


class Billed(IntegrationEvent, topic="bills", key="order", envelope="structured"):
    order: str
    lines: list[int]


@dataclass
class ErpOrder:
    """An event of another system, with a rule of its own."""

    amount: int

    def __post_init__(self) -> None:
        """The rule."""
        if self.amount < 0:
            raise ValueError("an amount is not negative")


ERP = Topic("erp.orders", ErpOrder, envelope=None)


def negative() -> ErpOrder:
    """One that its own class would not make."""
    order = ErpOrder(1)
    order.amount = -1
    return order


@pytest.mark.parametrize(
    ("event", "what"),
    [
        (WRONG, "nobody could read this OrderPaid: at $.amount_cents expected int, found str"),
        (
            Billed("o-1", [1, cast("int", None)]),
            "nobody could read this Billed: at $.lines[1] expected int, found null",
        ),
        (ErpOrder(cast("int", 1.5)), "nobody could read this ErpOrder: at $.amount expected int, found float"),
        (negative(), "nobody could read this ErpOrder: at the top an amount is not negative"),
    ],
)
async def test_what_nobody_could_read_is_refused_in_play(event: object, what: str) -> None:
    """Path, expected and found; nothing of the call is published, in either mode and on topics of others."""
    shop = Service("shop", publishes=(OrderPaid, Billed, ERP))
    async with embedded() as broker, shop.running(broker=broker, dev=True):
        with pytest.raises(EventRefused) as refused:
            shop.publish(OrderPaid("c-1"), event)
        assert refused.value.what == what
        assert "a field holds something else than its annotation says" in refused.value.why
        topics = await broker.admin.topics(["orders", "bills", "erp.orders"])
        assert [sum(each.ends) for each in topics.values()] == [0, 0, 0]


async def test_in_production_nobody_looks() -> None:
    """There the encoder alone decides, because a look costs as much as the encoding."""
    shop = Service("shop", publishes=(OrderPaid,))
    async with embedded() as broker:
        async with shop.running(broker=broker, dev=True):
            await shop.publish(OrderPaid("c-1"))
        async with shop.running(broker=broker):
            await shop.publish(WRONG)
        [described] = (await broker.admin.topics(["orders"])).values()
        assert sum(described.ends) == 2


@simulated
async def test_a_simulated_handler_fails_with_what_it_publishes() -> None:
    """It is the publisher's failure, and not that of whoever reads; so is an event of the test itself."""
    shop = Service("shop")

    @shop.on(OrderPaid, retry=Retry.never())
    async def bill(order: OrderPaid, context: Context) -> Billed:
        context.publish(Billed(order.customer_id, [order.amount_cents]))
        return Billed(order.customer_id, cast("list[int]", "1"))

    async with simulate(shop) as world:
        await world.publish(OrderPaid("c-1", 12))
        await world.settle()
        [letter] = world.dead_letters()
        assert "at $.lines expected array, found str" in letter.error
        assert list(world.published(Billed)) == []
        with pytest.raises(EventRefused, match="expected int, found str"):
            await world.publish(WRONG)
