"""What failures cost on the embedded broker: policies that are not needed, events that fail and recover, and a million
parked ones beside others.
"""

import argparse
import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from benchmarks.embedded import OrderPaid, publish, shop, typed
from benchmarks.harness import (
    Case,
    Measurement,
    Report,
    Stopwatch,
    cpu_ratio,
    interleaved,
    median_cpu_us,
    median_speed,
    scratch,
    speed_ratio,
)
from benchmarks.workload import STOCK, Load, orders
from mainstem import Breaker, Context, Retry, Service, running
from mainstem.resilience import Backoff
from mainstem.settings import Settings

SETTINGS = Settings(parked_events_most=5_000_000)
POLICY = (
    Retry.on(TimeoutError, ConnectionError)
    .inline(3)
    .later("10s", "1m", "10m", jitter="equal")
    .also_on(KeyError)
    .discard("the order is not known any more")
    .otherwise()
    .inline(1)
    .within(attempts=20, age="2d")
)
LATER = "100ms"
ROUNDS_BESIDE = 5
numbers = itertools.count()


@dataclass
class Work:
    """A handler to be measured, and how many events it has got through."""

    retry: Retry
    fails: Callable[[OrderPaid, int], bool] | None = None
    done: int = 0
    breaker: Breaker | None = None

    def register(self, service: Service) -> None:
        """Put it into a service."""

        async def seen(_order: OrderPaid, _context: Context) -> None:
            pass

        async def tried(order: OrderPaid, context: Context) -> None:
            if fails is not None and fails(order, context.attempt):
                raise ConnectionError("not this one")
            self.done += 1

        fails = self.fails
        service.on(OrderPaid, name="seen", retry=self.retry, breaker=self.breaker)(seen if fails is None else tried)


@contextlib.contextmanager
def logged(path: Path) -> Generator[None, None, None]:
    """The log goes to a file, as a service's does: a line for each event that fails is part of what it costs."""
    handler, log = logging.FileHandler(path), logging.getLogger("mainstem")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()


def one_in_ten_fails_once(order: OrderPaid, attempt: int) -> bool:
    """Fail in the first run."""
    return attempt == 1 and order.amount_cents % 10 == 7


def one_in_fifty_fails_once(order: OrderPaid, attempt: int) -> bool:
    """So many fail in the first run that a breaker remembers failures all the time, and never opens."""
    return attempt == 1 and order.amount_cents % 50 == 7


async def consume(path: Path, work: Work, events: int, group: str = "") -> Measurement:
    """A group goes on to the end of the topic; the time ends when everything is handled and committed."""
    service = Service(group or f"consumer-{next(numbers)}")
    work.register(service)
    with Stopwatch() as watch:
        async with running(service, broker=f"sqlite:///{path}", settings=SETTINGS, dev=True) as process:
            while sum(each.lag for each in await process.statistics()) or (work.done < events and one_at_least(work)):
                await asyncio.sleep(0.005)
    return watch.measured(events)


def one_at_least(work: Work) -> bool:
    """Whether all events get through in the end, so that it is to be waited for."""
    return work.fails is one_in_ten_fails_once


def policies(report: Report, load: Load, repetitions: int, folder: Path) -> None:
    """A handler with a policy that it never needs, beside one without, in turns."""
    path = folder / "policies.db"
    asyncio.run(publish(path, load, typed(list(orders(load)))))
    cases: dict[str, Case] = {
        "without_policy": lambda: asyncio.run(consume(path, Work(Retry()), load.events)),
        "unused_policy": lambda: asyncio.run(consume(path, Work(POLICY), load.events)),
    }
    turns = interleaved(cases, repetitions)
    for name, measured in turns.items():
        report.add(name, median_speed(measured), "events/s")
    with_it, without = turns["unused_policy"], turns["without_policy"]
    report.add("without_policy_cpu", median_cpu_us(without), "µs/event")
    report.add("unused_policy_cpu", median_cpu_us(with_it), "µs/event")
    report.add("unused_policy_cost", 100 * (1 / cpu_ratio(with_it, without) - 1), "% of CPU time")


def breakers(report: Report, load: Load, repetitions: int, folder: Path) -> None:
    """A handler of which an event fails now and then and goes well at once, with a breaker and without, in turns."""
    path = folder / "breakers.db"
    asyncio.run(publish(path, load, typed(list(orders(load)))))
    inline = Retry.on(ConnectionError).inline(1, Backoff(first_seconds=0.0))

    def case(breaker: Breaker | None) -> Case:
        return lambda: asyncio.run(consume(path, Work(inline, one_in_fifty_fails_once, breaker=breaker), load.events))

    turns = interleaved({"without_breaker": case(None), "breaker": case(Breaker())}, repetitions)
    for name, measured in turns.items():
        report.add(name, median_speed(measured), "events/s")
        report.add(f"{name}_cpu", median_cpu_us(measured), "µs/event")


def recovery(report: Report, load: Load, repetitions: int, folder: Path) -> None:
    """One event in ten fails, is parked and recovers: a key for each event, or so few that every key parks."""
    for name, keys in (("recovered", load.events), ("recovered_few_keys", 1_000)):
        path = folder / f"{name}.db"
        asyncio.run(publish_spread(path, load, keys))
        policy = Retry.on(ConnectionError).later(LATER, LATER, LATER)
        turns = [
            asyncio.run(consume(path, Work(policy, one_in_ten_fails_once), load.events)) for _ in range(repetitions)
        ]
        report.add(name, median_speed(turns), "events/s")
        report.add(f"{name}_cpu", median_cpu_us(turns), "µs/event")


async def publish_spread(path: Path, load: Load, keys: int, prefix: str = "c") -> None:
    """Events of so many keys, each as often as the others."""
    service = shop(load.partitions)
    stock = orders(load)
    async with service.running(broker=f"sqlite:///{path}", dev=True, consume=False, settings=SETTINGS):
        for start in range(0, load.events, load.batch):
            numbered = ((n, stock[n % len(stock)]) for n in range(start, start + load.batch))
            keyed = ((f"{prefix}-{(n + n // STOCK) % keys:07d}", order) for n, order in numbered)
            await service.publish(*typed([msgspec.structs.replace(order, customer_id=key) for key, order in keyed]))


def beside_parked(report: Report, load: Load, letters: int, folder: Path) -> None:
    """The speed of other keys beside so many parked events, of a thousand keys and of as many as there are events."""
    beside_parked_of(report, load, letters, (folder, 1_000, ""))
    beside_parked_of(report, load, letters, (folder, letters, "_keys"))


def beside_parked_of(report: Report, load: Load, letters: int, where: tuple[Path, int, str]) -> None:
    """The same of so many keys, and of a group in which nothing is parked; what it is called ends with the last."""
    folder, keys, ending = where
    path = folder / f"parked{ending}.db"
    good = typed(list(orders(load)))
    parked = Work(Retry.never(), lambda order, _attempt: order.customer_id.startswith("bad"))
    beside = Work(Retry.never(), lambda order, _attempt: order.customer_id.startswith("worse"))
    asyncio.run(publish_spread(path, replace(load, events=letters), keys, "bad"))
    parking = asyncio.run(consume(path, parked, letters, "parked"))
    asyncio.run(consume(path, beside, letters, "beside"))
    report.add(f"parking{ending}", parking.events_per_second, "events/s")

    turns: dict[str, list[Measurement]] = {"beside_parked": [], "beside_none": []}
    both = [("beside_parked", "parked", parked), ("beside_none", "beside", beside)]
    for turn in range(ROUNDS_BESIDE):
        asyncio.run(publish(path, load, good))
        for name, group, work in both if turn % 2 else reversed(both):
            turns[name].append(asyncio.run(consume(path, work, load.events, group)))
    against = turns["beside_none"]
    report.add(f"beside_none{ending}", median_speed(against), "events/s")
    report.add(f"beside_none{ending}_cpu", median_cpu_us(against), "µs/event")
    measured = turns["beside_parked"]
    report.add(f"beside_parked{ending}", median_speed(measured), "events/s", beside_none=speed_ratio(measured, against))
    report.add(
        f"beside_parked{ending}_cpu", median_cpu_us(measured), "µs/event", beside_none=cpu_ratio(measured, against)
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--repetitions", type=int, default=15, help="pairs for the policy; a third of it elsewhere")
    parser.add_argument("--letters", type=int, default=1_000_000)
    parser.add_argument("--only", choices=("policies", "breakers", "recovery", "parked"))
    options = parser.parse_args()
    load = Load(options.events)
    report = Report(f"failures: {load.events:,} events of {load.value_bytes} bytes, embedded, durable")
    parts: dict[str, Callable[[Path], None]] = {
        "policies": lambda folder: policies(report, load, options.repetitions, folder),
        "breakers": lambda folder: breakers(report, load, max(1, options.repetitions // 3), folder),
        "recovery": lambda folder: recovery(report, load, max(1, options.repetitions // 3), folder),
        "parked": lambda folder: beside_parked(report, load, options.letters, folder),
    }
    for name, part in parts.items():
        if options.only in (None, name):
            with scratch("failures") as folder, logged(folder / "log"):
                part(folder)
    report.show()


if __name__ == "__main__":
    main()
