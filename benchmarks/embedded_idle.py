"""What standing still costs, what fifty services on one file cost, and whether memory grows with the events."""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import Latencies, Report, cpu_seconds, memory_bytes, running, until
from mainstem import Context, IntegrationEvent, Service
from mainstem import running as services_running
from mainstem.settings import Settings

IDLE_SECONDS = 10.0
FIFTY = 50
MANY = 10_000_000
PAUSE_SECONDS = 0.15
"""Between two events that all fifty handle: each of them commits, one after the other."""


class Tick(IntegrationEvent, topic="ticks", key="key"):
    """A small event."""

    key: str


async def serve(path: Path, number: int, ready: Path) -> None:
    """A small service, until it is ended."""
    service = Service(f"small-{number}")
    service.topic("ticks", partitions=1)

    @service.on(Tick)
    async def handle(_tick: Tick, _context: Context) -> None:
        pass

    async with services_running(service, broker=f"sqlite:///{path}", dev=True, settings=Settings()):
        ready.touch()
        await asyncio.Event().wait()


async def flow(path: Path) -> None:
    """Publish and handle many events in one process, and print its memory now and then."""
    service = Service("flow", publishes=(Tick,))
    service.topic("ticks", partitions=1, retention="2s")
    handled = 0

    @service.on(Tick)
    async def handle(_tick: Tick, _context: Context) -> None:
        nonlocal handled
        handled += 1

    async with service.running(broker=f"sqlite:///{path}", dev=True, settings=Settings()):
        sent = 0
        batch = [Tick(f"k-{n}") for n in range(500)]
        while handled < MANY:
            if sent < MANY and sent - handled < 20_000:
                await service.publish(*batch)
                sent += len(batch)
                if sent % 1_000_000 == 0:
                    print(sent, memory_bytes(os.getpid()), flush=True)
            else:
                await asyncio.sleep(0.001)


def measure(report: Report, folder: Path) -> None:
    """One service that has nothing to do; fifty of them; ten million events through one process."""
    log = folder / "log"
    this = [sys.executable, "-m", "benchmarks.embedded_idle"]
    with contextlib.ExitStack() as stack:
        pids: list[int] = []
        for number in range(FIFTY):
            ready = folder / f"ready-{number}"
            began = time.monotonic()
            small = [*this, "serve", str(folder / "small.db"), str(number), str(ready)]
            pids.append(stack.enter_context(running(small, log=log)).pid)
            until(ready.exists, timeout_seconds=30, what=f"service {number}")
            if number == 0:
                report.add("idle_cpu", cpu_share(pids), "of a core")
        report.add("fiftieth_start", time.monotonic() - began, "s")
        report.add("fifty_idle_cpu", cpu_share(pids), "of a core")
        latencies = asyncio.run(pings(folder / "small.db"))
        p50, p99 = latencies.percentiles_ms(50, 99)
        report.add("fifty_publish_p50", p50, "ms")
        report.add("fifty_publish_p99", p99, "ms")
    flowing = subprocess.run(
        [*this, "flow", str(folder / "flow.db"), "", ""], capture_output=True, text=True, check=True
    )
    sizes = [int(line.split()[1]) for line in flowing.stdout.splitlines()]
    report.add("memory_after_1m", sizes[0] / 1e6, "MB")
    report.add("memory_after_10m", sizes[-1] / 1e6, "MB", after_1m=sizes[-1] / sizes[0])


def cpu_share(pids: Sequence[int]) -> float:
    """How much of one core processes take together while nothing happens."""
    before = sum(map(cpu_seconds, pids))
    time.sleep(IDLE_SECONDS)
    return (sum(map(cpu_seconds, pids)) - before) / IDLE_SECONDS


async def pings(path: Path) -> Latencies:
    """Single publishes while fifty services listen and handle."""
    service = Service("pinger", publishes=(Tick,))
    latencies = Latencies()
    async with service.running(broker=f"sqlite:///{path}", dev=True, consume=False, settings=Settings()):
        for number in range(100):
            began = time.perf_counter()
            await service.publish(Tick(str(number)))
            latencies.add(time.perf_counter() - began)
            await asyncio.sleep(PAUSE_SECONDS)
    return latencies


if __name__ == "__main__":
    role, file, third, fourth = sys.argv[1:]
    asyncio.run(serve(Path(file), int(third), Path(fourth)) if role == "serve" else flow(Path(file)))
