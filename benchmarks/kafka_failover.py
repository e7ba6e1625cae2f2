"""Kafka: failover of tasks with a large store, with a standby on another machine and without one."""

import asyncio
import contextlib
import signal
import sys
import time
from pathlib import Path

from confluent_kafka import Producer

from benchmarks import kafka_bare as bare
from benchmarks.embedded import OrderPaid
from benchmarks.harness import Report, running, until
from benchmarks.kafka_latency import PARTITIONS, RESTORED_RECORDS, SESSION_SECONDS, noted, ticking
from benchmarks.kafka_service import url
from mainstem import Context, Service
from mainstem.settings import Settings

CLOSE_RECORDS = 100
THIS = [sys.executable, "-m", "benchmarks.kafka_failover"]


def filled(address: str, name: str, records: int) -> None:
    """Put so many keys into the changelog of a group that exists."""
    producer = Producer(bare.writing(address))
    for number in range(records):
        producer.produce(f"{name}.changelog", b"17", b"counts\x00c-%08d" % number, number % PARTITIONS)
        if number % bare.FILL_EVENTS == 0:
            producer.flush()
    producer.flush()


async def work(broker: str, name: str, seen: Path, standbys: int) -> None:
    """Count orders; the first one of each partition is noted with its time, and how many standbys are at the end."""
    service = Service(name, standbys=standbys)
    service.topic("orders", partitions=PARTITIONS)
    counts = service.store("counts", int)
    known: set[int] = set()

    @service.on(OrderPaid)
    async def note(_order: OrderPaid, context: Context) -> None:
        context.put(counts, context.get(counts, 0) + 1)
        if context.partition not in known:
            known.add(context.partition)
            with seen.open("a") as file:
                file.write(f"{context.partition} {time.monotonic_ns()}\n")

    settings = Settings(session_timeout_seconds=SESSION_SECONDS)
    async with service.running(broker=broker, dev=True, settings=settings) as process:
        runner = process.runners[name]
        while True:
            if runner.stands:
                seen.with_suffix(".stands").touch()
            copies = [each for each in process.broker.copies() if each.state == "standby"]
            warm = sum(each.end - each.position < CLOSE_RECORDS for each in copies)
            seen.with_suffix(".warm").write_text(str(warm))
            await asyncio.sleep(0.1)


def warm(seen: Path) -> int:
    """How many standbys of a worker are close behind."""
    with contextlib.suppress(OSError, ValueError):
        return int(seen.with_suffix(".warm").read_text())
    return 0


def taken_over(address: str, folder: Path, records: int, *, standbys: int) -> float:
    """Seconds from the death of a worker until another one, with another folder, has handled an order of each task."""
    name = f"failing-{standbys}"
    log = folder / f"{name}.log"
    first, second = folder / f"{name}-first", folder / f"{name}-second"

    def command(seen: Path) -> list[str]:
        return [*THIS, url(address, folder / f"copies-{seen.name}"), name, str(seen), str(standbys)]

    with running(command(first), log=log) as made:
        until(first.with_suffix(".stands").exists, timeout_seconds=60, what="the group")
        made.send_signal(signal.SIGTERM)
    filled(address, name, records)
    first.unlink(missing_ok=True)
    with ticking(address), running(command(first), log=log) as victim:
        until(lambda: len(noted(first)) == PARTITIONS, timeout_seconds=120, what="the first worker")
        with running(command(second), log=log):
            until(lambda: len(noted(second)) == PARTITIONS // 2, timeout_seconds=120, what="the second worker")
            if standbys:
                until(lambda: warm(second) == PARTITIONS // 2, timeout_seconds=120, what="the standbys")
            killed = time.monotonic_ns()
            victim.send_signal(signal.SIGKILL)
            until(lambda: len(noted(second)) == PARTITIONS, timeout_seconds=120, what="the take-over")
            return (max(noted(second).values()) - killed) / 1e9


def failover(report: Report, address: str, folder: Path, *, quick: bool) -> None:
    """Cold and warm, with as many keys as are restored elsewhere."""
    with contextlib.suppress(Exception):
        bare.create(address, "orders", PARTITIONS)  # may be there from the throughput
    records = RESTORED_RECORDS // 5 if quick else RESTORED_RECORDS
    for label, standbys in (("failover_cold_store", 0), ("failover_warm_store", 1)):
        seconds = taken_over(address, folder, records, standbys=standbys)
        report.add(label, seconds, "s", session_timeout=seconds / SESSION_SECONDS)


if __name__ == "__main__":
    broker, name, seen, standbys = sys.argv[1:]
    asyncio.run(work(broker, name, Path(seen), int(standbys)))
