"""A task of a group that nobody runs, held for as long as it takes to mend something in its store."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from msgspec import Struct

from mainstem.broker import (
    Broker,
    CopyProgress,
    GroupDescription,
    GroupSpec,
    Ownership,
    TopicPartition,
    inbox_of,
    inputs_of,
)
from mainstem.delivery.commit import Point, commit, no_point
from mainstem.delivery.context import Effects
from mainstem.delivery.lanes import Progress
from mainstem.delivery.ledger import Ledger
from mainstem.state import Rows, TaskState


class Custody(Struct, frozen=True):
    """A task that was taken over; its positions, and what is completed beyond them, stay as they are."""

    ownership: Ownership
    ledger: Ledger

    @property
    def state(self) -> TaskState:
        """What the task remembers."""
        return self.ledger.state

    async def commit(self, effects: Effects, point: Point = no_point) -> None:
        """Commit facts and store changes. Raises Fenced when somebody has started the group meanwhile."""
        self.ledger.absorb(effects)
        await commit(self.ledger, self.ownership, point)


class Keeper(Broker, Protocol):
    """A broker that keeps the rows of stores as well."""

    def rows(self, group: str, task: int) -> Rows:
        """The committed rows of a task that this process owns."""

    def copies(self) -> Sequence[CopyProgress]:
        """The local copies in this process that are being restored, or stand by; none where nothing is copied."""

    async def snapshot(self, group: str, task: int) -> Rows:
        """The committed rows of a task, whoever owns it. They may be put together from the log: look seldom."""


@asynccontextmanager
async def in_custody(keeper: Keeper, group: GroupDescription, task: int) -> AsyncIterator[Custody | None]:
    """Take a task over, which fences whoever had it, and give it back; None for one that has never committed."""
    spec = _spec(group, task)
    if spec is None:
        yield None
        return
    membership = await keeper.group.join(spec, pinned=frozenset({task}))
    try:
        while task not in await membership.assignment():
            pass
        ownership = await membership.take_over(task)
        state = TaskState(keeper.rows(group.name, task))
        yield Custody(ownership, await _books(keeper, ownership, {*spec.inputs, spec.inbox}, state))
        await membership.release(task)
    finally:
        await membership.leave()


async def _books(broker: Broker, ownership: Ownership, topics: set[str], state: TaskState) -> Ledger:
    positions = {at: offset for at, offset in ownership.positions.items() if at.topic in topics}
    described = await broker.admin.topics(topics)
    ledger = Ledger(
        state,
        {at: Progress(offset) for at, offset in positions.items()},
        {name: each.topic_id for name, each in described.items()},
        commit_events=1,
        on_wake=_nobody_wakes,
    )
    ledger.restore(positions)
    return ledger


def _nobody_wakes(_due_ms: int) -> None:
    """Timers that are due ring when the group is started."""


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
