"""A local copy is brought to the end of its changelog before its task runs."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from mainstem.broker import Change, GroupSpec, Membership, Ownership, TopicPartition
from mainstem.broker.kafka import KafkaBroker
from mainstem.broker.kafka.copies import restore
from mainstem.clock import SystemClock
from mainstem.errors import CommitUnknown, DatabaseError
from mainstem.state import Changelog, Replica, ReplicaFolder
from tests.journeys.conditions import until

T = TypeVar("T")


class Copies:
    """Remembers the copy that was opened last."""

    last: Replica

    def __init__(self, folder: Path) -> None:
        self._folder = ReplicaFolder(folder, SystemClock(), oldest_seconds=60)

    def identity(self) -> str:
        return self._folder.identity(lambda: "copies")

    def open(self, group: str, task: int, topic_id: str, start: int, end: int) -> Replica:
        self.last = self._folder.open(group, task, Changelog(topic_id, start, end))
        return self.last

    def standby(self, group: str, task: int, topic_id: str, start: int, end: int) -> Replica | None:
        return self._folder.standby(group, task, Changelog(topic_id, start, end))


@pytest.fixture
def copies(tmp_path: Path) -> Copies:
    """A folder of copies."""
    return Copies(tmp_path)


@asynccontextmanager
async def member(kafka: str, copies: Copies, spec: GroupSpec) -> AsyncIterator[Membership]:
    """The only member of a group of one task, with copies."""
    broker = KafkaBroker(kafka, copies=copies)
    await broker.open()
    try:
        yield await broker.group.join(spec, pinned=frozenset({0}))
    finally:
        await broker.close()


async def count(ownership: Ownership, spec: GroupSpec, value: bytes) -> None:
    """Remember a value, and commit it."""
    transaction = ownership.transaction()
    transaction.changes([Change("counts", b"k", value)])
    transaction.positions({TopicPartition(spec.inbox, 0): 0})
    await transaction.commit()


def files(folder: Path) -> int:
    """How many copies there are."""
    return len(list(folder.glob("*.db")))


def counted(copies: Copies) -> dict[bytes, bytes]:
    """What the copy says."""
    return dict(copies.last.get_many("counts", [b"k"]))


async def test_a_restore_waits_for_what_is_still_being_committed(
    kafka: str,
    copies: Copies,
    unique: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its end counts open transactions, for one may be an older owner's last; that nothing moves is an alarm only."""
    monkeypatch.setattr(restore, "ALARM_SECONDS", 0.1)
    spec = GroupSpec(unique("billing"), unique("service"), 1, {})
    async with member(kafka, copies, spec) as membership:
        await count(await membership.take_over(0), spec, b"1")
        older = Producer({"bootstrap.servers": kafka, "transactional.id": unique("older"), "retry.backoff.ms": 1})
        older.init_transactions(20)
        older.begin_transaction()
        older.produce(f"{spec.name}.changelog", b"2", b"counts\0k", partition=0)
        older.flush(20)
        taking = asyncio.ensure_future(membership.take_over(0))
        await until(lambda: taking.done() or "makes no progress" in caplog.text)
        assert not taking.done(), "it has gone on without what is open"
        older.commit_transaction(20)
        await taking
        assert counted(copies) == {b"k": b"2"}


async def test_a_copy_that_does_not_follow_ends_its_owner(
    kafka: str, copies: Copies, tmp_path: Path, unique: Callable[[str], str]
) -> None:
    """The commit is in the cluster and counts as unknown; the next owner has what it has changed."""
    spec = GroupSpec(unique("billing"), unique("service"), 1, {})
    async with member(kafka, copies, spec) as membership:
        ownership = await membership.take_over(0)
        await count(ownership, spec, b"1")
        copies.last.apply({"counts": [(b"k", b"9")]}, copies.last.next, copies.last.next + 100, whole=True)
        copies.last.next -= 100
        with pytest.raises(CommitUnknown, match="local copy has not followed") as unknown:
            await count(ownership, spec, b"2")
        assert isinstance(unknown.value.__cause__, DatabaseError)
        await membership.take_over(0)
        assert counted(copies) == {b"k": b"2"}
    assert files(tmp_path) == 1, "it was not let go before it was taken over anew"


async def test_a_changelog_that_is_made_anew_between_two_owners(
    kafka: str, kafka_admin: AdminClient, copies: Copies, unique: Callable[[str], str]
) -> None:
    """Also the same process looks anew whose changelog it is, and believes nothing that it knew of the one before."""
    spec = GroupSpec(unique("billing"), unique("service"), 1, {})
    topic = f"{spec.name}.changelog"
    async with member(kafka, copies, spec) as membership:
        await count(await membership.take_over(0), spec, b"1")
        kafka_admin.delete_topics([topic])[topic].result()
        await until(lambda: topic not in kafka_admin.list_topics(timeout=20).topics)
        kafka_admin.create_topics([NewTopic(topic, 1, config={"cleanup.policy": "compact"})])[topic].result()
        await until(lambda: topic in kafka_admin.list_topics(timeout=20).topics)
        producer = Producer({"bootstrap.servers": kafka})
        for number in range(50):
            producer.produce(topic, b"7", b"counts\0%d" % number, partition=0)
        assert producer.flush(20) == 0
        await membership.take_over(0)
        assert dict(copies.last.get_many("counts", [b"k", b"0"])) == {b"0": b"7"}


class Held:
    """A call that some thread is in, until it is let go on."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.go_on = threading.Event()

    def before(self, call: Callable[..., T]) -> Callable[..., T]:
        """The same call, held when it begins."""

        def held(*arguments: object, **options: object) -> T:
            self.entered.set()
            assert self.go_on.wait(20)
            return call(*arguments, **options)

        return held


@pytest.mark.parametrize("where", ["open", "apply"])
async def test_a_task_that_is_taken_away_while_its_copy_is_restored(
    kafka: str,
    copies: Copies,
    tmp_path: Path,
    unique: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    """The copy is let go when the thread that uses it is through: not before, and not never."""
    spec = GroupSpec(unique("billing"), unique("service"), 1, {})
    async with member(kafka, copies, spec) as membership:
        await count(await membership.take_over(0), spec, b"1")
        await membership.release(0)
        producer = Producer({"bootstrap.servers": kafka})
        producer.produce(f"{spec.name}.changelog", b"2", b"counts\0k", partition=0)
        assert producer.flush(20) == 0
        held = Held()
        with monkeypatch.context() as patched:
            whose = Copies if where == "open" else Replica
            patched.setattr(whose, where, held.before(getattr(whose, where)))
            taking = asyncio.ensure_future(membership.take_over(0))
            await until(held.entered.is_set)
            taking.cancel()
            await asyncio.wait([taking], timeout=0.2)
            assert not taking.done(), "it did not wait for the thread"
            held.go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await taking
        await membership.take_over(0)
        assert counted(copies) == {b"k": b"2"}
    assert files(tmp_path) == 1, "the copy was still held when it was wanted again"
