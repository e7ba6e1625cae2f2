"""Late, or never? Every event that the cluster has accepted has exactly one answer in the end, whatever happens.

Nothing of the library publishes, reads or counts here: a client of Kafka does, and reads what is committed.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer
from confluent_kafka import TopicPartition as At

from tests.crash.crew import ROOT, wait_until
from tests.kafka.failures.conftest import Clusters
from tools.kafka import Cluster

PARTITIONS, KEYS, ROUNDS = 4, 40, 3
PAUSE_SECONDS = 0.02
SERVICE = """
from mainstem import Context, IntegrationEvent, Service

class Asked(IntegrationEvent, topic="asked", key="key"):
    key: str
    number: int

class Answered(IntegrationEvent, topic="answered", key="key"):
    key: str
    number: int
    count: int

answering = Service("answering", standbys=1)
answering.topic("asked", partitions=4)
answering.topic("answered", partitions=4)
counts = answering.store("counts", int)

@answering.on(Asked)
async def answer(asked: Asked, context: Context) -> Answered:
    context.put(counts, count := context.get(counts, 0) + 1)
    return Answered(asked.key, asked.number, count)
"""


class Publisher(threading.Thread):
    """Publishes numbers, and notes those of which the cluster has said that it has them."""

    def __init__(self, servers: str) -> None:
        super().__init__()
        self.accepted: list[int] = []
        self.refused: list[str] = []
        self._producer = Producer({"bootstrap.servers": servers, "enable.idempotence": True, "log_level": 0})
        self._over = threading.Event()

    def run(self) -> None:
        number = 0
        while not self._over.wait(PAUSE_SECONDS):
            key = f"k-{number % KEYS}"
            headers = {"ce_id": str(uuid4()), "ce_source": "settled", "ce_type": "Asked", "ce_specversion": "1.0"}

            def note(error: KafkaError | None, _message: Message, number: int = number) -> None:
                self.refused.append(str(error)) if error else self.accepted.append(number)

            value = json.dumps({"key": key, "number": number})
            self._producer.produce(
                "asked", value, key, number % PARTITIONS, headers=list(headers.items()), on_delivery=note
            )
            self._producer.poll(0)
            number += 1
        assert self._producer.flush(120) == 0

    def end(self) -> None:
        """Publish no more, and wait until it is known of all of them."""
        self._over.set()
        self.join()


def committed(servers: str, topic: str) -> list[tuple[int, int, str]]:
    """Number, count (0 in questions) and key of every committed record up to the end, by partition and offset."""
    # Open transactions counted: whoever took the end of the others would not wait for what they may commit.
    with consumer(servers, "read_uncommitted") as looking:
        ends = {each: looking.get_watermark_offsets(At(topic, each), timeout=20)[1] for each in range(PARTITIONS)}
    found: dict[int, list[tuple[int, int, str]]] = {partition: [] for partition in ends}
    reached = dict.fromkeys(ends, 0)
    with consumer(servers, "read_committed") as reading:
        reading.assign([At(topic, partition, OFFSET_BEGINNING) for partition in ends])
        while any(reached[partition] < end for partition, end in ends.items()):
            message = reading.poll(60)
            assert message is not None, f"what is committed ends at {reached}, and not at {ends}"
            partition, offset, error = message.partition() or 0, message.offset() or 0, message.error()
            reached[partition] = max(reached[partition], offset + (error is None))
            if error is None:
                value = json.loads(message.value() or b"")
                found[partition].append((value["number"], value.get("count", 0), value["key"]))
    return [each for partition in found.values() for each in partition]


@contextmanager
def consumer(servers: str, isolation: str) -> Iterator[Consumer]:
    """Reads what it is assigned."""
    settings = {"bootstrap.servers": servers, "group.id": f"settled-{uuid4()}", "isolation.level": isolation}
    reading = Consumer({**settings, "enable.auto.commit": False, "enable.partition.eof": True, "log_level": 0})
    try:
        yield reading
    finally:
        reading.close()


@contextmanager
def machines(folder: Path, cluster: Cluster, session: str, *names: str) -> Iterator[list[Path]]:
    """Each of them ``mainstem run --workers 2``, with copies of its own; gives the files with their process ids."""
    (folder / "answers.py").write_text(SERVICE)
    path = os.pathsep.join([str(folder), str(ROOT / "src")])
    # A worker that was stopped is to come back, and to find that it has been replaced.
    quiet = {"MAINSTEM_SESSION_TIMEOUT_SECONDS": session, "MAINSTEM_HUNG_SECONDS": "0", "PYTHONPATH": path}
    running: list[subprocess.Popen[bytes]] = []
    pids = [folder / f"{name}.pids" for name in names]
    try:
        for each in pids:
            url = f"kafka://{cluster.address}?state_folder={each.with_suffix('.state')}"
            command = ["run", "answers:answering", "--dev", "--workers", "2", "--pid-file", str(each), "--broker", url]
            with each.with_suffix(".log").open("wb") as log:
                command = [sys.executable, "-m", "mainstem.ops", *command]
                running.append(subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **quiet}))
            wait_until(lambda each=each: len(workers(each)) == 2, "two workers")  # type: ignore[misc]
        yield pids
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(60)


def workers(pids: Path) -> list[int]:
    """The process ids of a machine's workers."""
    return [int(line) for line in pids.read_text().split()[1:]] if pids.exists() else []


def answered(servers: str, publisher: Publisher) -> bool:
    """Whether everything that had been accepted when this was asked has an answer; not while nobody can say."""
    asked = set(publisher.accepted)
    try:
        return asked <= {number for number, _, _ in committed(servers, "answered")}
    except KafkaException:  # a partition has no leader just now
        return False


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("session", ["1", "3"])
def test_every_accepted_event_has_exactly_one_answer(session: str, tmp_path: Path, start_cluster: Clusters) -> None:
    """Workers are killed, or stopped until others have answered, and brokers are killed; counts go on without a gap."""
    cluster = start_cluster({}, nodes=3)
    servers = cluster.address
    with machines(tmp_path, cluster, session, "one", "two") as pids:
        publisher = Publisher(servers)
        wait_until(
            lambda: "answered" in Producer({"bootstrap.servers": servers}).list_topics(timeout=20).topics, "topics"
        )
        publisher.start()

        def settle() -> None:
            wait_until(lambda: answered(servers, publisher), "answers", within_seconds=120, every_seconds=1)

        try:
            for turn in range(ROUNDS):
                machine = pids[turn % 2]
                settle()
                wait_until(lambda machine=machine: len(workers(machine)) == 2, "two workers")  # type: ignore[misc]
                first, second = workers(machine)
                os.kill(first, signal.SIGKILL)
                settle()
                os.kill(second, signal.SIGSTOP)
                settle()
                os.kill(second, signal.SIGCONT)
                settle()
                node = cluster.nodes[turn % 3]
                node.kill()
                settle()
                node.start()
                cluster.wait()
        finally:
            publisher.end()
        settle()
        asked, answers = committed(servers, "asked"), committed(servers, "answered")
    assert publisher.refused == []
    assert Counter(number for number, _, _ in asked) == Counter(publisher.accepted)
    assert Counter(number for number, _, _ in answers) == Counter(publisher.accepted)
    for key in {key for _, _, key in asked}:
        counts = [count for _, count, of in answers if of == key]
        assert counts == list(range(1, len(counts) + 1)), key
        order = [number for number, _, of in answers if of == key]
        assert order == [number for number, _, of in asked if of == key], key
