"""A service and its next version, for tests of the replay: the second one has another idea of what a discount is."""

from dataclasses import dataclass

from mainstem import Context, IntegrationEvent, Retry, Service, Timer


class Order(IntegrationEvent, topic="past-orders", key="customer"):
    customer: str
    cents: int


class Invoice(IntegrationEvent, topic="past-invoices", key="customer"):
    customer: str
    cents: int


class Reminder(IntegrationEvent, topic="past-reminders", key="customer"):
    customer: str


class Bank:
    """Reaches outside: each charge is written down."""

    charged: list[str]

    def __init__(self) -> None:
        self.charged = CHARGED

    async def charge(self, key: str) -> None:
        """Take money."""
        self.charged.append(key)


CHARGED: list[str] = []
SEEN: list[tuple[str, str, bool, int]] = []


@dataclass
class Rates:
    """Reads alone."""

    factor: int = 1


class Thanks(IntegrationEvent, topic="past-thanks", key="customer"):
    customer: str


def version(discount: int, *, refuses: int | None = None, thanks: bool = False) -> Service:
    """The service, with this discount for everybody who has ordered before; ``refuses`` cannot be handled."""
    past = Service("past", publishes=(Order,))
    past.topic("past-orders", partitions=2)
    past.topic("past-invoices", partitions=2)
    past.topic("past-reminders", partitions=1)
    orders = past.store("orders", int)
    past.provide(Bank, Bank)
    past.provide(Rates, Rates, in_replay=Rates)

    @past.on(Order, retry=Retry.on(ValueError).inline(2))
    async def invoice(order: Order, context: Context, rates: Rates) -> Invoice:
        if order.cents == refuses:
            raise ValueError(f"{order.cents} cents")
        SEEN.append((order.customer, context.idempotency_key("seen"), context.replaying, context.now_ms))
        before = context.get(orders, 0)
        context.put(orders, before + 1)
        context.wake("remind", at=context.timestamp_ms + 3_600_000)
        return Invoice(order.customer, rates.factor * (order.cents - (discount if before else 0)))

    @past.on(Order, publishes=(Thanks,) if thanks else ())
    async def thank(order: Order, context: Context) -> None:
        if thanks:
            context.publish(Thanks(order.customer))

    @past.on(Order)
    async def charge(order: Order, bank: Bank, context: Context) -> None:
        await bank.charge(context.idempotency_key("charge"))

    @past.on(Order)
    def audit(order: Order) -> None:
        """A plain function, in a thread."""

    @past.on_timer("remind")
    async def remind(timer: Timer) -> Reminder:
        assert timer.key is not None
        return Reminder(timer.key.decode())

    return past


past = version(10)
cheaper = version(20)
stricter = version(10, refuses=300)
thorough = version(10, thanks=True)
