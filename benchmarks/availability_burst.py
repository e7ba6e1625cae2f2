"""Ten times the load for a minute: how far behind it gets, how long that takes to be worked off, and in what memory."""

import asyncio
import statistics
import time

from benchmarks.availability_load import HANDLED_SECONDS, loaded, until
from benchmarks.availability_world import Site
from benchmarks.harness import Report, memory_bytes

USUAL_RATE = 500
TIMES = 10
USUAL_SECONDS = 10.0
BURST_SECONDS = 60.0
DRAINED_SECONDS = 300.0
SAMPLE_SECONDS = 0.5


async def burst(report: Report, site: Site) -> str:
    """The usual load, ten times as much, and the usual load again."""
    memory: list[int] = []
    behind: list[int] = []
    broker = site.machines[0].broker
    async with loaded(broker, USUAL_RATE, together=True) as load:
        await asyncio.sleep(USUAL_SECONDS)
        before = _memory(site)
        began = time.monotonic()
        load.set_rate(USUAL_RATE * TIMES)
        while time.monotonic() < began + BURST_SECONDS:
            await asyncio.sleep(SAMPLE_SECONDS)
            memory.append(_memory(site))
            behind.append(load.backlog)
        ended = time.monotonic()
        load.set_rate(USUAL_RATE)
        drained = await until(lambda: load.calm(1.0), DRAINED_SECONDS)
        seconds = time.monotonic() - ended
        memory.append(_memory(site))
        waits = [accepted - due for due, accepted in zip(load.due, load.accepted, strict=True) if accepted]
        await asyncio.sleep(2 * HANDLED_SECONDS)
        refused, never = load.refused, load.lost(began, ended).never
    report.add("burst_rate", USUAL_RATE * TIMES, "events/s")
    report.add("burst_behind", max(behind), "events")
    report.add("burst_drained", seconds, "s" if drained else "s, and not drained")
    report.add("burst_memory_before", before / 1e6, "MB a worker")
    report.add("burst_memory", max(memory) / 1e6, "MB a worker")
    report.add("burst_publish_median", statistics.median(waits) * 1e3, "ms")
    report.add("burst_publish_longest", max(waits) * 1e3, "ms")
    report.add("burst_refused", refused, "events")
    shed = "nothing was refused, and no handler gives way" if not refused else f"{refused} publishes were refused"
    return f"burst: {shed}; {never} of its events were never handled; what limits it is the work of the handlers"


def _memory(site: Site) -> int:
    return max(memory_bytes(pid) for machine in site.machines for pid in machine.pids)
