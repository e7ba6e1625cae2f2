"""The first event: a handler, its memory, and what it publishes are committed together, or not at all.

python examples/01-first-event/main.py
"""

import asyncio

from mainstem import Context, IntegrationEvent, Service, running


class OrderPaid(IntegrationEvent, topic="orders", key="customer_id"):
    customer_id: str
    amount_cents: int
    currency: str = "EUR"


class GoldReached(IntegrationEvent, topic="loyalty", key="customer_id"):
    customer_id: str


loyalty = Service("loyalty")
spent = loyalty.store("spent", int)  # durable memory, one value per key


@loyalty.on(OrderPaid)
async def tally(order: OrderPaid, context: Context) -> GoldReached | None:
    before = context.get(spent, 0)
    context.put(spent, after := before + order.amount_cents)
    return GoldReached(order.customer_id) if before < 10_000 <= after else None


shop = Service("shop", publishes=(OrderPaid,))
mail = Service("mail")
congratulated = asyncio.Event()


@mail.on(GoldReached)
async def congratulate(gold: GoldReached) -> None:
    print(f"{gold.customer_id} is gold")
    congratulated.set()


async def main() -> None:
    async with running(shop, loyalty, mail, broker="sqlite:///shop.db", dev=True):
        await shop.publish(OrderPaid("c-9", 6_000), OrderPaid("c-7", 500), OrderPaid("c-9", 6_000))
        await congratulated.wait()


asyncio.run(main())
