"""Latencies: a single publish with its acknowledgement, and end to end at a steady rate between processes."""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path

from benchmarks.harness import Latencies, Report, running, until
from mainstem import Context, IntegrationEvent, Service
from mainstem.service.process import loaded_for_good
from mainstem.settings import Settings

SINGLES = 2_000
RATE = 10_000
SECONDS = 10.0
WARM_UP_SECONDS = 2.0
PRODUCERS = 3
EVERY_SECONDS = 0.002
"""A producer publishes what is due so often, as a busy service with many clients would."""


class Ping(IntegrationEvent, topic="pings", key="key"):
    """An event that knows when it was published, on the machine's monotonic clock."""

    key: str
    sent_ns: int
    note: str


def sender(number: int) -> Service:
    """Who publishes."""
    service = Service(f"sender-{number}", publishes=(Ping,))
    service.topic("pings", partitions=4)
    return service


@contextlib.asynccontextmanager
async def serving(service: Service, broker: str, *, consume: bool = True) -> AsyncGenerator[None, None]:
    """The service in a process of its own, as ``mainstem run`` runs it."""
    async with service.running(broker=broker, dev=True, consume=consume, settings=Settings()):
        with loaded_for_good():
            yield


async def singles(path: Path) -> Latencies:
    """One event after the other, each awaited."""
    service = sender(0)
    latencies = Latencies()
    async with serving(service, f"sqlite:///{path}", consume=False):
        for number in range(SINGLES):
            began = time.perf_counter()
            await service.publish(Ping(str(number % 100), 0, "x" * 240))
            latencies.add(time.perf_counter() - began)
    return latencies


async def produce(path: Path, number: int) -> None:
    """Publish at a steady rate: what is due since the last turn, in one call that is awaited."""
    service = sender(number)
    rate = RATE / PRODUCERS
    async with serving(service, f"sqlite:///{path}", consume=False):
        began = time.monotonic()
        sent = 0
        while (elapsed := time.monotonic() - began) < WARM_UP_SECONDS + SECONDS:
            due = int(elapsed * rate) - sent
            if due:
                now = time.monotonic_ns()
                await service.publish(*(Ping(str((sent + n) % 1000), now, "x" * 240) for n in range(due)))
                sent += due
            await asyncio.sleep(EVERY_SECONDS)


async def collect(path: Path, result: Path) -> None:
    """Handle everything; write the latencies of all but the warm-up when nothing has come for a second."""
    service = Service("collector", start="latest")
    service.topic("pings", partitions=4)
    latencies = Latencies()
    seen = [0, time.monotonic(), 0.0]

    @service.on(Ping)
    async def handle(ping: Ping, _context: Context) -> None:
        now = time.monotonic_ns()
        seen[0] += 1
        seen[1] = now / 1e9
        seen[2] = seen[2] or now / 1e9
        if now / 1e9 > seen[2] + WARM_UP_SECONDS:
            latencies.add((now - ping.sent_ns) / 1e9)

    async with serving(service, f"sqlite:///{path}"):
        result.with_suffix(".ready").touch()
        while not seen[0] or time.monotonic() - seen[1] < 1:
            await asyncio.sleep(0.1)
    result.write_bytes(latencies.to_bytes())


def measure(report: Report, folder: Path) -> None:
    """A single publish; then three producers and one consumer, four processes on one file."""
    p50, p99 = asyncio.run(singles(folder / "singles.db")).percentiles_ms(50, 99)
    report.add("single_publish_p50", p50, "ms")
    report.add("single_publish_p99", p99, "ms")
    path, result, log = folder / "paced.db", folder / "latencies", folder / "log"
    this = [sys.executable, "-m", "benchmarks.embedded_paced"]
    with running([*this, "collect", str(path), str(result)], log=log) as collector:
        until(result.with_suffix(".ready").exists, timeout_seconds=20, what="the collector")
        with (
            running([*this, "produce", str(path), "1"], log=log),
            running([*this, "produce", str(path), "2"], log=log),
            running([*this, "produce", str(path), "3"], log=log),
        ):
            until(lambda: collector.poll() is not None, timeout_seconds=60, what=log.read_text() or "the collector")
    latencies = Latencies.from_bytes(result.read_bytes())
    p50, p99 = latencies.percentiles_ms(50, 99)
    report.add("end_to_end_rate", len(latencies) / SECONDS, "events/s", asked=len(latencies) / SECONDS / RATE)
    report.add("end_to_end_p50", p50, "ms")
    report.add("end_to_end_p99", p99, "ms")


if __name__ == "__main__":
    role, file, last = sys.argv[1:]
    asyncio.run(produce(Path(file), int(last)) if role == "produce" else collect(Path(file), Path(last)))
