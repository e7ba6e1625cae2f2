"""Kafka: how a keyed count scales with workers and with brokers, what takes the cores, and memory over time."""

import argparse
import asyncio
import contextlib
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka.admin import AdminClient

from benchmarks import kafka_bare as bare
from benchmarks.harness import Report, cpu_seconds, memory_bytes, running, scratch, until
from benchmarks.kafka import JAVA
from benchmarks.kafka_service import COMMITS, count, url
from benchmarks.workload import Load
from mainstem import Service
from tools.kafka import Cluster, fetched

PARTITIONS = 8
WORKERS = (1, 2, 4)
BROKERS = (1, 3)
WARM_UP_SECONDS = 1.0
WINDOW_SECONDS = 4.0
SAMPLE_SECONDS = 10.0
THIS = [sys.executable, "-m", "benchmarks.kafka_scaling"]
RELAY = [sys.executable, "-m", "benchmarks.kafka_latency"]


@dataclass(frozen=True)
class Look:
    """How far a group has come, and the CPU time of all processes so far."""

    at: float
    events: int
    workers_cpu: float
    brokers_cpu: float


async def work(broker: str, name: str, ready: Path) -> None:
    """Count orders, until the process is told to end."""
    service = Service(name)
    service.topic("orders", partitions=PARTITIONS)
    count(service, lambda: None)
    async with service.running(broker=broker, dev=True, settings=COMMITS):
        ready.touch()
        await asyncio.Event().wait()


def committed(admin: AdminClient, group: str) -> int:
    """The sum of a group's committed positions in the topic of orders."""
    asked = [ConsumerGroupTopicPartitions(group)]
    found = admin.list_consumer_group_offsets(asked, require_stable=False)[group].result()
    return sum(at.offset for at in found.topic_partitions if at.topic == "orders" and at.offset > 0)


def scaled(cluster: Cluster, folder: Path, workers: int) -> tuple[Look, Look]:
    """So many workers read the whole topic; two looks at them while all of them do."""
    name, log = f"scaled-{workers}", folder / "workers.log"
    broker, admin = (
        url(cluster.address, folder / f"copies-{workers}"),
        AdminClient({"bootstrap.servers": cluster.address}),
    )
    with contextlib.ExitStack() as stack:
        # All at once: what the first had handled before the last came would be missing behind it.
        ready = [folder / f"{name}-{number}.ready" for number in range(workers)]
        processes = [stack.enter_context(running([*THIS, "work", broker, name, str(each)], log=log)) for each in ready]
        until(lambda: all(each.exists() for each in ready), timeout_seconds=60, what="the workers", pause_seconds=0.05)
        pids = [process.pid for process in processes]
        nodes = [node.pid for node in cluster.nodes]

        def look() -> Look:
            return Look(
                time.monotonic(), committed(admin, name), sum(map(cpu_seconds, pids)), sum(map(cpu_seconds, nodes))
            )

        until(lambda: committed(admin, name) > 0, timeout_seconds=60, what="the first commit")
        time.sleep(WARM_UP_SECONDS)
        first = look()
        time.sleep(WINDOW_SECONDS)
        return first, look()


def scaling(report: Report, folder: Path, events: int) -> None:
    """Events handled in a second, and the cores that workers and brokers took, for each number of both."""
    for brokers in BROKERS:
        cluster = Cluster(folder / f"cluster-{brokers}", fetched(), nodes=brokers, java_options=JAVA, ends_with_us=True)
        cluster.start()
        try:
            bare.create(cluster.address, "orders", PARTITIONS)
            bare.fill(cluster.address, "orders", Load(events, partitions=PARTITIONS))
            alone = 0.0
            for workers in WORKERS:
                first, last = scaled(cluster, folder / f"cluster-{brokers}", workers)
                seconds = last.at - first.at
                speed = (last.events - first.events) / seconds
                alone = alone or speed
                name = f"{brokers}_brokers_{workers}_workers"
                report.add(name, speed, "events/s", one_worker=speed / alone)
                report.add(f"{name}_workers", (last.workers_cpu - first.workers_cpu) / seconds, "cores")
                report.add(f"{name}_brokers", (last.brokers_cpu - first.brokers_cpu) / seconds, "cores")
        finally:
            cluster.stop()


def memory(report: Report, folder: Path, minutes: float) -> None:
    """A worker that turns 10,000 events a second into others, exactly once: what it holds, early and late."""
    cluster = Cluster(folder / "cluster-memory", fetched(), java_options=JAVA, ends_with_us=True)
    cluster.start()
    try:
        for topic in ("pings", "pongs"):
            bare.create(cluster.address, topic, PARTITIONS)
        broker, ready, log = (
            url(cluster.address, folder / "copies-memory"),
            folder / "relay.ready",
            folder / "memory.log",
        )
        with running([*RELAY, "relay", broker, str(ready), "exactly_once"], log=log) as relay:
            until(ready.exists, timeout_seconds=60, what="the relay")
            samples: list[int] = []
            with running([*RELAY, "produce", broker, str(60 * minutes), "exactly_once"], log=log) as producer:
                while producer.poll() is None:
                    time.sleep(SAMPLE_SECONDS)
                    samples.append(memory_bytes(relay.pid))
        report.add("memory_after_a_minute", samples[int(60 / SAMPLE_SECONDS)] / 1e6, "MB")
        report.add("memory_at_the_end", samples[-2] / 1e6, "MB", after_a_minute=samples[-2] / samples[6])
    finally:
        cluster.stop()


def main() -> None:
    """Measure and print; or be one of the workers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=4_000_000)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--only", choices=("scaling", "memory"))
    options = parser.parse_args()
    report = Report(f"kafka: a keyed count of 300-byte events, {PARTITIONS} partitions, {os.cpu_count()} cores for all")
    with scratch("kafka-scaling") as folder:
        if options.only in (None, "scaling"):
            scaling(report, folder, options.events)
        if options.only in (None, "memory"):
            memory(report, folder, options.minutes)
    report.show()


if __name__ == "__main__":
    if sys.argv[1:2] == ["work"]:
        asyncio.run(work(sys.argv[2], sys.argv[3], Path(sys.argv[4])))
    else:
        main()
