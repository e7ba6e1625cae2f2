"""Whether parked events slow other keys: a keyed count while nothing waits, and while a million events do.

They wait once as the events of a thousand keys, and once as those of a million keys. The handler is the same in each
file. What is timed begins with the start of the process, so the take-over is in it.
"""

import argparse
import asyncio
import itertools
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from benchmarks.embedded import OrderPaid, committed, typed
from benchmarks.harness import Case, Measurement, Report, Stopwatch, cpu_ratio, interleaved, median_speed, scratch
from benchmarks.workload import STOCK, Load, orders
from mainstem import Context, IntegrationEvent, Retry, Service, running
from mainstem.settings import Settings

SETTINGS = Settings(parked_events_most=100_000_000)
BROKEN = "broken-"


def counting() -> Service:
    """A count by key; it fails at the keys that are broken."""
    service = Service("counter", publishes=(OrderPaid,))
    service.topic("orders", partitions=1)
    counts = service.store("counts", int)

    @service.on(OrderPaid, retry=Retry.never())
    async def count(order: OrderPaid, context: Context) -> None:
        if order.customer_id.startswith(BROKEN):
            raise ValueError(order.customer_id)
        context.put(counts, context.get(counts, 0) + 1)

    return service


class Counter:
    """A file with a service that counts, and how far it has come."""

    def __init__(self, path: Path, load: Load) -> None:
        self._url, self._load = f"sqlite:///{path}", load
        self._stock = typed(list(orders(load)))
        self._published = 0

    def park(self, events: int, keys: int) -> Measurement:
        """Publish so many events of so many keys that are broken, and let them be parked."""
        return asyncio.run(self._handle(self._broken(events, keys)))

    def count(self) -> Measurement:
        """Publish events of the other keys, and count them."""
        return asyncio.run(self._handle([self._stock] * (self._load.events // STOCK)))

    def _broken(self, events: int, keys: int) -> Iterator[list[IntegrationEvent]]:
        numbers, fields = iter(range(events)), msgspec.to_builtins(self._stock[0])
        while some := list(itertools.islice(numbers, STOCK)):
            yield [OrderPaid(**{**fields, "customer_id": f"{BROKEN}{number % keys}"}) for number in some]

    async def _handle(self, parts: Iterable[list[IntegrationEvent]]) -> Measurement:
        before = self._published
        async with (service := counting()).running(broker=self._url, dev=True, consume=False, settings=SETTINGS):
            for events in parts:
                for start in range(0, len(events), self._load.batch):
                    await service.publish(*events[start : start + self._load.batch])
                self._published += len(events)
        with Stopwatch() as watch:
            async with running(counting(), broker=self._url, dev=True, settings=SETTINGS) as process:
                while await committed(process, "counter") < self._published:
                    await asyncio.sleep(0.005)
        return watch.measured(self._published - before)


def measure(report: Report, folder: Path, load: Load, parked: int, repetitions: int) -> None:
    """The same count in three files, in turns."""
    free, few, many = (Counter(folder / f"{name}.db", load) for name in ("free", "few", "many"))
    report.add("parking_thousand_keys", few.park(parked, 1_000).events_per_second, "events/s")
    report.add("parking_all_keys", many.park(parked, parked).events_per_second, "events/s")
    cases: dict[str, Case] = {"free": free.count, "few": few.count, "many": many.count}
    turns = interleaved(cases, repetitions)
    report.add("nothing_parked", median_speed(turns["free"]), "events/s")
    for name, case in (("beside_thousand_keys", "few"), ("beside_all_keys", "many")):
        report.add(name, median_speed(turns[case]), "events/s", nothing_parked=cpu_ratio(turns[case], turns["free"]))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--parked", type=int, default=1_000_000)
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    logging.getLogger("mainstem").setLevel(logging.ERROR)  # a line for each event that fails
    load = Load(options.events)
    report = Report(f"{options.parked:,} parked events, and {load.events:,} of other keys; ratios are of CPU time")
    with scratch("parked") as folder:
        measure(report, folder, load, options.parked, options.repetitions)
    report.show()


if __name__ == "__main__":
    main()
