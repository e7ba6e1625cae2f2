"""The services of the Kafka benchmark, and how one run of them is measured."""

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias

from benchmarks.embedded import OrderPaid, committed
from benchmarks.harness import Measurement, Stopwatch
from benchmarks.workload import Load
from mainstem import Context, IntegrationEvent, Service, Store
from mainstem.settings import Settings

COMMITS = Settings(commit_interval_ms=100, commit_events=10_000)
"""As often as the peers commit: Kafka Streams every 100 ms, the bare loop every 10,000 events."""
numbers = itertools.count()
Delivery: TypeAlias = Literal["exactly_once", "at_least_once"]


class OrderChecked(IntegrationEvent, topic="checked", key="customer_id"):
    """What a check makes of an order: the same size."""

    order_id: str
    customer_id: str
    amount_cents: int
    currency: str
    country: str
    items: int
    express: bool
    note: str


class OrdersCounted(IntegrationEvent, topic="counted", key="customer_id"):
    """How many orders a customer has given."""

    customer_id: str
    count: int


Seen = Callable[[], None]


def stateless(service: Service, seen: Seen) -> None:
    """A handler that does nothing."""

    @service.on(OrderPaid)
    async def see(_order: OrderPaid, _context: Context) -> None:
        seen()


def transform(service: Service, seen: Seen) -> None:
    """An event out for each event in."""

    @service.on(OrderPaid)
    async def check(order: OrderPaid, _context: Context) -> OrderChecked:
        seen()
        return OrderChecked(
            order.order_id,
            order.customer_id,
            order.amount_cents + 1,
            order.currency,
            order.country,
            order.items,
            order.express,
            order.note,
        )


def count(service: Service, seen: Seen) -> None:
    """A count per key in a store."""
    counts: Store[int] = service.store("counts", int)

    @service.on(OrderPaid)
    async def add(_order: OrderPaid, context: Context) -> None:
        seen()
        context.put(counts, context.get(counts, 0) + 1)


def count_out(service: Service, seen: Seen) -> None:
    """The same, and an event out for each event in."""
    counts: Store[int] = service.store("counts", int)

    @service.on(OrderPaid)
    async def add(order: OrderPaid, context: Context) -> OrdersCounted:
        seen()
        context.put(counts, number := context.get(counts, 0) + 1)
        return OrdersCounted(order.customer_id, number)


def count_latest(service: Service, seen: Seen) -> None:
    """The same, and of the events out the last one of each key and commit."""
    counts: Store[int] = service.store("counts", int)

    @service.on(OrderPaid, latest=(OrdersCounted,))
    async def add(order: OrderPaid, context: Context) -> OrdersCounted:
        seen()
        context.put(counts, number := context.get(counts, 0) + 1)
        return OrdersCounted(order.customer_id, number)


def url(address: str, folder: Path) -> str:
    """The broker, with a folder for local copies."""
    return f"kafka://{address}?state_folder={folder}"


async def handled(
    broker: str, load: Load, register: Callable[[Service, Seen], None], delivery: Delivery = "exactly_once"
) -> Measurement:
    """A new group handles the whole topic. The time begins with the first event, and ends when the last is committed.

    Joining, creating topics and taking over is left out, as it is for the peers.
    """
    service = Service(f"bench-{register.__name__.replace('_', '-')}-{next(numbers)}", delivery=delivery)
    watch, first, done = Stopwatch(), asyncio.Event(), 0

    def seen() -> None:
        nonlocal done
        if not done:
            first.set()
            watch.__enter__()
        done += 1

    register(service, seen)
    async with service.running(broker=broker, dev=True, consume=False, settings=COMMITS):
        pass  # what is missing is created; played, every event that goes out would be decoded again
    async with service.running(broker=broker, settings=COMMITS) as process:
        await asyncio.wait_for(first.wait(), 60)
        while await committed(process, service.name) < load.events:
            await asyncio.sleep(0.02 if done == load.events else 0.1)
        watch.__exit__(None, None, None)
    return watch.measured(done)
