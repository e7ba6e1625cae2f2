"""What decides the tests on Kafka can fail: a defect planted in the cluster is named by the rule that it breaks."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import msgspec
import pytest
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, ConsumerGroupTopicPartitions, Producer
from confluent_kafka import TopicPartition as At
from confluent_kafka.admin import AdminClient

from tests.crash.crew import ROOT, wait_until
from tests.kafka.failures.crew import KafkaCrew
from tests.kafka.failures.test_local_folder import change

STEPS = 80
PARTITIONS = 3


@dataclass(frozen=True)
class Written:
    """A record as a producer wrote it."""

    key: bytes
    value: bytes | None
    headers: list[tuple[str, bytes]]


Damage = Callable[[list[Written]], list[Written]]


class Hand:
    """Changes what is in a cluster behind everybody's back, and puts it right again."""

    def __init__(self, crew: KafkaCrew) -> None:
        self.crew = crew
        self._servers = crew.cluster.address
        self._admin = AdminClient({"bootstrap.servers": self._servers})
        self._producer = Producer({"bootstrap.servers": self._servers, "enable.idempotence": True})
        self._sound: dict[str, dict[int, list[Written]]] = {}

    @contextmanager
    def damaged(self, topic: str, damage: Damage) -> Iterator[None]:
        """A partition with several records has others as long as the block lasts."""
        partition, sound = self.fullest(topic)
        self.rewrite(At(topic, partition), damage(sound))
        yield
        self.rewrite(At(topic, partition), sound)

    def fullest(self, topic: str) -> tuple[int, list[Written]]:
        """The partition with the most records, and what it holds while nobody has a hand in it."""
        if topic not in self._sound:
            self._sound[topic] = self._read(topic)
        partition = max(self._sound[topic], key=lambda number: len(self._sound[topic][number]))
        return partition, self._sound[topic][partition]

    def rewrite(self, at: At, records: list[Written]) -> None:
        """Put these in the place of all that there is; whoever has read everything stands at the end again."""
        self._admin.delete_records([At(at.topic, at.partition, OFFSET_END)])[at].result()
        self.append(at, *records)
        self.crew.log.forget(at.topic)
        self.move(at, 0)

    def append(self, at: At, *records: Written) -> None:
        """Add records."""
        for each in records:
            self._producer.produce(at.topic, each.value, each.key, at.partition, headers=list(each.headers))
        assert self._producer.flush(20) == 0

    def move(self, at: At, distance: int) -> None:
        """Let every group that reads the partition stand so far from its end."""
        end = self.crew.log.ends()[at.topic, at.partition] + distance
        for group, inputs in self.crew.log.inputs().items():
            if at.topic in inputs:
                asked = ConsumerGroupTopicPartitions(group, [At(at.topic, at.partition, end)])
                self._admin.alter_consumer_group_offsets([asked])[group].result()

    def _read(self, topic: str) -> dict[int, list[Written]]:
        partitions = range(PARTITIONS)
        consumer = Consumer(
            {"bootstrap.servers": self._servers, "group.id": "hand", "isolation.level": "read_committed",
             "enable.auto.commit": False, "enable.partition.eof": True, "fetch.wait.max.ms": 10}
        )  # fmt: skip
        consumer.assign([At(topic, number, OFFSET_BEGINNING) for number in partitions])
        found: dict[int, list[Written]] = {number: [] for number in partitions}
        left = len(found)
        try:
            while left:
                message = consumer.poll(20)
                assert message is not None, "the cluster does not answer"
                if message.error() is not None:
                    left -= 1
                    continue
                headers = cast("list[tuple[str, bytes]]", message.headers() or [])
                found[message.partition() or 0].append(Written(message.key() or b"", message.value(), headers))
        finally:
            consumer.close()
        return found

    def broken(self) -> set[str]:
        """The rules that do not hold now."""
        return {rule for rule, found in self.crew.check().differences.items() if found}


@pytest.fixture(scope="module")
def hand(session_crew: KafkaCrew) -> Iterator[Hand]:
    """A cluster in which a small workload without any crash has been done."""
    crew = session_crew
    crew.up("worker", "checked")
    crew.run("producer", "producer-checked", "--count", str(STEPS), "--pause", "0.002", "--keys", "key-1,key-2,key-3")
    report = crew.finish()
    assert report.sound, str(report)
    assert report.counts["acknowledged"] == report.counts["in the log"] == report.counts["records in tallied"] >= STEPS
    hand = Hand(crew)
    yield hand
    assert hand.broken() == set(), "not everything was put right again"


def lost(records: list[Written]) -> list[Written]:
    """One in the middle is gone."""
    place = len(records) // 2
    return records[:place] + records[place + 1 :]


def all_lost(_: list[Written]) -> list[Written]:
    """Nothing is left."""
    return []


def doubled(records: list[Written]) -> list[Written]:
    """One is there a second time, at the end."""
    return [*records, records[len(records) // 2]]


def reordered(records: list[Written]) -> list[Written]:
    """The last two of a key, of one producer where that is told, stand in each other's place."""
    second = len(records) - 1
    first = next(place for place in reversed(range(second)) if _author(records[place]) == _author(records[second]))
    changed = [*records]
    changed[first], changed[second] = records[second], records[first]
    return changed


def _author(record: Written) -> tuple[bytes, object]:
    return record.key, json.loads(record.value or b"{}").get("producer")


ACKNOWLEDGED = "an acknowledged event is in the log, once"
ORDERED = "a producer's events keep their order"
COUNTED = "a step is counted once, in its order"
MENDED = "a step that failed is handled once, and nothing of its key overtakes it"
FIRED = "a timer fires once, for its last setting"
CHECKED = "a firing that failed is handled once, in its order"
STAMPED = "an output is handled once, in its order"
STAGED = "what stands before a checkpoint is done once"
DAMAGES: list[tuple[str, Damage, str]] = [
    ("steps", lost, ACKNOWLEDGED),
    ("steps", doubled, ACKNOWLEDGED),
    ("steps", doubled, "an event is in the log once"),
    ("steps", reordered, ORDERED),
    ("tallied", lost, COUNTED),
    ("tallied", doubled, COUNTED),
    ("tallied", reordered, COUNTED),
    ("mended", lost, MENDED),
    ("mended", doubled, MENDED),
    ("mended", reordered, MENDED),
    ("quiet", all_lost, FIRED),
    ("quiet", doubled, FIRED),
    ("checked", all_lost, CHECKED),
    ("checked", doubled, CHECKED),
    ("stamped", lost, STAMPED),
    ("stamped", reordered, STAMPED),
    ("stages", lost, STAGED),
    ("stages", doubled, STAGED),
]


def test_what_was_rewritten_as_it_was_is_sound(hand: Hand) -> None:
    """It is the damage that is found, not that somebody had a hand in the cluster."""
    with hand.damaged("steps", lambda records: records):
        assert hand.broken() == set()


@pytest.mark.parametrize(
    ("topic", "damage", "rule"), DAMAGES, ids=[f"{topic} {damage.__name__}: {rule}" for topic, damage, rule in DAMAGES]
)
def test_it_sees_what_is_wrong(hand: Hand, topic: str, damage: Damage, rule: str) -> None:
    """A record that is lost, doubled or out of its order breaks the rule that speaks of it."""
    with hand.damaged(topic, damage):
        assert rule in hand.broken()


def test_it_sees_a_position_that_stands_elsewhere(hand: Hand) -> None:
    """A group that would read something again, or leave something out, is found."""
    at = At("tallied", 0)
    hand.move(at, -1)
    assert hand.broken() == {"a position is where the log ends"}
    hand.move(at, 0)
    assert hand.broken() == set()


def test_it_sees_what_a_store_has_counted_twice(hand: Hand) -> None:
    """A row of a store that does not follow from the log is found, and so is one that nobody has cleared away."""
    changelog = "ledger.changelog"
    hand.broken()
    task, key, value = next(
        (number, name, row)
        for (_, number), rows in hand.crew.log._of(changelog).items()
        for name, row, _ in rows
        if name.startswith(b"tallies\0") and row is not None
    )
    at = At(changelog, task)
    sound = hand.crew.log._changelogs("ledger")[task]["tallies", key.partition(b"\0")[2]]
    tally = msgspec.msgpack.decode(value[3:])
    hand.append(at, Written(key, sound[:3] + msgspec.msgpack.encode({**tally, "count": tally["count"] + 1}), []))
    assert hand.broken() == {COUNTED}
    hand.append(at, Written(key, sound, []), Written(b"$parking\0k", b"\1\0\0\0", []))
    assert hand.broken() == {"nothing is left over"}
    hand.append(at, Written(b"$parking\0k", None, []))
    assert hand.broken() == set()


def test_it_sees_a_local_copy_that_lies(hand: Hand) -> None:
    """A copy with a row that its changelog does not have is found, whatever the changelog says itself."""
    path = hand.crew.copies / "ledger.0.db"
    kept = shutil.copy(path, path.with_suffix(".kept"))
    change(path, "delete from entry where key in (select key from entry limit 1)")
    assert hand.broken() == {"a local copy is what the changelog says"}
    shutil.move(kept, path)
    assert hand.broken() == set()


def test_what_was_aborted_does_not_count(hand: Hand) -> None:
    """A record of a transaction that was never committed is no double."""
    partition, (record, *_) = hand.fullest("steps")
    producer = Producer({"bootstrap.servers": hand.crew.cluster.address, "transactional.id": "aborts"})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce("steps", record.value, record.key, partition, headers=list(record.headers))
    producer.flush(20)
    ends = hand.crew.log.ends
    before = ends()["steps", partition]
    producer.abort_transaction(20)
    wait_until(lambda: ends()["steps", partition] == before + 1, "the marker of its end")
    hand.move(At("steps", partition), 0)
    assert hand.broken() == set()


def test_it_imports_nothing_of_the_library() -> None:
    """Neither the reader of a cluster nor the checker has the library loaded, and a kill test adds nothing to them."""
    program = (
        "import tests.kafka.failures.cluster_log, sys; print([n for n in sys.modules if n.startswith('mainstem')])"
    )
    shown = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
