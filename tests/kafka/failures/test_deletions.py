"""The deletion of a group is several steps on a cluster: cut off between any two of them, it can be finished."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from mainstem.broker import Broker, Change, GroupSpec, Record, TopicPartition, TopicSpec
from mainstem.broker.kafka import KafkaBroker, KafkaOptions
from mainstem.broker.kafka.calls import Coordinators
from mainstem.broker.kafka.groups.registry import Registry
from mainstem.broker.kafka.producers import TransactionalProducer
from mainstem.broker.kafka.topics import TopicAdmin
from mainstem.errors import BrokerAway, StoreRefused
from mainstem.migration.mover import Copied, moving
from tests.kafka.failures.test_errors import require

Step = tuple[type[object], str, int]

STEPS: dict[str, Step] = {
    "before a task is fenced": (TransactionalProducer, "__init__", 1),
    "between two tasks": (TransactionalProducer, "__init__", 2),
    "before the positions are deleted": (Coordinators, "ask", 2),
    "before the inbox is deleted": (TopicAdmin, "delete", 0),
    "before the changelog is deleted": (TopicAdmin, "delete", 1),
    "before the record is struck out": (Registry, "forget", 0),
}


class CutOff(BaseException):
    """As if the process had been killed here."""


def cut_off(monkeypatch: pytest.MonkeyPatch, step: Step, *, error: BaseException | None = None) -> None:
    """Let a step not happen any more, after so many times."""
    owner, name, times = step
    real: Callable[..., object] = getattr(owner, name)
    left = times

    def instead(*arguments: object, **options: object) -> object:
        nonlocal left
        left -= 1
        if left < 0:
            raise error or CutOff
        return real(*arguments, **options)

    monkeypatch.setattr(owner, name, instead)


async def handled(broker: Broker, group: GroupSpec) -> dict[TopicPartition, int]:
    """Let the group take its tasks over, note the positions, remember something and commit the next ones."""
    found: dict[TopicPartition, int] = {}
    membership = await broker.group.join(group, pinned=frozenset(range(group.tasks)))
    for task in range(group.tasks):
        ownership = await membership.take_over(task)
        found |= ownership.positions
        transaction = ownership.transaction()
        transaction.changes([Change("seen", b"k", b"1")])
        inputs = {TopicPartition(topic, task): 1 for topic in group.inputs}
        transaction.positions({TopicPartition(group.inbox, task): 0, **inputs})
        await transaction.commit()
    await membership.leave()
    return found


@pytest.fixture
def connect(kafka: str, tmp_path: Path) -> Callable[[], Awaitable[KafkaBroker]]:
    """A broker as another process would have it."""

    async def connect() -> KafkaBroker:
        broker = KafkaBroker(kafka, options=KafkaOptions(state_folder=str(tmp_path)))
        await broker.open()
        return broker

    return connect


@pytest.mark.parametrize("step", STEPS)
async def test_a_deletion_that_is_cut_off_can_be_finished(
    connect: Callable[[], Awaitable[KafkaBroker]],
    unique: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    """Nobody joins what is left, and it is said how to go on; a second deletion ends it, and the group starts anew."""
    broker = await connect()
    topic, name = unique("orders"), unique("shop")
    group = GroupSpec(name, "shop", 2, {topic: 2}, session_timeout_seconds=3)
    await broker.admin.create(TopicSpec(topic, 2))
    for task in range(2):
        await broker.log.append(TopicPartition(topic, task), [Record(b"k", b"v", 1)])
    await handled(broker, group)
    with monkeypatch.context() as patched:
        cut_off(patched, STEPS[step])
        with pytest.raises(CutOff):
            await broker.admin.delete_group(name)
    await broker.close()

    broker = await connect()
    with pytest.raises(StoreRefused) as refused:
        await broker.group.join(group)
    require(refused.value, name, "mainstem groups delete", "--yes")
    assert name in await broker.admin.groups(), "who looks for it finds it"
    await broker.admin.delete_group(name)
    assert name not in await broker.admin.groups()
    assert [each async for each in broker.changes(name, 0)] == []
    anew = await handled(broker, group)
    assert not any(offset for at, offset in anew.items() if at.topic == topic), "it has kept a position"
    await broker.close()


async def test_positions_that_cannot_be_deleted_stop_a_deletion(
    connect: Callable[[], Awaitable[KafkaBroker]], unique: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group of the same name would go on from them without the memory that belongs to them."""
    broker = await connect()
    topic, name = unique("orders"), unique("shop")
    group = GroupSpec(name, "shop", 1, {topic: 1})
    await broker.admin.create(TopicSpec(topic, 1))
    await handled(broker, group)

    with monkeypatch.context() as patched:
        cut_off(patched, STEPS["before the positions are deleted"], error=BrokerAway("it does not answer"))
        with pytest.raises(BrokerAway):
            await broker.admin.delete_group(name)
    assert (await broker.admin.groups([name]))[name].positions, "and so is everything else"
    assert group.inbox in await broker.admin.topics([group.inbox])
    await broker.admin.delete_group(name)
    await broker.close()


async def test_a_mover_that_was_killed_at_its_end_keeps_nobody_from_moving(
    connect: Callable[[], Awaitable[KafkaBroker]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The group of movers is deleted after each move; what a killed one has left of it, the next one deletes."""
    broker = await connect()
    for step in STEPS.values():
        with monkeypatch.context() as patched, pytest.raises(CutOff):
            async with moving(broker, "m-1"):
                cut_off(patched, step if step[2] < 2 else (*step[:2], 1))
        async with moving(broker, "m-1") as mover:
            await mover.write(Copied("m-1", []))
    await broker.close()
