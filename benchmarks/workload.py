"""The load of the benchmarks: how much, and the events themselves."""

import functools
import random
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

STOCK = 10_000


class OrderPaid(msgspec.Struct, frozen=True):
    """The event of these benchmarks: eight fields, 300 bytes of JSON."""

    order_id: str
    customer_id: str
    amount_cents: int
    currency: str
    country: str
    items: int
    express: bool
    note: str


class OrderSeen(OrderPaid, frozen=True):
    """An event that nobody wants: the same size, another type."""


@dataclass(frozen=True)
class Load:
    """The work of one measurement: whole batches, and every event of the stock equally often."""

    events: int = 200_000
    batch: int = 500
    partitions: int = 1
    keys: int = 1_000
    value_bytes: int = 300

    def __post_init__(self) -> None:
        if self.events < STOCK or self.events % STOCK or STOCK % self.batch:
            raise ValueError(f"events must be a multiple of {STOCK:,}, and a batch a divisor of it")


@functools.cache
def orders(load: Load, kind: type[OrderPaid] = OrderPaid) -> Sequence[OrderPaid]:
    """The stock: different events of exactly ``value_bytes`` bytes of JSON, keys drawn evenly; always the same."""
    draw = random.Random(20_130_101)
    made: list[OrderPaid] = []
    for number in range(STOCK):
        customer, cents = f"c-{draw.randrange(load.keys):06d}", draw.randrange(100_000)
        event = kind(f"o-{number:08d}", customer, cents, "EUR", "DE", draw.randrange(9), draw.random() < 0.1, "")
        missing = load.value_bytes - len(msgspec.json.encode(event))
        made.append(msgspec.structs.replace(event, note=("please ring at the door " * 20)[:missing]))
        assert len(msgspec.json.encode(made[-1])) == load.value_bytes
    return made


def mixed(load: Load) -> Sequence[OrderPaid]:
    """Events of which every tenth is an ``OrderPaid``."""
    return [
        wanted if number % 10 == 0 else other
        for number, (wanted, other) in enumerate(zip(orders(load), orders(load, OrderSeen), strict=True))
    ]
