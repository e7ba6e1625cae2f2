"""The broker in four roles: log, group, transaction, admin. Bytes only; at most eight verbs each.

A backend is right when it passes ``mainstem.testing.conformance``. What a verb becomes on Apache Kafka stands in
``docs/decisions/0002-broker-roles.md``.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol, TypeAlias

from msgspec import Struct

from mainstem.broker.record import Batch, Record, TopicPartition

Delivery: TypeAlias = Literal["exactly_once", "at_least_once"]


class TopicSpec(Struct, frozen=True):
    """What a topic is created with.

    Records leave when they are older than ``retention_ms``, or when younger ones of their partition have
    ``retention_bytes`` as they are stored, whichever comes first. They leave in pieces, so somewhat more is kept. None
    for both keeps records for ever. ``compact`` keeps the last record of each key. Retention never passes the position
    of a live group without an alarm first.
    """

    name: str
    partitions: int = 8
    retention_ms: int | None = None
    compact: bool = False
    record_bytes_max: int = 1_000_000
    retention_bytes: int | None = None


class TopicDescription(Struct, frozen=True):
    """A topic as it is: its specification, its id (another one after delete and create) and the bounds by partition."""

    spec: TopicSpec
    topic_id: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    @property
    def bounds(self) -> dict[TopicPartition, tuple[int, int]]:
        """Where each partition begins and ends."""
        bounds = enumerate(zip(self.starts, self.ends, strict=True))
        return {TopicPartition(self.spec.name, number): each for number, each in bounds}


def lag_behind(ends: Mapping[str, TopicDescription], at: TopicPartition, position: int) -> int:
    """How far a position is behind the end of its partition; 0 where the topic has gone, for its task will say so."""
    return max(0, ends[at.topic].ends[at.partition] - position) if at.topic in ends else 0


def inbox_of(group: str) -> str:
    """The topic whose partitions are the tasks of a group; commands to it arrive there."""
    return f"{group}.inbox"


def inputs_of(group: str, task: int, tasks: int, inputs: Mapping[str, int]) -> list[TopicPartition]:
    """What a task reads: its partition of the inbox first, then every partition p of an input with p mod tasks = task.

    ``inputs`` are the partition counts by topic. The rule is the same for every broker, and never changes: it decides
    which task keeps which key's memory.
    """
    read = [
        TopicPartition(topic, partition)
        for topic, partitions in sorted(inputs.items())
        for partition in range(task, partitions, tasks)
    ]
    return [TopicPartition(inbox_of(group), task), *read]


class GroupSpec(Struct, frozen=True):
    """What a group is joined with.

    Partition n of its inbox topic is task n. ``service`` owns the group and its stores. The number of tasks and the
    partition counts of ``inputs`` are recorded by the first join, and another number is refused afterwards. An owner
    that drains has ``grace_seconds`` to finish what it has begun. Where stores are copied to the machines that run
    tasks, ``standbys`` further machines keep a copy of each task that is ready to be used.

    ``delivery`` "at_least_once" allows the broker to do without transactions: see :attr:`Ownership.remembers`. Where
    the group did remember before, the rows of ``forgettable`` stores may be left behind; the joining is refused while
    other stores of the runtime, whose names begin with ``$``, have rows.
    """

    name: str
    service: str
    tasks: int
    inputs: Mapping[str, int] = {}
    session_timeout_seconds: float = 10.0
    grace_seconds: float = 30.0
    delivery: Delivery = "exactly_once"
    forgettable: frozenset[str] = frozenset()
    standbys: int = 0

    @property
    def inbox(self) -> str:
        """The topic whose partitions are the tasks."""
        return inbox_of(self.name)

    @property
    def hand_over_seconds(self) -> float:
        """How long a take-over waits for an owner that drains: its grace, and a session timeout for its last commit."""
        return self.grace_seconds + self.session_timeout_seconds


class GroupDescription(Struct, frozen=True):
    """A group as it is: tasks, their owners (member ids, or None) and epochs, and the committed positions.

    ``places`` is in how many places its members keep copies of stores, each ready to stand by for the others; 0 where
    no member stands by for anybody.
    """

    name: str
    service: str
    tasks: int
    inputs: Mapping[str, int]
    members: tuple[str, ...]
    owners: tuple[str | None, ...]
    epochs: tuple[int, ...]
    positions: Mapping[TopicPartition, int]
    places: int = 0


class Preparation(Struct, frozen=True):
    """A topic, or the settings that a broker keeps of a group: what is to be done about it, if anything.

    ``differs`` has each property as it is and as it should be. Those in ``by_hand`` this broker's client cannot alter;
    what is refused nobody should. ``why`` and ``remedy`` speak of these.
    """

    action: Literal["create", "alter", "by-hand", "keep", "refuse", "delete"]
    kind: Literal["topic", "group"]
    name: str
    wanted: Mapping[str, object]
    differs: Mapping[str, tuple[object, object]] = {}
    by_hand: tuple[str, ...] = ()
    why: str = ""
    remedy: str = ""


class CopyProgress(Struct, frozen=True):
    """A local copy of a task's stores that is not in use: it is being restored for that, or stands by.

    ``position`` is the offset of the changelog up to which it has come, and ``end`` where the changelog ends, as far as
    is known.
    """

    group: str
    task: int
    state: Literal["restoring", "standby"]
    position: int
    end: int


class Change(NamedTuple):
    """A store's new value for a key, or its deletion (None)."""

    store: str
    key: bytes
    value: bytes | None


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
