"""Probes, the doctor and the plain clients on a real Kafka broker."""

import asyncio
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from mainstem import Consumer, IntegrationEvent, Producer, Service, running
from mainstem.broker import Record, TopicPartition, TopicSpec
from mainstem.clock import SystemClock
from mainstem.events import partition_for
from mainstem.identifiers import Identifiers
from mainstem.service import connected
from mainstem.settings import Settings
from tests.journeys.conditions import until
from tests.journeys.test_http import SERVICE, health, ports, samples
from tests.rooms.ops.conftest import Shell
from tests.rooms.ops.processes import Spawned
from tools.kafka import Cluster

QUICK = Settings(session_timeout_seconds=3, grace_seconds=5)


@pytest.fixture(scope="module")
def cluster(kafka_jars: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One of our own: it is stopped, and it has no groups of other tests at which a doctor would look."""
    cluster = Cluster(tmp_path_factory.mktemp("day-one"), kafka_jars, ends_with_us=True)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.nodes[0].kill()


async def test_the_doctor_looks_at_a_cluster(
    cluster: Cluster, unique: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A type that nobody handles, a key that another partitioner has placed, and a group that nobody runs."""
    monkeypatch.chdir(tmp_path)
    topic = unique("doctored")
    shell = Shell(tmp_path, f"kafka://{cluster.address}?state_folder={tmp_path}/state")
    monkeypatch.setenv("MAINSTEM_BROKER", shell.broker)

    class Asked(IntegrationEvent, topic=topic, key="text"):
        text: str

    desk = Service(topic, publishes=(Asked,))
    desk.topic(topic, partitions=2)

    @desk.on(Asked)
    async def answer(_asked: Asked) -> None:
        """Nothing to do."""

    async def found() -> list[tuple[str, str]]:
        result = await shell.beside("doctor", "--watch", "1", "--json")
        listed: list[dict[str, str]] = msgspec.json.decode(result.stdout)
        return [(each["check"], each["where"]) for each in listed if topic in each["where"]]

    async with running(desk, broker=shell.broker, dev=True, settings=QUICK) as process:
        await desk.publish(*(Asked(f"{number}") for number in range(10)))

        async def done() -> bool:
            return sum(each.counters.handled for each in await process.statistics()) == 10

        await until(done)
        assert await found() == []
        stranger = {"ce_type": b"Aksed", "ce_id": b"1", "ce_source": b"/desk", "ce_specversion": b"1.0"}
        wrong = 1 - partition_for(b"1", 2)
        await process.broker.log.append(TopicPartition(topic, wrong), [Record(b"1", b"{}", 1_000, stranger)])
        assert ("unhandled-type", f"topic {topic!r}") in await found()
    async with desk.running(broker=shell.broker, dev=True, consume=False):
        await desk.publish(Asked("late"))
    assert await found() == [
        ("foreign-partitioner", f"topic {topic!r}"),
        ("not-running", f"group {topic!r}"),
        ("unhandled-type", f"topic {topic!r}"),
    ]


def test_a_process_is_ready_while_the_broker_answers(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that is not there is waited for; one that stands still makes a process not ready, but not dead."""
    monkeypatch.chdir(tmp_path)
    Path("desk.py").write_text(SERVICE)
    with Spawned.nobody() as program:
        try:
            cluster.nodes[0].kill()
            url = f"kafka://{cluster.address}?answer_seconds=2"
            program.start("run", "desk:desk", "--dev", "--broker", url, "--http", "127.0.0.1:0")
            program.wait_until(lambda: bool(ports(program)))
            [port] = ports(program)
            program.wait_for("trying again in", times=2)
            code, said = health(port)
            assert (code, said["state"], len(said["reasons"])) == (503, "starting", 2)
            assert said["reasons"][1].startswith("the broker does not answer")
            cluster.nodes[0].start()
            program.wait_until(lambda: health(port)[0] == 200)
            assert samples(port)["mainstem_tasks_owned"] == 1
            cluster.nodes[0].send(signal.SIGSTOP)
            program.wait_until(lambda: health(port)[0] == 503)
            assert health(port)[1]["reasons"][0].startswith("the broker does not answer")
            assert health(port, "/livez")[0] == 200
            cluster.nodes[0].send(signal.SIGCONT)
            # Who has had no answer asks again within seconds.
            asyncio.run(until(lambda: health(port)[0] == 200, within_seconds=60))
        finally:
            cluster.nodes[0].send(signal.SIGCONT)


def test_who_is_told_to_end_does_not_wait_for_a_broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing has begun yet that would have to be finished, so Ctrl-C ends at once what waits for a broker to start."""
    monkeypatch.chdir(tmp_path)
    Path("desk.py").write_text(SERVICE)
    with Spawned.nobody() as program:
        program.start("run", "desk:desk", "--broker", "kafka://127.0.0.1:1")
        program.wait_for("it is waited for 15 s")
        began = time.monotonic()
        assert program.stop(signal.SIGINT) == 0
        assert time.monotonic() - began < 8
        assert "Traceback" not in program.said()


async def test_what_is_sent_is_read(kafka: str, unique: Callable[[str], str], tmp_path: Path) -> None:
    """Bytes go through Kafka as they are, and a second consumer of the group goes on behind the first."""
    topic, clock = unique("plain"), SystemClock()
    url = f"kafka://{kafka}?state_folder={tmp_path}"
    async with connected(url, clock, Identifiers(clock)) as broker:
        await broker.admin.create(TopicSpec(topic, 2))
    async with Producer(url) as producer:
        await asyncio.gather(*(producer.send(topic, b"%d" % n, key=b"c-1", headers={"h": b"1"}) for n in range(3)))
    for expected in ([b"0", b"1"], [b"2"]):
        async with Consumer(topic, group=f"{topic}.readers", broker=url, settings=QUICK) as reader, asyncio.timeout(60):
            found = [await anext(reader) for _ in expected]
        assert [(each.value, each.key, dict(each.headers)) for each in found] == [
            (value, b"c-1", {"h": b"1"}) for value in expected
        ]


async def test_a_topic_that_is_kept_by_its_size(kafka: str, unique: Callable[[str], str], tmp_path: Path) -> None:
    """The cluster takes away the oldest segments, and leaves as many bytes as were asked for."""
    topic, clock = unique("sized"), SystemClock()
    async with connected(f"kafka://{kafka}?state_folder={tmp_path}", clock, Identifiers(clock)) as broker:
        await broker.admin.create(TopicSpec(topic, 1, record_bytes_max=200_000, retention_bytes=3_000_000))
        at, chance = TopicPartition(topic, 0), random.Random(1)
        for _ in range(80):
            # Bytes that cannot be compressed.
            await broker.log.append(at, [Record(None, chance.randbytes(100_000), clock.now_ms())])

        async def some_have_left() -> bool:
            start, end = await broker.log.bounds(at)
            assert end - start >= 29
            return start > 20

        await until(some_have_left, within_seconds=60)


async def test_the_last_events_are_as_many_as_were_asked_for(
    kafka: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    """``tail`` looks past the offsets that commits take, and stops where the topic begins."""
    topic, clock = unique("tailed"), SystemClock()
    url = f"kafka://{kafka}?state_folder={tmp_path}"
    async with connected(url, clock, Identifiers(clock)) as broker:
        await broker.admin.create(TopicSpec(topic, 1))
        for number in range(6):
            transaction = broker.log.transaction()
            transaction.append(TopicPartition(topic, 0), [Record(None, b"%d" % number, clock.now_ms())])
            await transaction.commit()

    async def last(count: int) -> list[int]:
        result = await Shell(tmp_path, url).beside("tail", topic, "--limit", f"{count}", "--json", "--broker", url)
        return [msgspec.json.decode(line)["data"] for line in result.stdout.splitlines()]

    assert await last(3) == [3, 4, 5]
    assert await last(10) == [0, 1, 2, 3, 4, 5]
