"""Timers: wake up later, per key, durably. Setting one again replaces it; cancelling one is a line.

A timer is a row in the same commit as everything else. It fires after a restart, too, and it is handled like an event
of its key: in order with the others, with the same memory, and retried in the same way.
"""

import asyncio

from mainstem import Context, IntegrationEvent, Service, Timer, running


class ItemAdded(IntegrationEvent, topic="baskets", key="basket"):
    basket: str
    item: str


class BasketPaid(IntegrationEvent, topic="baskets", key="basket"):
    basket: str


class BasketAbandoned(IntegrationEvent, topic="abandoned", key="basket"):
    basket: str
    items: list[str]


shop = Service("shop", publishes=(ItemAdded, BasketPaid))
items = shop.store("items", list[str])


@shop.on(ItemAdded)
async def add(added: ItemAdded, context: Context) -> None:
    context.put(items, [*context.get(items, []), added.item])
    context.wake("abandoned", after="300ms")  # a day, in a real shop


@shop.on(BasketPaid)
async def pay(paid: BasketPaid, context: Context) -> None:
    print(f"{paid.basket} was paid; a reminder was waiting: {context.cancel('abandoned')}")


@shop.on_timer("abandoned")
async def abandon(timer: Timer, context: Context) -> BasketAbandoned:
    basket = (timer.key or b"").decode()
    return BasketAbandoned(basket, context.get(items, []))


mail = Service("mail")
reminded = asyncio.Event()


@mail.on(BasketAbandoned)
async def remind(abandoned: BasketAbandoned) -> None:
    print(f"{abandoned.basket} was left alone with {' and '.join(abandoned.items)}")
    reminded.set()


async def main() -> None:
    async with running(shop, mail, broker="sqlite:///shop.db", dev=True):
        await shop.publish(ItemAdded("basket-1", "tea"), ItemAdded("basket-2", "cake"), ItemAdded("basket-1", "milk"))
        await shop.publish(BasketPaid("basket-2"))
        await reminded.wait()


asyncio.run(main())
