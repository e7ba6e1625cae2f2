"""The service of the simulation's tests: orders are placed, a bank is charged, payments are told of."""

import asyncio
import threading

from mainstem import Context, IntegrationEvent, Retry, Service


class OrderPlaced(IntegrationEvent, topic="orders", key="order_id"):
    order_id: str
    customer_id: str
    amount_cents: int


class PaymentTaken(IntegrationEvent, topic="payments", key="order_id"):
    order_id: str
    receipt: str


class Reminded(IntegrationEvent, topic="reminders", key="order_id"):
    order_id: str
    at_ms: int


class Bank:
    """Somebody outside; the real one cannot be reached from a test."""

    async def charge(self, customer_id: str, amount_cents: int, key: str) -> str:
        raise ConnectionError(customer_id, amount_cents, key)


class PatientBank(Bank):
    """Takes two seconds for a charge, and remembers the keys."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    async def charge(self, customer_id: str, amount_cents: int, key: str) -> str:
        await asyncio.sleep(2)
        self.keys.append(key)
        return f"{customer_id} paid {amount_cents}"


billing = Service("billing")
charged = billing.store("charged", int)


def open_bank() -> Bank:
    """The real one."""
    return Bank()


billing.provide(Bank, open_bank)


@billing.on(OrderPlaced, retry=Retry.on(TimeoutError).inline(1).later("10s", "1m"))
async def take_payment(order: OrderPlaced, context: Context, bank: Bank) -> PaymentTaken:
    """Charge, remember, and look again in a fortnight."""
    receipt = await bank.charge(order.customer_id, order.amount_cents, key=context.idempotency_key("charge"))
    context.put(charged, context.get(charged, 0) + order.amount_cents)
    context.wake("remind", after="14d")
    return PaymentTaken(order.order_id, receipt)


@billing.on_timer("remind")
async def remind(context: Context) -> Reminded:
    """A fortnight is over."""
    assert context.key is not None
    return Reminded(context.key.decode(), context.now_ms)


class Greeted(IntegrationEvent, topic="greetings", key="thread"):
    thread: str


greeter = Service("greeter")


@greeter.on(PaymentTaken, retry=Retry.never())
def greet(payment: PaymentTaken) -> Greeted:
    """A plain function, which would run in a thread."""
    return Greeted(threading.current_thread().name)
