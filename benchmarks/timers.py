"""What a million things that wait for their time cost before they are due, and how fast they come when they are.

Three files with the same service: one in which nothing waits, one with timers of keys, one with events that are to be
published later. The same orders are counted by key in each, in turns, in processes of their own. Then the clock is put
forward, and what has waited comes, beside further orders.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from benchmarks.harness import (
    Measurement,
    Report,
    Stopwatch,
    cpu_ratio,
    interleaved,
    median_cpu_us,
    median_speed,
    memory_bytes,
    scratch,
    speed_ratio,
)
from mainstem import Context, IntegrationEvent, Service, running
from mainstem.clock import SystemClock
from mainstem.identifiers import Identifiers
from mainstem.service import Floor, Running
from mainstem.settings import Settings

KINDS = ("nothing", "timers", "publications")
AT_ONCE = 500
SETTINGS = Settings()
DAYS_MS = 2 * 86_400_000


class Order(IntegrationEvent, topic="orders", key="customer"):
    """What is counted."""

    customer: str


class Promise(IntegrationEvent, topic="promises", key="customer"):
    """Lets its key wait."""

    customer: str
    publications: int


class Kept(IntegrationEvent, topic="kept", key="customer"):
    """What comes of it."""

    customer: str
    number: int


class Ahead(SystemClock):
    """The clock of the machine, put forward."""

    ahead_ms = 0

    def now_ms(self) -> int:
        """So much later."""
        return super().now_ms() + self.ahead_ms


class Shop:
    """The service, and what it has done in this process."""

    def __init__(self) -> None:
        self.orders = self.promises = self.fired = 0
        self.service = service = Service("shop", publishes=(Order, Promise))
        for topic in ("orders", "promises", "kept"):
            service.topic(topic, partitions=1)
        counts = service.store("counts", int)

        @service.on(Order)
        async def count(_order: Order, context: Context) -> None:
            context.put(counts, context.get(counts, 0) + 1)
            self.orders += 1

        @service.on(Promise, publishes=(Kept,))
        async def wait(promise: Promise, context: Context) -> None:
            for number in range(promise.publications):
                context.publish_later(Kept(promise.customer, number), after="1d")
            if not promise.publications:
                context.wake("keep", after="1d")
            self.promises += 1

        @service.on_timer("keep")
        async def keep() -> None:
            self.fired += 1


async def settled(process: Running) -> None:
    """Return when everything is handled and committed."""
    while not (tasks := await process.statistics()) or any(each.lag or each.in_flight for each in tasks):
        await asyncio.sleep(0.005)


async def fill(path: Path, kind: str, pending: int) -> float:
    """Let so much wait, and say how many seconds that took."""
    shop = Shop()
    each = 100 if kind == "publications" else 0
    promises = [] if kind == "nothing" else [Promise(f"c-{n}", each) for n in range(pending // (each or 1))]
    began = time.perf_counter()
    async with running(shop.service, broker=f"sqlite:///{path}", dev=True, settings=SETTINGS) as process:
        for start in range(0, len(promises), AT_ONCE):
            await shop.service.publish(*promises[start : start + AT_ONCE])
            while shop.promises < start - 20 * AT_ONCE:
                await asyncio.sleep(0.001)
        await settled(process)
    return time.perf_counter() - began


async def publish(path: Path, events: int) -> None:
    """So many orders more."""
    shop = Shop()
    async with shop.service.running(broker=f"sqlite:///{path}", consume=False, settings=SETTINGS):
        for start in range(0, events, AT_ONCE):
            await shop.service.publish(*[Order(f"c-{n % 1_000}") for n in range(start, start + AT_ONCE)])


async def handle(path: Path, events: int) -> dict[str, float]:
    """Start the service, and count the orders that are there."""
    shop = Shop()
    began = time.perf_counter()
    with Stopwatch() as watch:
        async with running(shop.service, broker=f"sqlite:///{path}", settings=SETTINGS) as process:
            started = time.perf_counter() - began
            await settled(process)
            memory = memory_bytes(os.getpid())
    assert shop.orders == events
    assert not shop.fired
    return {"seconds": watch.seconds, "cpu": watch.cpu_seconds, "started": started, "memory": memory}


async def fire(path: Path, events: int, come: int) -> dict[str, float]:
    """Start the service two days later, and wait until so much has come; ``events`` orders are there as well."""
    shop, clock = Shop(), Ahead()
    clock.ahead_ms = DAYS_MS
    floor = Floor.of_this_machine()
    floor = Floor(clock=clock, identifiers=Identifiers(clock), chance=floor.chance)
    handled = memory = 0.0
    with Stopwatch() as watch:
        began = time.perf_counter()
        async with running(shop.service, broker=f"sqlite:///{path}", settings=SETTINGS, floor=floor) as process:

            async def came() -> int:
                [task] = await process.statistics()
                return max(shop.fired, task.counters.published)

            while await came() < come:
                if shop.orders == events and not handled:
                    handled = time.perf_counter() - began
                await asyncio.sleep(0.005)
            took = time.perf_counter() - began
            memory = memory_bytes(os.getpid())
    return {"seconds": took, "cpu": watch.cpu_seconds, "orders": handled or took, "memory": memory}


def apart(*arguments: object) -> dict[str, float]:
    """Do a part of it in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.timers", "--part", *map(str, arguments)]
    found: dict[str, float] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return found


def measure(report: Report, folder: Path, options: argparse.Namespace) -> None:
    """Fill, handle in turns, fire."""
    paths = {kind: folder / f"{kind}.db" for kind in KINDS}
    last: dict[str, dict[str, float]] = {}
    for kind, path in paths.items():
        seconds = apart("fill", path, kind, options.pending)["seconds"]
        if kind != "nothing":
            report.add(f"set_{kind}", options.pending / seconds, "1/s")

    def case(kind: str) -> Measurement:
        apart("publish", paths[kind], options.events)
        found = last[kind] = apart("handle", paths[kind], options.events)
        return Measurement(options.events, found["seconds"], found["cpu"])

    turns = interleaved({kind: partial(case, kind) for kind in KINDS}, options.repetitions)
    for kind in KINDS:
        against = turns["nothing"]
        ratios = {} if kind == "nothing" else {"nothing": speed_ratio(turns[kind], against)}
        report.add(f"orders_beside_{kind}", median_speed(turns[kind]), "events/s", **ratios)
        by_cpu = {} if kind == "nothing" else {"nothing": 1 / cpu_ratio(turns[kind], against)}
        report.add(f"orders_beside_{kind}_cpu", median_cpu_us(turns[kind]), "µs/event", **by_cpu)
        report.add(f"start_beside_{kind}", last[kind]["started"], "s")
        report.add(f"memory_beside_{kind}", last[kind]["memory"] / 1e6, "MB")
    for kind in KINDS[1:]:
        apart("publish", paths[kind], options.events)
        found = apart("fire", paths[kind], options.events, options.fired)
        report.add(f"come_{kind}", options.fired / found["seconds"], "1/s")
        report.add(f"come_{kind}_cpu", found["cpu"] / (options.fired + options.events) * 1e6, "µs/event")
        report.add(f"orders_meanwhile_{kind}", options.events / found["orders"], "events/s")
        report.add(f"memory_when_{kind}_come", found["memory"] / 1e6, "MB")


def part(role: str, path: Path, *rest: str) -> dict[str, float]:
    """What a process of its own does."""
    if role == "fill":
        return {"seconds": asyncio.run(fill(path, rest[0], int(rest[1])))}
    if role == "publish":
        asyncio.run(publish(path, int(rest[0])))
        return {}
    return asyncio.run(handle(path, int(rest[0])) if role == "handle" else fire(path, int(rest[0]), int(rest[1])))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pending", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--fired", type=int, default=200_000)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--part", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        role, path, *rest = options.part
        print(json.dumps(part(role, Path(path), *rest)))
        return
    report = Report(f"timers: {options.pending:,} that wait, {options.events:,} events beside them, durable")
    with scratch("timers") as folder:
        measure(report, folder, options)
    report.show()


if __name__ == "__main__":
    main()
