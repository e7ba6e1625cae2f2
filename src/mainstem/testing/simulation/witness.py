"""Sees who takes what over and how every commit ends, notes it in the trace, and lets commits end badly."""

from collections.abc import Iterable, Mapping, Sequence

from mainstem.broker import Change, Group, GroupSpec, Membership, Ownership, Record, TopicPartition, Transaction
from mainstem.errors import CommitRefused, CommitUnknown, MainstemError
from mainstem.testing.simulation.faults import LoseAnswer, Refuse
from mainstem.testing.simulation.havoc import Havoc
from mainstem.testing.simulation.trace import Trace


class WitnessedGroup:
    """The group role of a broker."""

    def __init__(self, inner: Group, trace: Trace, havoc: Havoc) -> None:
        self._inner = inner
        self._trace = trace
        self._havoc = havoc

    async def join(
        self, spec: GroupSpec, *, static_id: str | None = None, pinned: frozenset[int] | None = None
    ) -> Membership:
        """Join."""
        membership = await self._inner.join(spec, static_id=static_id, pinned=pinned)
        self._trace.note("joins", spec.name)
        return _Membership(membership, spec.name, self._trace, self._havoc)


class _Membership:
    def __init__(self, inner: Membership, group: str, trace: Trace, havoc: Havoc) -> None:
        self.member = inner.member
        self._inner = inner
        self._group = group
        self._trace = trace
        self._havoc = havoc

    async def assignment(self) -> frozenset[int]:
        assigned = await self._inner.assignment()
        self._trace.note("is assigned", f"{self._group}: {sorted(assigned)}")
        return assigned

    async def confirm(self, task: int) -> bool:
        return await self._inner.confirm(task)

    async def take_over(self, task: int) -> Ownership:
        ownership = await self._inner.take_over(task)
        name = f"{self._group} task {task} epoch {ownership.epoch}"
        self._trace.note("takes over", name)
        return _Ownership(ownership, name, self._trace, self._havoc)

    async def release(self, task: int) -> None:
        self._trace.note("releases", f"{self._group} task {task}")
        await self._inner.release(task)

    async def decline(self, task: int) -> bool:
        self._trace.note("declines", f"{self._group} task {task}")
        return await self._inner.decline(task)

    async def leave(self) -> None:
        self._trace.note("leaves", self._group)
        await self._inner.leave()


class _Ownership:
    def __init__(self, inner: Ownership, name: str, trace: Trace, havoc: Havoc) -> None:
        self.task = inner.task
        self.epoch = inner.epoch
        self.positions = inner.positions
        self.remembers = inner.remembers
        self._inner = inner
        self._name = name
        self._trace = trace
        self._havoc = havoc

    def transaction(self) -> Transaction:
        return _Transaction(self._inner.transaction(), self._name, self._trace, self._havoc)


class _Transaction:
    def __init__(self, inner: Transaction, name: str, trace: Trace, havoc: Havoc) -> None:
        self._inner = inner
        self._name = name
        self._trace = trace
        self._havoc = havoc

    def append(self, at: TopicPartition, records: Sequence[Record]) -> None:
        self._inner.append(at, records)

    def changes(self, changes: Iterable[Change]) -> None:
        self._inner.changes(changes)

    def positions(self, positions: Mapping[TopicPartition, int]) -> None:
        self._inner.positions(positions)

    async def commit(self) -> Mapping[TopicPartition, int]:
        self._trace.note("commits", self._name)
        try:
            appended = await self._commit()
        except MainstemError as error:
            self._trace.note("commit failed", f"{self._name}: {error.what}")
            raise
        facts = ", ".join(f"{at.topic}[{at.partition}] from {offset}" for at, offset in appended.items())
        self._trace.note("has committed", f"{self._name}: {facts or 'no facts'}")
        return appended

    async def _commit(self) -> Mapping[TopicPartition, int]:
        act = None if self._trace.closed else self._havoc.outcome()
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
