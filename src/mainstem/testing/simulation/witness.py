"""Sees who takes what over, and how every commit ends, and notes it in the trace."""

from collections.abc import Iterable, Mapping, Sequence

from mainstem.broker import Change, Group, GroupSpec, Membership, Ownership, Record, TopicPartition, Transaction
from mainstem.errors import MainstemError
from mainstem.testing.simulation.trace import Trace


class WitnessedGroup:
    """The group role of a broker."""

    def __init__(self, inner: Group, trace: Trace) -> None:
        self._inner = inner
        self._trace = trace

    async def join(
        self, spec: GroupSpec, *, static_id: str | None = None, pinned: frozenset[int] | None = None
    ) -> Membership:
        """Join."""
        membership = await self._inner.join(spec, static_id=static_id, pinned=pinned)
        self._trace.note("joins", spec.name)
        return _Membership(membership, spec.name, self._trace)


class _Membership:
    def __init__(self, inner: Membership, group: str, trace: Trace) -> None:
        self.member = inner.member
        self._inner = inner
        self._group = group
        self._trace = trace

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
        return _Ownership(ownership, name, self._trace)

    async def release(self, task: int) -> None:
        self._trace.note("releases", f"{self._group} task {task}")
        await self._inner.release(task)

    async def leave(self) -> None:
        self._trace.note("leaves", self._group)
        await self._inner.leave()


class _Ownership:
    def __init__(self, inner: Ownership, name: str, trace: Trace) -> None:
        self.task = inner.task
        self.epoch = inner.epoch
        self.positions = inner.positions
        self._inner = inner
        self._name = name
        self._trace = trace

    def transaction(self) -> Transaction:
        return _Transaction(self._inner.transaction(), self._name, self._trace)


class _Transaction:
    def __init__(self, inner: Transaction, name: str, trace: Trace) -> None:
        self._inner = inner
        self._name = name
        self._trace = trace

    def append(self, at: TopicPartition, records: Sequence[Record]) -> None:
        self._inner.append(at, records)

    def changes(self, changes: Iterable[Change]) -> None:
        self._inner.changes(changes)

    def positions(self, positions: Mapping[TopicPartition, int]) -> None:
        self._inner.positions(positions)

    async def commit(self) -> Mapping[TopicPartition, int]:
        self._trace.note("commits", self._name)
        try:
            appended = await self._inner.commit()
        except MainstemError as error:
            self._trace.note("commit failed", f"{self._name}: {error.what}")
            raise
        facts = ", ".join(f"{at.topic}[{at.partition}] from {offset}" for at, offset in appended.items())
        self._trace.note("has committed", f"{self._name}: {facts or 'no facts'}")
        return appended

    def abort(self) -> None:
        self._inner.abort()
