"""Topics and groups as plain data: as they should be, as they are, and what is to be done about the difference."""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, TypeAlias

from msgspec import Struct

from mainstem.broker.record import TopicPartition

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


def changelog_of(group: str) -> str:
    """The topic that holds the stores of a group, on a broker that keeps them in topics."""
    return f"{group}.changelog"


GROUPS_TOPIC: Final = "mainstem.groups"
"""Where it is recorded what groups were made for, on a broker that keeps that in a topic."""


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


class ForeignGroup(Struct, frozen=True):
    """A consumer group that is none of Mainstem's, as far as it reads what was asked about.

    ``positions`` are those that it has committed there. ``topics`` are those where it has, or where a member of it
    reads now.
    """

    name: str
    members: tuple[str, ...]
    topics: frozenset[str]
    positions: Mapping[TopicPartition, int]


class ForeignGroups(Struct, frozen=True):
    """The groups that are none of Mainstem's, by name; ``unasked`` says why some may be missing, if so, in words."""

    groups: tuple[ForeignGroup, ...] = ()
    unasked: tuple[str, ...] = ()


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
