"""Facts, store changes and positions of one commit: gathered in memory, encoded, then written in one go."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from mainstem.broker import Change, Record, TopicPartition
from mainstem.broker.sqlite.admin import Catalogue, Topic, Topics
from mainstem.broker.sqlite.layout import Piece, pieces
from mainstem.database import OFFSET_BITS, Connection, Database, Query, Write, write_rows
from mainstem.errors import CommitRefused, Fenced, RecordTooLarge

_END = Query[tuple[int]](
    f"select max(floor, coalesce((select last + 1 from log where id >= ?1 << {OFFSET_BITS}"
    f" and id < (?1 + 1) << {OFFSET_BITS} order by id desc limit 1), 0)) from partition where number = ?1"
)
_APPEND = Query[tuple[()]]("insert into log(id, last, oldest, newest, body) values(?, ?, ?, ?, ?)")
_EPOCH = Query[tuple[int]]("select epoch from task where grp = ? and task = ?")
_POSITION = Query[tuple[()]](
    "insert into position(grp, task, partition, next) values(?, ?, ?, ?)"
    " on conflict do update set next = excluded.next where next <> excluded.next"
)


class Owner(NamedTuple):
    """The owner of a task, as of its take-over."""

    group: int
    name: str
    task: int
    epoch: int
    inputs: frozenset[TopicPartition]


def append_pieces(write: Write, number: int, encoded: Iterable[Piece]) -> int:
    """Append rows to a partition; returns the offset of the first record."""
    row = _END.one(write.connection, number)
    assert row is not None
    offset = first = row[0]
    rows = []
    for piece in encoded:
        last = offset + piece.records - 1
        rows.append((number << OFFSET_BITS | offset, last, piece.oldest, piece.newest, piece.body))
        offset = last + 1
    _APPEND.run_many(write.connection, rows)
    write.touched.add(number)
    return first


def check_epoch(connection: Connection, owner: Owner) -> None:
    """Refuse a commit of an owner that another one has replaced."""
    row = _EPOCH.one(connection, owner.group, owner.task)
    if row is None or row[0] != owner.epoch:
        raise Fenced(
            "Another owner has taken the task over",
            where=f"group {owner.name}, task {owner.task}, epoch {owner.epoch}",
            why=f"the task is at epoch {row[0]} now" if row else "the group has been deleted",
            remedy="drop the pending work; the new owner goes on from the last commit",
        )


class Facts:
    """Records to be appended, by partition; encoded once, before the lock is taken."""

    __slots__ = ("_encoded", "_records", "size_bytes")

    def __init__(self) -> None:
        """Begin with none."""
        self._records: dict[TopicPartition, list[Record]] = {}
        self._encoded: list[tuple[TopicPartition, list[Piece]]] = []
        self.size_bytes = 0

    def add(self, at: TopicPartition, records: Sequence[Record], size_bytes: int) -> int:
        """Add records; returns how many of this partition stand before them."""
        waiting = self._records.setdefault(at, [])
        before = len(waiting)
        waiting.extend(records)
        self.size_bytes += size_bytes
        return before

    def encode(self) -> None:
        """Turn the records into rows."""
        self._encoded = [(at, pieces(records)) for at, records in self._records.items() if records]

    def append(self, write: Write, topics: Topics) -> dict[TopicPartition, int]:
        """Append the rows; returns the first offset in each partition."""
        return {at: append_pieces(write, topics.find(at), encoded) for at, encoded in self._encoded}


def measure(records: Sequence[Record], topic: Topic, at: TopicPartition) -> int:
    """The size of the records in bytes, headers left out. Raises :class:`~mainstem.errors.RecordTooLarge`."""
    sizes = [len(record.value or b"") + len(record.key or b"") for record in records]
    largest = max(sizes, default=0)
    if largest > topic.spec.record_bytes_max:
        raise RecordTooLarge(
            f"A record of {largest} bytes is larger than the topic takes",
            where=f"{at.topic}/{at.partition}",
            why=f"the topic takes records of up to {topic.spec.record_bytes_max} bytes",
            remedy="store the content elsewhere and publish where it is; or declare a larger one with "
            "service.topic(..., record_bytes_max=...), and run mainstem topics apply",
        )
    return sum(sizes)


class SqliteTransaction:
    """A transaction of a task; without an owner, one for publishing."""

    def __init__(
        self,
        database: Database,
        catalogue: Catalogue,
        owner: Owner | None = None,
        *,
        submitting: Callable[[], None] | None = None,
    ) -> None:
        """Begin with nothing. ``submitting`` is called when its place in the log is about to be taken."""
        self._database = database
        self._catalogue = catalogue
        self._owner = owner
        self._submitting = submitting
        self._facts = Facts()
        self._changes: dict[str, dict[bytes, bytes | None]] = {}
        self._positions: dict[TopicPartition, int] = {}
        self._over = False

    @property
    def size_bytes(self) -> int:
        """About how much it writes."""
        return self._facts.size_bytes + 100 * sum(map(len, self._changes.values()))

    def append(self, at: TopicPartition, records: Sequence[Record]) -> None:
        """Add records to the end of a partition, in this order."""
        topic = find_topic(self._database, self._catalogue, at)
        self._facts.add(at, records, measure(records, topic, at))

    def changes(self, changes: Iterable[Change]) -> None:
        """Add store changes of the owner's task."""
        if self._owner is None:
            raise CommitRefused(
                "A transaction without an owner has no store",
                why="store changes belong to a task, and this transaction was begun on the log",
                remedy="begin it on the ownership of the task",
            )
        stores = self._changes
        for store, key, value in changes:
            try:
                stores[store][key] = value
            except KeyError:
                stores[store] = {key: value}

    def positions(self, positions: Mapping[TopicPartition, int]) -> None:
        """Name the next offset for every input of the owner's task."""
        self._positions.update(positions)

    async def commit(self) -> Mapping[TopicPartition, int]:
        """Make it durable; returns the offset of the first record appended to each partition."""
        if self._over:
            raise CommitRefused("A transaction commits once", why="it has been committed or aborted already")
        self._over = True
        if self._owner is None:
            if self._positions:
                raise CommitRefused("A transaction without an owner has no positions")
            self._database.require_space()
        else:
            self._require_all_inputs(self._owner)
        if self._submitting is not None:
            self._submitting()
        return await self._database.writer.submit(self)

    def abort(self) -> None:
        """Drop it; one whose commit has begun may be on its way into the file, and stays whole."""
        if self._over:
            return
        self._over = True
        self._facts = Facts()
        self._changes = {}

    def prepare(self) -> None:
        """Encode the records and sort the changes, so that neighbouring keys are written one after the other."""
        self._facts.encode()
        self._sorted = [(store, sorted(changes.items())) for store, changes in self._changes.items()]

    def run(self, write: Write) -> Mapping[TopicPartition, int]:
        """Write everything."""
        connection, owner = write.connection, self._owner
        topics = self._catalogue.read(connection)
        if owner is None:
            return self._facts.append(write, topics)
        check_epoch(connection, owner)
        first = self._facts.append(write, topics)
        for store, changes in self._sorted:
            write_rows(connection, owner.group, owner.task, store, changes)
        moved = [(owner.group, owner.task, topics.find(at), offset) for at, offset in self._positions.items()]
        _POSITION.run_many(connection, moved)
        return first

    def _require_all_inputs(self, owner: Owner) -> None:
        if (missing := owner.inputs - self._positions.keys()) or len(self._positions) > len(owner.inputs):
            wrong = missing or self._positions.keys() - owner.inputs
            raise CommitRefused(
                "A commit names a position for every input of its task, and for no other",
                where=f"group {owner.name}, task {owner.task}: {sorted(wrong)}",
                why="a position that is left out would be lost when the task moves",
            )


def find_topic(database: Database, catalogue: Catalogue, at: TopicPartition) -> Topic:
    """The topic as it was last seen; looked up again when it was not there."""
    topic = catalogue.known.by_name.get(at.topic)
    if topic is None or at.partition >= len(topic.partitions):
        with database.reading() as connection:
            topics = catalogue.read(connection)
        topics.find(at)
        topic = topics.by_name[at.topic]
    return topic
