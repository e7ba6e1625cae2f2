"""The embedded broker and delivery, beside the bare loop of the same run: throughput in one process.

Publishing in batches; consuming with a typed handler and its context; counting by key in a store; reading a topic of
which one event in ten is wanted. Then, from ``embedded_paced`` and ``embedded_idle``, latencies and what standing still
costs.
"""

import argparse
import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from benchmarks import bare, embedded_idle, embedded_paced
from benchmarks.harness import (
    Case,
    Measurement,
    Report,
    Stopwatch,
    interleaved,
    median_cpu_us,
    median_speed,
    scratch,
    speed_ratio,
)
from benchmarks.workload import STOCK, Load, mixed, orders
from mainstem import Context, IntegrationEvent, Service, Store, running
from mainstem.service import Running
from mainstem.settings import Settings


class OrderPaid(IntegrationEvent, topic="orders", key="customer_id"):
    """The event of these benchmarks: eight fields, 300 bytes of JSON."""

    order_id: str
    customer_id: str
    amount_cents: int
    currency: str
    country: str
    items: int
    express: bool
    note: str


class OrderSeen(IntegrationEvent, topic="orders", key="customer_id"):
    """An event that nobody wants: the same size, another type."""

    order_id: str
    customer_id: str
    amount_cents: int
    currency: str
    country: str
    items: int
    express: bool
    note: str


WINDOW = 8
numbers = itertools.count()
SETTINGS = Settings()


def typed(events: "list[object]") -> list[IntegrationEvent]:
    """The same events as Mainstem's types."""
    kinds = {"OrderPaid": OrderPaid, "OrderSeen": OrderSeen}
    return [msgspec.convert(msgspec.to_builtins(each), kinds[type(each).__name__]) for each in events]


def shop(partitions: int) -> Service:
    """Who publishes."""
    service = Service("shop", publishes=(OrderPaid, OrderSeen))
    service.topic("orders", partitions=partitions)
    return service


async def publish(path: Path, load: Load, events: list[IntegrationEvent]) -> Measurement:
    """Whole batches, a few on their way at a time; the time ends when the last one is durable."""
    service = shop(load.partitions)
    async with service.running(broker=f"sqlite:///{path}", dev=True, consume=False, settings=SETTINGS):
        pass  # the topic is there now; in play every event would be read back before it is published
    async with service.running(broker=f"sqlite:///{path}", consume=False, settings=SETTINGS):
        with Stopwatch() as watch:
            on_their_way: deque[Awaitable[None]] = deque()
            for start in range(0, load.events, load.batch):
                at = start % STOCK
                on_their_way.append(service.publish(*events[at : at + load.batch]))
                if len(on_their_way) == WINDOW:
                    await on_their_way.popleft()
            for each in on_their_way:
                await each
        return watch.measured(load.events)


async def consume(path: Path, load: Load, register: Callable[[Service], None], lanes: int = 64) -> Measurement:
    """A new group reads the whole topic; the time ends when its last position is committed."""
    service = Service(f"consumer-{next(numbers)}", lanes=lanes)
    register(service)
    with Stopwatch() as watch:
        async with running(service, broker=f"sqlite:///{path}", dev=True, settings=SETTINGS) as process:
            while await committed(process, service.name) < load.events:
                await asyncio.sleep(0.005)
    return watch.measured(load.events)


async def committed(process: Running, group: str) -> int:
    """The sum of a group's committed positions in the topic of orders."""
    found = (await process.broker.admin.groups([group])).get(group)
    return 0 if found is None else sum(offset for at, offset in found.positions.items() if at.topic == "orders")


def awaited(service: Service) -> None:
    """A handler that does nothing."""

    @service.on(OrderPaid)
    async def seen(_order: OrderPaid, _context: Context) -> None:
        pass


def counting(service: Service) -> None:
    """A count per key in a store."""
    counts: Store[int] = service.store("counts", int)

    @service.on(OrderPaid)
    async def count(_order: OrderPaid, context: Context) -> None:
        context.put(counts, context.get(counts, 0) + 1)


def lanes(service: Service) -> None:
    """A handler that waits for 10 ms."""

    @service.on(OrderPaid)
    async def wait(_order: OrderPaid, _context: Context) -> None:
        await asyncio.sleep(0.01)


def throughput(report: Report, load: Load, repetitions: int, folder: Path) -> None:
    """Mainstem and the bare loop in turns."""
    plain, mixture = folder / "plain.db", folder / "mixed.db"
    bare_plain, bare_mixture = folder / "bare-plain.db", folder / "bare-mixed.db"
    stock, mixed_stock = typed(list(orders(load))), typed(list(mixed(load)))
    asyncio.run(publish(plain, load, stock))
    asyncio.run(publish(mixture, load, mixed_stock))
    bare.publish(bare_plain, load)
    bare.publish(bare_mixture, load, mixed(load))

    def anew(work: Callable[[Path], Measurement]) -> Measurement:
        path = folder / f"publish-{next(numbers)}.db"
        measurement = work(path)
        path.unlink()
        return measurement

    pairs: dict[str, tuple[Case, Case]] = {
        "publish": (
            lambda: anew(lambda path: asyncio.run(publish(path, load, stock))),
            lambda: anew(lambda path: bare.publish(path, load)),
        ),
        "consume": (lambda: asyncio.run(consume(plain, load, awaited)), lambda: bare.consume(bare_plain, load)),
        "keyed_count": (
            lambda: asyncio.run(consume(plain, load, counting)),
            lambda: bare.keyed_count(bare_plain, load),
        ),
        "one_in_ten": (
            lambda: asyncio.run(consume(mixture, load, awaited)),
            lambda: bare.one_in_ten(bare_mixture, load),
        ),
    }
    cases = {name: ours for name, (ours, _) in pairs.items()} | {f"bare_{n}": b for n, (_, b) in pairs.items()}
    turns = interleaved(cases, repetitions)
    for name in pairs:
        against = turns[f"bare_{name}"]
        report.add(name, median_speed(turns[name]), "events/s", bare=speed_ratio(turns[name], against))
        report.add(f"{name}_cpu", median_cpu_us(turns[name]), "µs/event")
    for name in pairs:
        report.add(f"bare_{name}", median_speed(turns[f"bare_{name}"]), "events/s")
    report.add("file_size", share_of_payload(plain, load), "of payload")


def share_of_payload(path: Path, load: Load) -> float:
    """The size of the file, everything in it, as a multiple of the JSON of its events."""
    return path.stat().st_size / (load.events * load.value_bytes)


def slow_handlers(report: Report, folder: Path) -> None:
    """10 ms in each handler, one partition, 200 lanes: 20,000/s is the most there can be."""
    load = Load(events=40_000)
    path = folder / "lanes.db"
    asyncio.run(publish(path, load, typed(list(orders(load)))))
    measurement = asyncio.run(consume(path, load, lanes, lanes=200))
    report.add("lanes_10ms", measurement.events_per_second, "events/s", possible=measurement.events_per_second / 20_000)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--only", choices=("throughput", "lanes", "paced", "idle"))
    options = parser.parse_args()
    load = Load(options.events)
    report = Report(f"embedded: {load.events:,} events of {load.value_bytes} bytes, batches of {load.batch}, durable")
    parts: dict[str, Callable[[Path], None]] = {
        "throughput": lambda folder: throughput(report, load, options.repetitions, folder),
        "lanes": lambda folder: slow_handlers(report, folder),
        "paced": lambda folder: embedded_paced.measure(report, folder),
        "idle": lambda folder: embedded_idle.measure(report, folder),
    }
    for name, part in parts.items():
        if options.only in (None, name):
            with scratch("embedded") as folder:
                part(folder)
    report.show()


if __name__ == "__main__":
    main()
