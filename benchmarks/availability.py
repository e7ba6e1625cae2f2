"""Availability: what each fault costs, and what comes of that at a stated rate of faults; and a burst.

Events are published at a steady rate and answered by a service. A publish counts as lost when it is not acknowledged
within five seconds, an event when its answer cannot be read one second after it was due; so many of them, divided by
the rate, are the seconds lost.
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.availability_burst import burst
from benchmarks.availability_load import HANDLED_SECONDS, Load, Lost, loaded, until
from benchmarks.availability_world import Fault, Site, clustered, embedded
from benchmarks.harness import Report, scratch
from tools.kafka import fetched

RATE = 200
SESSION_SECONDS = 3.0
WARM_SECONDS = 5.0
CALM_SECONDS = 4.0
PATIENCE_SECONDS = 60.0
DAY_SECONDS = 86_400
WORKER_FAULTS_A_DAY = 24
BROKER_FAULTS_A_DAY = 1
WORKERS = ("worker_killed", "worker_stopped")
BROKERS = {"embedded": ("all_restarted",), "cluster": ("broker_restarted", "leader_killed")}
AIMS = {"embedded": 99.9, "cluster": 99.99}


@dataclass(frozen=True)
class Cost:
    """What a fault has cost each time."""

    turns: tuple[Lost, ...]

    @property
    def publishing(self) -> float:
        """Seconds of publishing, on average."""
        return statistics.mean(each.publishing for each in self.turns)

    @property
    def handling(self) -> float:
        """Seconds of handling, on average."""
        return statistics.mean(each.handling for each in self.turns)


async def suffer(load: Load, fault: Fault, workers: int) -> tuple[float, float]:
    """Let a fault happen; from when until when, everything being well again, something may have been lost.

    They are hours apart where this is to say something, so each waits until ``workers`` share the tasks again.
    """
    limit = time.monotonic() + PATIENCE_SECONDS
    while not await load.shared(workers):
        if time.monotonic() > limit:
            raise TimeoutError(f"{workers} workers do not share the tasks within {PATIENCE_SECONDS:g} s")
        await asyncio.sleep(0.2)
    if not await until(lambda: load.calm(CALM_SECONDS), PATIENCE_SECONDS):
        raise TimeoutError("events are late though nothing has happened: the machine is too busy to measure")
    since = time.monotonic()
    await fault()
    await asyncio.sleep(CALM_SECONDS)
    while time.monotonic() < since + PATIENCE_SECONDS and not await load.shared(workers):
        await asyncio.sleep(0.2)
    await until(lambda: load.calm(CALM_SECONDS), PATIENCE_SECONDS)
    return since, time.monotonic()


async def measure(site: Site, faults: Mapping[str, Fault], rounds: int) -> dict[str, Cost]:
    """Each fault so many times."""
    workers = sum(machine.workers for machine in site.machines)
    stretches: dict[str, list[tuple[float, float]]] = {name: [] for name in faults}
    async with loaded(site.machines[0].broker, RATE) as load:
        await asyncio.sleep(WARM_SECONDS)
        for _ in range(rounds):
            for name, fault in faults.items():
                stretches[name].append(await suffer(load, fault, workers))
        await until(lambda: load.backlog <= RATE, PATIENCE_SECONDS)
        await asyncio.sleep(2 * HANDLED_SECONDS)
        return {name: Cost(tuple(load.lost(*each) for each in found)) for name, found in stretches.items()}


def tell(report: Report, place: str, costs: Mapping[str, Cost]) -> str:
    """Put the figures into the report; the sentence that says what limits them."""
    for name, cost in costs.items():
        report.add(f"{place}_{name}_publishing", cost.publishing, "s lost")
        report.add(f"{place}_{name}_handling", cost.handling, "s lost")
        report.add(f"{place}_{name}_longest_wait", max(each.longest for each in cost.turns), "s")
        report.add(f"{place}_{name}_never_handled", sum(each.never for each in cost.turns), "events")
    daily = {name: WORKER_FAULTS_A_DAY / len(WORKERS) for name in WORKERS if name in costs}
    daily |= {name: BROKER_FAULTS_A_DAY / len(BROKERS[place]) for name in BROKERS[place] if name in costs}
    handling = {name: times * costs[name].handling for name, times in daily.items()}
    publishing = {name: times * costs[name].publishing for name, times in daily.items()}
    if costs.keys() < {*WORKERS, *BROKERS[place]}:
        return f"{place}: not all faults of the schedule were measured"
    # Four digits would make 99.986 % of a figure 99.99.
    report.add(f"{place}_publishing_lost_a_day", sum(publishing.values()), "s")
    report.add(f"{place}_handling_lost_a_day", sum(handling.values()), "s")
    worst = max(handling, key=lambda name: handling[name])
    total = sum(handling.values())
    share = handling[worst] / total if total else 0
    available = 100 * (1 - total / DAY_SECONDS)
    allowed = (100 - AIMS[place]) / 100 * DAY_SECONDS
    return (
        f"{place}: available {available:.3f} %; {total:.1f} s of handling lost a day, of {allowed:.1f} s that "
        f"{AIMS[place]} % allow; "
        f"{share:.0%} of it is {worst} ({costs[worst].handling:.2f} s each time, {daily[worst]:g} a day)"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2, help="how often each fault happens")
    parser.add_argument("--session", type=float, default=SESSION_SECONDS, help="the session timeout, in seconds")
    parser.add_argument("--protocol", choices=("classic", "consumer"), default="consumer", help="of the group on Kafka")
    parser.add_argument("--only", choices=("embedded", "cluster", "burst"))
    parser.add_argument("--fault", action="append", help="this fault alone; may be given several times")
    options = parser.parse_args()
    report = Report(
        f"availability: {RATE} events/s, session timeout {options.session:g} s; at {WORKER_FAULTS_A_DAY} faults of a "
        f"worker and {BROKER_FAULTS_A_DAY} of a broker a day"
    )
    said: list[str] = []
    for name in ("embedded", "cluster", "burst"):
        if options.only in (None, name):
            with scratch("availability") as folder:
                said += part(name, report, folder, options)
    report.show()
    print("\n".join(said), file=sys.stderr)


def part(name: str, report: Report, folder: Path, options: argparse.Namespace) -> list[str]:
    """One part of the measurement, and what is to be said of it."""
    if name == "burst":
        with embedded(folder, 2, options.session, work_seconds=0.0002) as site:
            return [asyncio.run(burst(report, site))]
    if name == "embedded":
        with embedded(folder, 2, options.session) as site:
            return [asyncio.run(reckoned(report, name, site, options))]
    with clustered(folder, fetched(), 2, options.session, options.protocol) as site:
        return [asyncio.run(reckoned(report, name, site, options))]


async def reckoned(report: Report, place: str, site: Site, options: argparse.Namespace) -> str:
    """Each fault of a place, and what comes of it."""
    names = options.fault or (*WORKERS, *BROKERS[place], "dependency_slow")
    costs = await measure(site, {each: _fault(site, each) for each in names}, options.rounds)
    return tell(report, place, costs)


def _fault(site: Site, name: str) -> Fault:
    fault: Fault = getattr(site, name)
    return fault


if __name__ == "__main__":
    main()
