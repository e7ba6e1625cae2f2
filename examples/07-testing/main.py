"""Testing: the real engine in virtual time, on a broker in memory, with whatever may go wrong.

A test that waits for days takes milliseconds, and the same seed gives the same run. ``@simulated`` makes of each of
these an ordinary test function; here they are simply called.
"""

import asyncio

from mainstem import Context, IntegrationEvent, Retry, Service
from mainstem.testing import crash, fail, simulate, simulated


class OrderPlaced(IntegrationEvent, topic="orders", key="order_id"):
    order_id: str
    amount_cents: int


class PaymentTaken(IntegrationEvent, topic="payments", key="order_id"):
    order_id: str
    receipt: str


class PaymentOverdue(IntegrationEvent, topic="payments", key="order_id"):
    order_id: str


class Bank:
    """Takes its time, as banks do."""

    async def charge(self, order_id: str, amount_cents: int) -> str:
        await asyncio.sleep(2)
        return f"receipt for {amount_cents} of {order_id}"


billing = Service("billing")
billing.provide(Bank, Bank)
paid = billing.store("paid", int)


@billing.on(OrderPlaced, retry=Retry.on(TimeoutError).inline(1).later("1m", "1h"))
async def take_payment(order: OrderPlaced, context: Context, bank: Bank) -> PaymentTaken | None:
    if order.amount_cents > 100_000:
        context.wake("overdue", after="14d")  # by transfer, then
        return None
    receipt = await bank.charge(order.order_id, order.amount_cents)
    context.put(paid, context.get(paid, 0) + order.amount_cents)
    return PaymentTaken(order.order_id, receipt)


@billing.on_timer("overdue")
async def complain(context: Context) -> PaymentOverdue:
    return PaymentOverdue((context.key or b"").decode())


class CountingBank(Bank):
    """Stands in for the real one, where a test wants to know how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def charge(self, order_id: str, amount_cents: int) -> str:
        self.asked += 1
        return await super().charge(order_id, amount_cents)


@simulated
async def test_a_slow_bank_is_asked_again() -> None:
    async with simulate(billing, faults=[fail(Bank.charge, TimeoutError, times=3)]) as world:
        began_ms = world.clock.now_ms()
        await world.publish(OrderPlaced("o-1", 4_200))
        await world.settle()
        assert world.published(PaymentTaken).one().receipt == "receipt for 4200 of o-1"
        hours = (world.clock.now_ms() - began_ms) / 3_600_000
    print(f"the payment was taken after {hours:.1f} hours")


@simulated
async def test_a_crash_counts_no_payment_twice() -> None:
    bank = CountingBank()
    async with simulate(billing, replace={Bank: bank}, faults=[crash("handler.end")]) as world:
        await world.publish(OrderPlaced("o-1", 4_200))
        await world.settle()
        assert len(world.published(PaymentTaken)) == 1
        assert world.value(paid, "o-1") == 4_200
        assert bank.asked == 2  # the bank is outside the log: it needs a key to tell that this is the same payment
    print("the process died before it could commit; one payment was published and counted")


@simulated
async def test_an_overdue_payment_is_noticed() -> None:
    async with simulate(billing) as world:
        await world.publish(OrderPlaced("o-2", 250_000))
        await world.advance("13d")
        assert not world.published(PaymentOverdue)
        await world.advance("2d")
        assert world.published(PaymentOverdue).one() == PaymentOverdue("o-2")
    print("fifteen days went by, and the payment was overdue")


if __name__ == "__main__":
    test_a_slow_bank_is_asked_again()
    test_a_crash_counts_no_payment_twice()
    test_an_overdue_payment_is_noticed()
