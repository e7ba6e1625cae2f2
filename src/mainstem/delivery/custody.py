"""A task of a group that nobody runs, held for as long as it takes to mend something in its store."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec import Struct

from mainstem.broker import (
    Broker,
    Change,
    GroupDescription,
    GroupSpec,
    Ownership,
    TopicPartition,
    inbox_of,
    inputs_of,
)
from mainstem.delivery.context import Effects


class Custody(Struct, frozen=True):
    """A task that was taken over; its positions stay as they are."""

    ownership: Ownership
    positions: dict[TopicPartition, int]

    async def commit(self, effects: Effects) -> None:
        """Commit facts and store changes. Raises Fenced when somebody has started the group meanwhile."""
        transaction = self.ownership.transaction()
        for at, record in effects.facts:
            transaction.append(at, [record])
        transaction.changes(Change(store, key, value) for (store, key), value in effects.writes.items())
        transaction.positions(self.positions)
        await transaction.commit()


@asynccontextmanager
async def in_custody(broker: Broker, group: GroupDescription, task: int) -> AsyncIterator[Custody | None]:
    """Take a task over, which fences whoever had it, and give it back; None for one that has never committed."""
    spec = _spec(group, task)
    if spec is None:
        yield None
        return
    membership = await broker.group.join(spec, pinned=frozenset({task}))
    try:
        while task not in await membership.assignment():
            pass
        ownership = await membership.take_over(task)
        topics = {*spec.inputs, spec.inbox}
        yield Custody(ownership, {at: offset for at, offset in ownership.positions.items() if at.topic in topics})
        await membership.release(task)
    finally:
        await membership.leave()


def _spec(group: GroupDescription, task: int) -> GroupSpec | None:
    """The group with those inputs in which the task has positions."""
    if TopicPartition(inbox_of(group.name), task) not in group.positions:
        return None
    inputs = {
        topic: count
        for topic, count in group.inputs.items()
        if all(at in group.positions for at in inputs_of(group.name, task, group.tasks, {topic: count}))
    }
    return GroupSpec(group.name, group.service, group.tasks, inputs)
