"""Sees who takes what over and how every commit ends, notes it in the trace, and lets commits end badly."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mainstem.broker import Change, Group, GroupSpec, Membership, Ownership, Record, TopicPartition, Transaction
from mainstem.errors import CommitRefused, CommitUnknown, MainstemError
from mainstem.testing.faults import LoseAnswer, Refuse
from mainstem.testing.simulation.havoc import Havoc
from mainstem.testing.simulation.machine import Machine
from mainstem.testing.simulation.trace import Trace


@dataclass(slots=True, frozen=True)
class Seen:
    """What the witnesses of one worker tell, and what they ask."""

    trace: Trace
    havoc: Havoc
    machine: Machine
    memberships: "list[WitnessedMembership]" = field(default_factory=list)
    """Of its present life."""


class WitnessedGroup:
    """The group role of a broker."""

    def __init__(self, inner: Group, seen: Seen) -> None:
        self._inner = inner
        self._seen = seen

    async def join(
        self, spec: GroupSpec, *, static_id: str | None = None, pinned: frozenset[int] | None = None
    ) -> Membership:
        """Join."""
        self._seen.machine.require_broker()
        inner = await self._inner.join(spec, static_id=static_id, pinned=pinned)
        self._seen.trace.note("joins", spec.name)
        membership = WitnessedMembership(inner, spec.name, self._seen)
        self._seen.memberships.append(membership)
        return membership


class WitnessedMembership:
    """A worker's place in a group; there may be rumours of what is assigned to it."""

    def __init__(self, inner: Membership, group: str, seen: Seen) -> None:
        self.member = inner.member
        self.group = group
        self.assigned: frozenset[int] = frozenset()
        """What the group has assigned to it, as far as it knows."""
        self._inner = inner
        self._seen = seen
        self._rumours: asyncio.Queue[frozenset[int]] = asyncio.Queue()
        self._believed: set[int] = set()

    def hear(self, rumour: frozenset[int]) -> None:
        """Be told that these tasks are assigned to it as well; with none, that it was an error."""
        self._rumours.put_nowait(rumour)

    async def assignment(self) -> frozenset[int]:
        """What is assigned, or is said to be."""
        real = asyncio.ensure_future(self._inner.assignment())
        # Whoever asks may be cancelled in the moment in which the member is expelled.
        real.add_done_callback(lambda done: done.cancelled() or done.exception())
        rumour = asyncio.ensure_future(self._rumours.get())
        try:
            await asyncio.wait({real, rumour}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            told = rumour.result() if rumour.done() and not rumour.cancelled() else None
            rumour.cancel()
            if not real.done():
                real.cancel()
        if real.done() and not real.cancelled():
            self.assigned = real.result()
        assigned = self.assigned | (told or frozenset())
        self._believed = set(told or ())
        self._seen.trace.note("is assigned", f"{self.group}: {sorted(assigned)}")
        return assigned

    async def confirm(self, task: int) -> bool:
        """Ask the group; of a rumour it hears once that it is true."""
        self._seen.machine.require_broker()
        if task in self._believed:
            self._believed.remove(task)
            return True
        return await self._inner.confirm(task)

    async def take_over(self, task: int) -> Ownership:
        """Take a task over."""
        self._seen.machine.require_broker()
        ownership = await self._inner.take_over(task)
        name = f"{self.group} task {task} epoch {ownership.epoch}"
        self._seen.trace.note("takes over", name)
        return _Ownership(ownership, name, self._seen)

    async def release(self, task: int) -> None:
        """Give a task back."""
        self._seen.trace.note("releases", f"{self.group} task {task}")
        await self._inner.release(task)

    async def decline(self, task: int) -> bool:
        """Give back what cannot be run."""
        self._seen.trace.note("declines", f"{self.group} task {task}")
        return await self._inner.decline(task)

    async def leave(self) -> None:
        """Leave the group."""
        self._seen.trace.note("leaves", self.group)
        if self in self._seen.memberships:
            self._seen.memberships.remove(self)
        await self._inner.leave()


class _Ownership:
    def __init__(self, inner: Ownership, name: str, seen: Seen) -> None:
        self.task = inner.task
        self.epoch = inner.epoch
        self.positions = inner.positions
        self.remembers = inner.remembers
        self._inner = inner
        self._name = name
        self._seen = seen

    def transaction(self) -> Transaction:
        return _Transaction(self._inner.transaction(), self._name, self._seen)


class _Transaction:
    def __init__(self, inner: Transaction, name: str, seen: Seen) -> None:
        self._inner = inner
        self._name = name
        self._seen = seen

    def append(self, at: TopicPartition, records: Sequence[Record]) -> None:
        self._inner.append(at, records)

    def changes(self, changes: Iterable[Change]) -> None:
        self._inner.changes(changes)

    def positions(self, positions: Mapping[TopicPartition, int]) -> None:
        self._inner.positions(positions)

    async def commit(self) -> Mapping[TopicPartition, int]:
        self._seen.trace.note("commits", self._name)
        try:
            appended = await self._commit()
        except MainstemError as error:
            self._seen.trace.note("commit failed", f"{self._name}: {error.what}")
            raise
        places = [(at.topic, at.partition, offset) for at, offset in appended.items()]
        facts = ", ".join(f"{at.topic}[{at.partition}] from {offset}" for at, offset in appended.items())
        self._seen.trace.note("has committed", f"{self._name}: {facts or 'no facts'}", *places)
        return appended

    async def _commit(self) -> Mapping[TopicPartition, int]:
        if self._seen.machine.away:
            self._inner.abort()
        self._seen.machine.require_broker()
        act = self._seen.havoc.outcome()
        if act is not None:
            self._seen.trace.note("goes wrong", f"{self._name} {act}")
        if isinstance(act, Refuse):
            self._inner.abort()
            raise CommitRefused("refused by the simulation", where=self._name)
        if not isinstance(act, LoseAnswer):
            return await self._inner.commit()
        if act.happened:
            await self._inner.commit()
        else:
            self._inner.abort()
        raise CommitUnknown(f"the answer was lost; it has {'' if act.happened else 'not '}happened", where=self._name)

    def abort(self) -> None:
        self._inner.abort()
