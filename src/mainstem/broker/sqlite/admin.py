"""Topics and groups as they are: the catalogue that every role looks things up in, and the verbs that change it."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from msgspec.structs import replace

from mainstem.broker import (
    COMPLETED_STORE,
    GroupDescription,
    GroupSpec,
    Preparation,
    TopicDescription,
    TopicPartition,
    TopicSpec,
    completed_key,
    inbox_of,
    is_refused,
    preparation,
)
from mainstem.database import OFFSET_BITS, Connection, Database, Query, Step, Write, integers
from mainstem.errors import BrokerError, NotFound, TopicExists, UnknownTopic
from mainstem.identifiers import Identifiers


class Topic(NamedTuple):
    """A topic of the catalogue, with the numbers of its partitions."""

    number: int
    spec: TopicSpec
    topic_id: str
    partitions: tuple[int, ...]


_STAMP = Query[tuple[str]]("select value from stamp where name = 'topics'")
_SET_STAMP = Query[tuple[()]]("update stamp set value = ? where name = 'topics'")
_TOPICS = Query[tuple[int, str, str, int, int | None, int, int, int | None]](
    "select number, name, topic_id, partitions, retention_ms, compact, record_bytes_max, retention_bytes from topic"
)
_PARTITIONS = Query[tuple[int, int]](
    "select topic, number from partition where topic is not null order by topic, partition"
)
_ADD_TOPIC = Query[tuple[int]](
    "insert into topic(name, topic_id, partitions, retention_ms, compact, record_bytes_max, retention_bytes)"
    " values(?, ?, ?, ?, ?, ?, ?) returning number"
)
_ADD_PARTITION = Query[tuple[()]]("insert into partition(topic, partition) values(?, ?)")
_ALTER_TOPIC = Query[tuple[()]](
    "update topic set retention_ms = ?, compact = ?, record_bytes_max = ?, retention_bytes = ? where number = ?"
)
_DELETE_TOPIC = Query[tuple[()]]("delete from topic where number = ?")
_DROP_PARTITIONS = Query[tuple[()]]("update partition set topic = null where topic = ?")
_DROP_POSITIONS = Query[tuple[()]](
    "delete from position where partition in (select number from partition where topic = ?)"
)
_BOUNDS = Query[tuple[int, int, int]](
    f"select number, start, max(floor, coalesce((select last + 1 from log where id >= number << {OFFSET_BITS}"
    f" and id < (number + 1) << {OFFSET_BITS} order by id desc limit 1), 0))"
    " from partition where number in (select value from carray(?))"
)


class Topics(NamedTuple):
    """The topics of a file as of one moment, by name, and their partitions by number."""

    stamp: str
    by_name: Mapping[str, Topic]
    partitions: Mapping[int, TopicPartition]

    def find(self, at: TopicPartition) -> int:
        """The number of a partition. Raises :class:`~mainstem.errors.UnknownTopic`."""
        topic = self.by_name.get(at.topic)
        if topic is None or not 0 <= at.partition < len(topic.partitions):
            raise unknown_topic(at)
        return topic.partitions[at.partition]


class Catalogue:
    """The topics, kept in memory for as long as the stamp in the file says that they are the same.

    A stamp is an id that is used once; so what a transaction has read of its own, and rolled back, is never taken for
    what another one has committed. For any thread.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self.known = _NOTHING

    def read(self, connection: Connection) -> Topics:
        """The topics as ``connection`` sees them."""
        row = _STAMP.one(connection)
        stamp = row[0] if row else ""
        known = self.known
        if stamp != known.stamp:
            known = self.known = _load(connection, stamp)
        return known

    def expire(self) -> None:
        """Look again before the next answer."""
        self.known = _NOTHING


_NOTHING: Final = Topics("never", {}, {})


def _load(connection: Connection, stamp: str) -> Topics:
    numbers: dict[int, list[int]] = {}
    for topic, number in _PARTITIONS.all(connection):
        numbers.setdefault(topic, []).append(number)
    topics = {}
    for number, name, topic_id, partitions, retention_ms, compact, size, kept in _TOPICS.all(connection):
        spec = TopicSpec(name, partitions, retention_ms, bool(compact), size, kept)
        topics[name] = Topic(number, spec, topic_id, tuple(numbers.get(number, ())))
    named = {
        number: TopicPartition(name, index)
        for name, topic in topics.items()
        for index, number in enumerate(topic.partitions)
    }
    return Topics(stamp, topics, named)


def unknown_topic(at: TopicPartition) -> UnknownTopic:
    """There is no such topic, or it has no such partition."""
    return UnknownTopic(
        f"There is no partition {at.partition} of a topic {at.topic!r}",
        where=f"{at.topic}/{at.partition}",
        why="the topic has not been created, has been deleted, or has fewer partitions",
        remedy="mainstem topics list shows what is there; mainstem topics apply creates what a service declares",
    )


def bounds(connection: Connection, numbers: Iterable[int]) -> dict[int, tuple[int, int]]:
    """Start and end of each partition that is there."""
    wanted = list(numbers)
    return {number: (start, end) for number, start, end in _BOUNDS.all(connection, integers(wanted))} if wanted else {}


def create_topic(write: Write, spec: TopicSpec, identifiers: Identifiers) -> None:
    """Create a topic inside a write transaction; the caller knows that it is not there."""
    connection = write.connection
    row = _ADD_TOPIC.one(
        connection,
        spec.name,
        identifiers.new(),
        spec.partitions,
        spec.retention_ms,
        int(spec.compact),
        spec.record_bytes_max,
        spec.retention_bytes,
    )
    assert row is not None
    _ADD_PARTITION.run_many(connection, [(row[0], index) for index in range(spec.partitions)])
    _SET_STAMP.run(connection, identifiers.new())


_GROUPS = Query[tuple[int, str, str, int, str]]("select number, name, service, tasks, inputs from groups order by name")
_MEMBERS = Query[tuple[str]]("select member from member where grp = ? order by number")
_TASKS = Query[tuple[str | None, int]]("select owner, epoch from task where grp = ? order by task")
_POSITIONS = Query[tuple[int, int]]("select partition, next from position where grp = ?")
_SET_POSITION = Query[tuple[()]]("insert or replace into position(grp, task, partition, next) values(?, ?, ?, ?)")
_BUMP = Query[tuple[()]]("update task set epoch = epoch + 1, owner = null, draining = 0 where grp = ? and task = ?")
_DELETE_COMPLETED = Query[tuple[()]](
    "delete from entry where task = ? and key = ? and store = (select number from store where grp = ? and name = ?)"
)
_CLEAR_ALARMS = Query[tuple[()]]("delete from alarm where grp = ?")
_DELETE_GROUP = (
    Query[tuple[()]]("update store set grp = null where grp = ?"),
    Query[tuple[()]]("delete from position where grp = ?"),
    Query[tuple[()]]("delete from task where grp = ?"),
    Query[tuple[()]]("delete from member where grp = ?"),
    _CLEAR_ALARMS,
    Query[tuple[()]]("delete from groups where number = ?"),
)


class SqliteAdmin:
    """Topics and groups as they are."""

    def __init__(
        self, database: Database, catalogue: Catalogue, identifiers: Identifiers, is_alive: Callable[[str], bool]
    ) -> None:
        """``is_alive`` tells whether a member's process is there."""
        self._is_alive = is_alive
        self._database = database
        self._catalogue = catalogue
        self._identifiers = identifiers

    async def prepare(
        self, topics: Sequence[TopicSpec], groups: Sequence[GroupSpec], *, dry: bool = False
    ) -> Sequence[Preparation]:
        """Create and alter these topics, and the inboxes of these groups; ``dry`` looks only."""
        wanted = [*topics, *(TopicSpec(group.inbox, group.tasks) for group in groups)]
        there = await self.topics(spec.name for spec in wanted)
        found = {spec.name: there[spec.name].spec if spec.name in there else None for spec in wanted}
        prepared = {spec.name: preparation(spec, found[spec.name]) for spec in wanted}
        if not dry and not is_refused(prepared.values()):
            for spec in wanted:
                if prepared[spec.name].action == "create":
                    await self.create(spec)
                elif prepared[spec.name].action == "alter":
                    await self.alter(spec)
        return [prepared[name] for name in sorted(prepared)]

    async def create(self, spec: TopicSpec) -> None:
        """Create a topic; one that exists with the same specification is left alone, another is refused."""

        def create(write: Write) -> None:
            existing = self._catalogue.read(write.connection).by_name.get(spec.name)
            if existing is None:
                create_topic(write, spec, self._identifiers)
            elif existing.spec != spec:
                raise TopicExists(
                    f"The topic {spec.name!r} exists with other properties",
                    where=str(existing.spec),
                    why=f"it would now be created as {spec}",
                    remedy="mainstem topics plan shows the difference; all but the number of partitions can be altered",
                )

        await self._database.writer.submit(Step(create))

    async def alter(self, spec: TopicSpec) -> None:
        """Change retention, compaction or limits."""

        def alter(write: Write) -> None:
            topic = self._find(write.connection, spec.name)
            if topic.spec.partitions != spec.partitions:
                raise TopicExists(
                    f"The topic {spec.name!r} has {topic.spec.partitions} partitions, and keeps them",
                    why="with another number, keys would move to other partitions and lose their order",
                    remedy="create another topic and move the events there",
                )
            kept = (spec.retention_ms, int(spec.compact), spec.record_bytes_max, spec.retention_bytes)
            _ALTER_TOPIC.run(write.connection, *kept, topic.number)
            _SET_STAMP.run(write.connection, self._identifiers.new())

        await self._database.writer.submit(Step(alter))
        self._catalogue.expire()

    async def delete(self, topic: str) -> None:
        """Delete a topic; its rows go in slices, by maintenance."""
        await self._database.writer.submit(Step(lambda write: self._delete(write, topic)))

    async def topics(self, names: Iterable[str] | None = None) -> Mapping[str, TopicDescription]:
        """Describe these topics, or all."""
        wanted = None if names is None else set(names)
        with self._database.reading() as connection:
            topics = [
                topic
                for name, topic in sorted(self._catalogue.read(connection).by_name.items())
                if wanted is None or name in wanted
            ]
            known = bounds(connection, (number for topic in topics for number in topic.partitions))
        return {
            topic.spec.name: TopicDescription(
                topic.spec,
                topic.topic_id,
                tuple(known[number][0] for number in topic.partitions),
                tuple(known[number][1] for number in topic.partitions),
            )
            for topic in topics
        }

    async def groups(self, names: Iterable[str] | None = None) -> Mapping[str, GroupDescription]:
        """Describe these groups, or all."""
        wanted = None if names is None else set(names)
        with self._database.reading() as connection:
            return {
                name: self._describe(
                    connection,
                    number,
                    GroupDescription(name, service, tasks, json.loads(inputs), (), (), (), {}),
                )
                for number, name, service, tasks, inputs in _GROUPS.all(connection)
                if wanted is None or name in wanted
            }

    async def reset(self, group: str, positions: Mapping[TopicPartition, int]) -> None:
        """Move positions of a group without live members, and drop the completed sets that belong to them."""

        def reset(write: Write) -> None:
            connection = write.connection
            number, tasks, inbox = self._unattended(connection, group)
            topics = self._catalogue.read(connection)
            _CLEAR_ALARMS.run(connection, number)
            for at, offset in positions.items():
                partition = topics.find(at)
                task = at.partition if at.topic == inbox else at.partition % tasks
                _SET_POSITION.run(connection, number, task, partition, offset)
                _DELETE_COMPLETED.run(connection, task, completed_key(at), number, COMPLETED_STORE)
                _BUMP.run(connection, number, task)

        await self._database.writer.submit(Step(reset))

    async def delete_group(self, group: str) -> None:
        """Forget a group without live members: positions, stores and inbox; rows go in slices, by maintenance."""

        def delete(write: Write) -> None:
            number, _, inbox = self._unattended(write.connection, group)
            for statement in _DELETE_GROUP:
                statement.run(write.connection, number)
            self._delete(write, inbox)

        await self._database.writer.submit(Step(delete))

    def _delete(self, write: Write, name: str) -> None:
        topic = self._find(write.connection, name)
        for statement in (_DROP_POSITIONS, _DROP_PARTITIONS, _DELETE_TOPIC):
            statement.run(write.connection, topic.number)
        _SET_STAMP.run(write.connection, self._identifiers.new())
        write.touched.update(topic.partitions)

    def _find(self, connection: Connection, name: str) -> Topic:
        topic = self._catalogue.read(connection).by_name.get(name)
        if topic is None:
            raise unknown_topic(TopicPartition(name, 0))
        return topic

    def _describe(self, connection: Connection, number: int, group: GroupDescription) -> GroupDescription:
        owners = _TASKS.all(connection, number)
        names = self._catalogue.read(connection).partitions
        return replace(
            group,
            members=tuple(member for (member,) in _MEMBERS.all(connection, number)),
            owners=tuple(owner for owner, _ in owners),
            epochs=tuple(epoch for _, epoch in owners),
            positions={names[at]: offset for at, offset in _POSITIONS.all(connection, number) if at in names},
        )

    def _unattended(self, connection: Connection, group: str) -> tuple[int, int, str]:
        """Number, tasks and inbox of a group that has no live member."""
        found = [row for row in _GROUPS.all(connection) if row[1] == group]
        if not found:
            raise NotFound(f"There is no group {group!r}", remedy="mainstem groups list shows which there are")
        number, _, _, tasks, _ = found[0]
        if live := [member for (member,) in _MEMBERS.all(connection, number) if self._is_alive(member)]:
            raise BrokerError(
                f"The group {group!r} has live members",
                where=", ".join(live),
                why="they would go on from positions of their own",
                remedy="stop the processes of the group first",
            )
        return number, tasks, inbox_of(group)
