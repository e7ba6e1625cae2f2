"""Kafka: Mainstem beside the bare loop, Kafka Streams, Quix Streams and FastStream, on one real broker, in turns.

Every case reads the same records: 300 bytes of JSON with their envelope, lz4, four partitions. The broker has the JVM
of a server (G1, 1 GB) and shares the machine with its clients: so the CPU time of the client per event, printed beside
the speed, is the figure that carries over. ``QUICK=1`` is a short run; ``--without quix,faststream,streams`` leaves
peers out.
"""

import argparse
import asyncio
import itertools
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import kafka_bare as bare
from benchmarks import kafka_failover, kafka_latency, kafka_others, kafka_service
from benchmarks.harness import (
    Case,
    Measurement,
    Report,
    interleaved,
    median_cpu_us,
    median_speed,
    scratch,
    speed_ratio,
)
from benchmarks.workload import Load
from tools.kafka import Cluster, fetched

JAVA = ("-Xms1g", "-Xmx1g", "-XX:+AlwaysPreTouch", "-XX:+UseG1GC", "-Djava.awt.headless=true")
PEERS = ("streams", "quix", "faststream")
WARM_UP_EVENTS = 2_000_000
QUIX_SHARE, FASTSTREAM_SHARE = 4, 20
"""Peers that are slower by far read so much less."""
numbers = itertools.count()
Cases = dict[str, Case]


def mainstem(address: str, load: Load, folder: Path) -> Cases:
    """Ours."""

    def case(register: Callable[..., None], delivery: kafka_service.Delivery = "exactly_once") -> Case:
        return lambda: asyncio.run(kafka_service.handled(broker, load, register, delivery))

    broker = kafka_service.url(address, folder / "copies")
    return {
        "stateless": case(kafka_service.stateless, "at_least_once"),
        "stateless_exactly_once": case(kafka_service.stateless),
        "transform": case(kafka_service.transform),
        "count": case(kafka_service.count),
        "count_out": case(kafka_service.count_out),
        "count_latest": case(kafka_service.count_latest),
    }


def bare_loops(address: str, load: Load) -> Cases:
    """The ceiling. An output for each count is not among them: it is the two loops together."""
    return {
        "bare_stateless": lambda: bare.stateless(address, "orders", load),
        "bare_transform": lambda: bare.transform(address, "orders", "checked", load),
        "bare_count": lambda: bare.keyed_count(address, "orders", "bare-changelog", load),
    }


def kafka_streams(streams: kafka_others.Streams, load: Load) -> Cases:
    """The mark to pass; with RocksDB, and without its record cache unless the name says ``cached`` or ``latest``."""
    cached = 10_000_000
    return {
        "streams_stateless": lambda: streams.run("stateless", "-", load.events),
        "streams_transform": lambda: streams.run("transform", "checked", load.events),
        "streams_count": lambda: streams.run("count", "-", load.events),
        "streams_count_cached": lambda: streams.run("count", "-", load.events, cache_bytes=cached),
        "streams_count_out": lambda: streams.run("count-out", "counted", load.events),
        "streams_count_latest": lambda: streams.run("count-out", "counted", load.events, cache_bytes=cached),
    }


def quix_and_faststream(address: str, load: Load, folder: Path, without: Sequence[str]) -> Cases:
    """Two from Python."""
    cases: Cases = {}
    if "quix" not in without:
        for topology in ("stateless", "transform", "count"):
            cases[f"quix_{topology}"] = lambda topology=topology: kafka_others.quix(  # type: ignore[misc]
                address, topology, load.events // QUIX_SHARE, folder / f"quix-{next(numbers)}"
            )
    if "faststream" not in without:
        cases["faststream_stateless"] = lambda: kafka_others.faststream(address, load.events // FASTSTREAM_SHARE)
    return cases


def warmed_up(cases: Cases, load: Load, events: int) -> None:
    """Let each case of Kafka Streams handle so many events before the turns begin: its code is compiled as it runs."""
    for case in cases.values():
        for _ in range(events // load.events):
            case()


def throughput(report: Report, address: str, load: Load, options: argparse.Namespace, folder: Path) -> None:
    """All cases in turns."""
    for topic in ("orders", "checked", "counted"):
        bare.create(address, topic, load.partitions)
    bare.create(address, "bare-changelog", load.partitions, **{"cleanup.policy": "compact"})
    bare.fill(address, "orders", load)
    without = options.without.split(",")
    cases = {**bare_loops(address, load), **mainstem(address, load, folder)}
    streams = None if "streams" in without else kafka_others.Streams(address, folder / "streams")
    try:
        if streams is not None:
            peer = kafka_streams(streams, load)
            warmed_up(peer, load, options.warm_up)
            cases |= peer
        cases |= quix_and_faststream(address, load, folder, without)
        tell(report, interleaved(cases, options.repetitions))
    finally:
        if streams is not None:
            streams.close()


def tell(report: Report, turns: dict[str, list[Measurement]]) -> None:
    """Each with its CPU time; ours with their ratios to all others of the same work."""
    for name, measured in turns.items():
        work = name.removeprefix("bare_").removeprefix("streams_").removeprefix("quix_").removeprefix("faststream_")
        ratios = {}
        if work == name:
            others = [each for each in turns if each != name and each.removesuffix("_cached").endswith(f"_{work}")]
            ratios = {each.replace(f"_{work}", ""): speed_ratio(measured, turns[each]) for each in others}
        report.add(name, median_speed(measured), "events/s", **ratios)
        report.add(f"{name}_cpu", median_cpu_us(measured), "µs/event")


def main() -> None:
    """Start a broker, measure, print."""
    quick = os.environ.get("QUICK", "") not in ("", "0")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000 if quick else 500_000)
    parser.add_argument("--keys", type=int, default=1_000)
    parser.add_argument("--repetitions", type=int, default=1 if quick else 3)
    parser.add_argument("--warm-up", type=int, default=0 if quick else WARM_UP_EVENTS)
    parser.add_argument("--without", default="", help="peers to leave out, such as quix,faststream,streams")
    parser.add_argument("--only", choices=("throughput", "latency", "restore", "failover", "standby"))
    options = parser.parse_args()
    load = Load(options.events, partitions=4, keys=options.keys)
    report = Report(f"kafka: {load.events:,} events of {load.value_bytes} bytes, {load.partitions} partitions, lz4")
    with scratch("kafka") as folder:
        cluster = Cluster(folder / "cluster", fetched(), java_options=JAVA, ends_with_us=True)
        cluster.start()
        try:
            address = cluster.address
            parts: dict[str, Callable[[], None]] = {
                "throughput": lambda: throughput(report, address, load, options, folder),
                "latency": lambda: kafka_latency.latency(report, address, folder, quick=quick),
                "restore": lambda: kafka_latency.restore(report, address, folder, quick=quick),
                "failover": lambda: kafka_latency.failover(report, address, folder),
                "standby": lambda: kafka_failover.failover(report, address, folder, quick=quick),
            }
            for name, part in parts.items():
                if options.only in (None, name):
                    part()
        finally:
            cluster.stop()
    report.show()


if __name__ == "__main__":
    main()
