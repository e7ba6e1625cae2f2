"""The broker in four roles: log, group, transaction, admin. Bytes only; at most eight verbs each.

A backend is right when it passes ``mainstem.testing.conformance``. What a verb becomes on Apache Kafka stands in
``docs/decisions/0002-broker-roles.md``.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from mainstem.broker.descriptions import (
    Change,
    GroupDescription,
    GroupSpec,
    Preparation,
    TopicDescription,
    TopicSpec,
)
from mainstem.broker.record import Batch, Record, TopicPartition


class Transaction(Protocol):
    """Facts, store changes and positions that commit together, or not at all.

    Nothing is visible to any reader before :meth:`commit` has returned, and nothing is kept after :meth:`abort`.
    """

    def append(self, at: TopicPartition, records: Sequence[Record]) -> None:
        """Add records to the end of a partition, in this order."""
        ...

    def changes(self, changes: Iterable[Change]) -> None:
        """Add store changes of the owner's task. A transaction without an owner takes none."""
        ...

    def positions(self, positions: Mapping[TopicPartition, int]) -> None:
        """Name the next offset to be handled for every input of the owner's task, changed or not."""
        ...

    async def commit(self) -> Mapping[TopicPartition, int]:
        """Make it durable; returns the offset of the first record appended to each partition.

        Raises :class:`~mainstem.errors.Fenced` when another owner has the task, and
        :class:`~mainstem.errors.CommitRefused` (or a subclass of BrokerError or DatabaseError that says more) when
        nothing of it happened (:class:`~mainstem.errors.DiskFull`: it may be tried again when there is room, by a new
        owner); :class:`~mainstem.errors.CommitUnknown` when that cannot be known: then fence, and
        read positions and stores again.
        """
        ...

    def abort(self) -> None:
        """Drop it; for a committed one this does nothing."""
        ...


class Reader(Protocol):
    """Reads committed records of the given partitions, each in offset order, fair between them."""

    def take(self) -> Batch | None:
        """The next batch that is there, or None; never waits.

        One without records says that reading has passed offsets that nobody is given, such as the marker of a
        transaction: only ``next_offset`` has moved.

        Raises :class:`~mainstem.errors.OffsetOutOfRange` for a position that retention has passed or that lies
        beyond the end, and :class:`~mainstem.errors.UnknownTopic` when the topic has gone.
        """
        ...

    async def wait(self) -> None:
        """Return when :meth:`take` may have something; it may also return early."""
        ...

    def seek(self, at: TopicPartition, offset: int) -> None:
        """Read on from ``offset``."""
        ...

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Stop taking from these partitions."""
        ...

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Take from these partitions again."""
        ...

    def lag(self) -> Mapping[TopicPartition, int]:
        """How many offsets lie between the next one to take and the end, as far as is known without waiting.

        A partition of which nothing has been heard yet may be left out.
        """
        ...

    def close(self) -> None:
        """Stop reading; a waiter returns."""
        ...


class Log(Protocol):
    """Partitions of records: append, and read from any offset."""

    async def append(self, at: TopicPartition, records: Sequence[Record]) -> int:
        """Append outside any task; returns the first offset once the records survive a power loss."""
        ...

    def transaction(self) -> Transaction:
        """Several appends at once, outside any task."""
        ...

    def reader(self, positions: Mapping[TopicPartition, int]) -> Reader:
        """A reader that starts at these offsets."""
        ...

    async def bounds(self, at: TopicPartition) -> tuple[int, int]:
        """The first offset still there, and the offset the next record will get."""
        ...

    async def offset_at(self, at: TopicPartition, timestamp_ms: int) -> int:
        """The first offset whose record has this timestamp or a later one; the end when there is none."""
        ...


class Ownership(Protocol):
    """A task that this process owns: every older owner has been fenced."""

    task: int
    epoch: int
    positions: Mapping[TopicPartition, int]
    """The committed positions as of the take-over; an input without one has never been committed."""
    remembers: bool
    """Whether a transaction is one, and takes store changes. False only where the group is joined at least once.

    Then the facts of a commit are durable before its positions move, and a commit that fails may leave facts behind,
    which the next owner writes once more. A member that the group has expelled moves no positions.
    """

    def transaction(self) -> Transaction:
        """A transaction of this task; its commit is refused with ``Fenced`` once another owner has taken over."""
        ...


class Membership(Protocol):
    """This process's place in a group, kept alive while its event loop runs."""

    member: str

    async def assignment(self) -> frozenset[int]:
        """Wait until the assigned tasks differ from what was last returned; at first, until they are known at all.

        So a member for whom no task is left is told so.

        An assignment is a hint; ownership comes from :meth:`take_over`. Raises
        :class:`~mainstem.errors.MembershipLost` when the group has expelled this member.
        """
        ...

    async def confirm(self, task: int) -> bool:
        """Ask the group itself whether the task is assigned to this member now."""
        ...

    async def take_over(self, task: int) -> Ownership:
        """Fence every older owner, then read the positions.

        Waits for an owner that is draining, for the ``hand_over_seconds`` of the group at most.
        """
        ...

    async def release(self, task: int) -> None:
        """Give a drained task back, so that the next owner need not wait."""
        ...

    async def decline(self, task: int) -> bool:
        """Give back a task that this member cannot run: it is assigned to another one. False when there is none.

        Members that decline a task one after the other pass it round, so that each of them is asked.
        """
        ...

    async def leave(self) -> None:
        """Give everything back and leave the group."""
        ...


class Group(Protocol):
    """Membership in groups; membership in a group is membership in its inbox topic, and nothing else."""

    async def join(
        self, spec: GroupSpec, *, static_id: str | None = None, pinned: frozenset[int] | None = None
    ) -> Membership:
        """Join; creates the group and its inbox topic the first time.

        A ``static_id`` keeps its tasks over a restart within the session timeout. ``pinned`` takes exactly these
        tasks and leaves the others to the other members.
        """
        ...


class Admin(Protocol):
    """Topics and groups as they are."""

    async def prepare(
        self, topics: Sequence[TopicSpec], groups: Sequence[GroupSpec], *, dry: bool = False
    ) -> Sequence[Preparation]:
        """Create and alter these topics, and what a first join of these groups would create; ``dry`` looks only.

        Returns what there was to do, by name. When anything is refused, nothing is done.
        """
        ...

    async def create(self, spec: TopicSpec) -> None:
        """Create a topic; one that exists with the same specification is left alone, another is refused."""
        ...

    async def alter(self, spec: TopicSpec) -> None:
        """Change retention, compaction or limits; the number of partitions never changes."""
        ...

    async def delete(self, topic: str) -> None:
        """Delete a topic and its records."""
        ...

    async def topics(self, names: Iterable[str] | None = None) -> Mapping[str, TopicDescription]:
        """Describe these topics, or all; a name that is not there is left out."""
        ...

    async def groups(self, names: Iterable[str] | None = None) -> Mapping[str, GroupDescription]:
        """Describe these groups, or all; a name that is not there is left out."""
        ...

    async def reset(self, group: str, positions: Mapping[TopicPartition, int]) -> None:
        """Move positions of a group that has no live member, and drop the completed sets that belong to them.

        With a live member it is refused before anybody is fenced, also where no position is named.
        """
        ...

    async def delete_group(self, group: str) -> None:
        """Forget a group that has no live member: positions, stores and inbox."""
        ...


class Broker(Protocol):
    """A broker in its four roles. ``name`` is what logs say, without secrets."""

    name: str
    log: Log
    group: Group
    admin: Admin

    async def open(self) -> None:
        """Connect; raises what stands in the way."""
        ...

    async def close(self) -> None:
        """Finish what was submitted, then close."""
        ...
