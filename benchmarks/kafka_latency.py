"""Kafka: latency between processes, the restoring of a local copy, and the failover from a worker that is killed."""

import asyncio
import contextlib
import itertools
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Awaitable, Generator
from pathlib import Path

from confluent_kafka import Producer

from benchmarks import kafka_bare as bare
from benchmarks.embedded import OrderPaid
from benchmarks.embedded_paced import RATE, WARM_UP_SECONDS, Ping, serving
from benchmarks.harness import Latencies, Report, running, until
from benchmarks.kafka_service import Delivery, count, url
from benchmarks.workload import Load, orders
from mainstem import Context, IntegrationEvent, Service
from mainstem.settings import Settings

SECONDS = 10.0
EVERY_SECONDS = 0.01
QUIET_SECONDS = 3.0
WARM_UP_CALLS = 20
AHEAD_CALLS = 2_000
"""So many calls may be unanswered before the next is made."""
RESTORED_RECORDS = 1_000_000
SESSION_SECONDS = 3.0
TICK_SECONDS = 0.01
PARTITIONS = 4
THIS = [sys.executable, "-m", "benchmarks.kafka_latency"]


PATHS: tuple[tuple[str, str, Delivery], ...] = (
    ("publish_to_handler_at_least_once", "Ping", "at_least_once"),
    ("publish_to_handler_exactly_once", "Ping", "exactly_once"),
    ("through_at_least_once", "Pong", "at_least_once"),
    ("through_exactly_once", "Pong", "exactly_once"),
)


class Pong(IntegrationEvent, topic="pongs", key="key"):
    """A ping that has been handled, with its facts committed exactly once."""

    key: str
    sent_ns: int
    note: str


# Latency


async def produce(broker: str, seconds: float, *, together: bool) -> None:
    """Publish at a steady rate what is due since the last turn.

    Together it is one call, which on Kafka is a transaction: exactly once. Otherwise it is a call for each event, which
    the idempotent producer sends by itself: at least once.
    """
    service = Service("sender", publishes=(Ping,))
    async with serving(service, broker, consume=False):
        # The first transactions of a cluster's life take a second, and of a process a while.
        for number in range(WARM_UP_CALLS):
            await service.publish(Ping("warm", time.monotonic_ns(), ""), Ping(str(number), time.monotonic_ns(), ""))
        began, sent = time.monotonic(), 0
        on_their_way: deque[Awaitable[None]] = deque()
        while (elapsed := time.monotonic() - began) < WARM_UP_SECONDS + seconds:
            due = int(elapsed * RATE) - sent
            if due:
                now = time.monotonic_ns()
                pings = (Ping(str((sent + n) % 1000), now, "x" * 240) for n in range(due))
                calls = [tuple(pings)] if together else [(ping,) for ping in pings]
                on_their_way.extend(service.publish(*call) for call in calls)
                sent += due
                while len(on_their_way) > AHEAD_CALLS:
                    await on_their_way.popleft()
            await asyncio.sleep(EVERY_SECONDS)
        for each in on_their_way:
            await each


async def relay(broker: str, ready: Path, delivery: Delivery) -> None:
    """A pong for every ping, until the process is told to end."""
    service = Service(f"relay-{delivery.replace('_', '-')}", start="latest", delivery=delivery)

    @service.on(Ping)
    async def answer(ping: Ping, _context: Context) -> Pong:
        return Pong(ping.key, ping.sent_ns, ping.note)

    async with serving(service, broker):
        ready.touch()
        await asyncio.Event().wait()


async def collect(broker: str, result: Path, kind: type[Ping] | type[Pong], delivery: Delivery) -> None:
    """Handle everything; write the latencies of all but the warm-up when nothing has come for a while."""
    service = Service(f"collector-{result.name.replace('_', '-')}", start="latest", delivery=delivery)
    latencies = Latencies()
    began = last = 0.0

    @service.on(kind)
    async def handle(event: Ping | Pong, _context: Context) -> None:
        nonlocal began, last
        if not event.note:
            return  # it only warms up
        now = time.monotonic_ns()
        last = now / 1e9
        began = began or last
        if last > began + WARM_UP_SECONDS:
            latencies.add((now - event.sent_ns) / 1e9)

    async with serving(service, broker):
        result.with_suffix(".ready").touch()
        while not began or time.monotonic() - last < QUIET_SECONDS:
            await asyncio.sleep(0.1)
    result.write_bytes(latencies.to_bytes())


def latency(report: Report, address: str, folder: Path, *, quick: bool) -> None:
    """Publish → handler, and publish → handler → commit → handler, at least once and exactly once; a process each.

    At least once each event is published by a call of its own, and all groups are delivered at least once. Exactly once
    each call is a transaction, and so is every commit; readers are given what is committed, in both.
    """
    for topic in ("pings", "pongs"):
        bare.create(address, topic, PARTITIONS)
    seconds = 4.0 if quick else SECONDS
    warm_up = () if quick else (("warm_up", *PATHS[0][1:]),)
    for name, kind, delivery in (*warm_up, *PATHS):
        broker, result, log = url(address, folder / f"copies-{name}"), folder / name, folder / f"{name}.log"
        ready = folder / f"{name}.relay"
        with contextlib.ExitStack() as stack:
            if kind == "Pong":
                stack.enter_context(running([*THIS, "relay", broker, str(ready), delivery], log=log))
                until(ready.exists, timeout_seconds=60, what="the relay")
            collector = stack.enter_context(running([*THIS, "collect", broker, str(result), kind, delivery], log=log))
            until(result.with_suffix(".ready").exists, timeout_seconds=60, what="the collector")
            stack.enter_context(running([*THIS, "produce", broker, str(seconds), delivery], log=log))
            until(lambda: collector.poll() is not None, timeout_seconds=120, what=log.read_text() or "the collector")  # noqa: B023
        if name == "warm_up":
            continue  # a broker that has just begun compiles its code while it works
        latencies = Latencies.from_bytes(result.read_bytes())
        p50, p99 = latencies.percentiles_ms(50, 99)
        report.add(f"{name}_rate", len(latencies) / seconds, "events/s", asked=len(latencies) / seconds / RATE)
        report.add(f"{name}_p50", p50, "ms")
        report.add(f"{name}_p99", p99, "ms")


# Restoring


async def started(broker: str, service: Service) -> float:
    """Seconds until a service runs all of its tasks."""
    began = time.monotonic()
    async with service.running(broker=broker, dev=True, settings=Settings()):
        return time.monotonic() - began


def restore(report: Report, address: str, folder: Path, *, quick: bool) -> None:
    """A worker on a new machine: the start with an empty folder, less the start with copies that are there."""
    records = RESTORED_RECORDS // 5 if quick else RESTORED_RECORDS

    def service() -> Service:
        made = Service("restored")
        count(made, lambda: None)
        made.topic("orders", partitions=PARTITIONS)
        return made

    with contextlib.suppress(Exception):
        bare.create(address, "orders", PARTITIONS)  # may be there from the throughput
    asyncio.run(started(url(address, folder / "copies-first"), service()))
    producer = Producer(bare.writing(address))
    for number in range(records):
        producer.produce("restored.changelog", b"17", b"counts\x00c-%08d" % number, number % PARTITIONS)
        if number % bare.FILL_EVENTS == 0:
            producer.flush()
    producer.flush()
    broker = url(address, folder / "copies-second")
    whole = asyncio.run(started(broker, service()))
    again = asyncio.run(started(broker, service()))
    report.add("restore", records / (whole - again), "records/s")
    report.add("start_with_copies", again, "s")


# Failover


async def work(broker: str, seen: Path) -> None:
    """Handle orders; the first one of each partition is noted with its time."""
    service = Service("watched")
    known: set[int] = set()

    @service.on(OrderPaid)
    async def note(_order: OrderPaid, context: Context) -> None:
        if context.partition not in known:
            known.add(context.partition)
            with seen.open("a") as file:
                file.write(f"{context.partition} {time.monotonic_ns()}\n")

    async with service.running(broker=broker, dev=True, settings=Settings(session_timeout_seconds=SESSION_SECONDS)):
        await asyncio.Event().wait()


def noted(seen: Path) -> dict[int, int]:
    """When a worker has handled its first order of each partition."""
    lines = seen.read_text().splitlines() if seen.exists() else []
    return {int(partition): int(when) for partition, when in map(str.split, lines)}


@contextlib.contextmanager
def ticking(address: str) -> Generator[None, None, None]:
    """A process that publishes an order to every partition again and again."""
    with running([*THIS, "tick", address], log=Path(os.devnull)):
        yield


def tick(address: str) -> None:
    """Publish until the process is told to end."""
    import msgspec  # noqa: PLC0415

    producer = Producer({**bare.writing(address), "linger.ms": 0})
    value = msgspec.json.encode(orders(Load())[0])
    for number in itertools.count():
        for partition in range(PARTITIONS):
            headers: list[bare.Pair] = [
                *bare.COMMON,
                ("ce_id", b"019c0000-0000-7000-800%d-%012x" % (partition, number)),
            ]
            producer.produce("orders", value, b"c", partition, headers=headers)
        producer.poll(TICK_SECONDS)
        time.sleep(TICK_SECONDS)


def failover(report: Report, address: str, folder: Path) -> None:
    """Two workers, one of them killed: until the other one handles what was the first one's."""
    with contextlib.suppress(Exception):
        bare.create(address, "orders", PARTITIONS)
    broker, log = url(address, folder / "copies-failover"), folder / "failover.log"
    first, second = folder / "seen-first", folder / "seen-second"
    with (
        ticking(address),
        running([*THIS, "work", broker, str(first)], log=log) as victim,
    ):
        until(lambda: len(noted(first)) == PARTITIONS, timeout_seconds=60, what="the first worker")
        with running([*THIS, "work", broker, str(second)], log=log):
            until(lambda: len(noted(second)) == PARTITIONS // 2, timeout_seconds=60, what="the second worker")
            time.sleep(1)
            killed = time.monotonic_ns()
            victim.send_signal(signal.SIGKILL)
            until(lambda: len(noted(second)) == PARTITIONS, timeout_seconds=60, what="the take-over")
            seconds = (max(noted(second).values()) - killed) / 1e9
    report.add("failover", seconds, "s", session_timeout=seconds / SESSION_SECONDS)


def delivery_of(name: str) -> Delivery:
    """The option as it is typed."""
    return "at_least_once" if name == "at_least_once" else "exactly_once"


def main(role: str, broker: str, *rest: str) -> None:
    """One of the processes."""
    if role == "tick":
        tick(broker)
    elif role == "produce":
        asyncio.run(produce(broker, float(rest[0]), together=rest[1] == "exactly_once"))
    elif role == "relay":
        asyncio.run(relay(broker, Path(rest[0]), delivery_of(rest[1])))
    elif role == "collect":
        asyncio.run(collect(broker, Path(rest[0]), Pong if rest[1] == "Pong" else Ping, delivery_of(rest[2])))
    else:
        asyncio.run(work(broker, Path(rest[0])))


if __name__ == "__main__":
    main(*sys.argv[1:])
