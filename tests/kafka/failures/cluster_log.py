"""The cluster as anybody could read it, with a plain client: nothing here comes from the library.

A group ``g`` has the inbox ``g.inbox`` and the compacted topic ``g.changelog``, whose partition n holds the rows of
task n: the key is the store's name, a zero byte and the row's key. In the store ``$owner`` stands who has it. What
a group was made for stands in ``mainstem.groups``.
"""

import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import apsw
from confluent_kafka import OFFSET_BEGINNING, Consumer, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from tests.crash.checker import GROUPS
from tests.crash.logfile import LogRecord, stored_value

PATIENCE_SECONDS = 30
ELECTING = {
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
}
At = tuple[str, int]
Rows = dict[tuple[str, bytes], bytes]


class Unreadable(AssertionError):
    """A partition cannot be read to its end."""


class ClusterLog:
    """What is committed in a cluster. Everything is read once; each look reads what has come since."""

    def __init__(self, servers: str, groups: AbstractSet[str] = GROUPS, only: str = "") -> None:
        """Of a cluster that others use as well, ``only`` topics whose names begin so are read."""
        # Not by an administrative client: it cannot ask for positions any more once a coordinator was away.
        self._groups = {
            group: Consumer({"bootstrap.servers": servers, "group.id": group, "log_level": 0}) for group in groups
        }
        self._only = only
        self._admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
        self._consumer = Consumer(
            {
                "bootstrap.servers": servers,
                "group.id": "checker",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 20,
                "log_level": 0,
            }
        )
        self._read: dict[At, int] = {}
        self._records: dict[At, list[LogRecord]] = defaultdict(list)
        self._raw: dict[At, list[tuple[bytes, bytes | None, int]]] = defaultdict(list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for client in (self._consumer, *self._groups.values()):
            client.close()

    # -- what the checker asks

    def records(self, topic: str) -> Iterator[LogRecord]:
        """All committed records of a topic, each partition in the order of its offsets."""
        self._look()
        for at in sorted(self._read):
            if at[0] == topic:
                yield from self._records[at]

    def ends(self) -> dict[At, int]:
        """The offset behind the last record of every partition, open transactions included."""
        return self._offsets(IsolationLevel.READ_UNCOMMITTED)

    def positions(self) -> dict[tuple[str, str, int], int]:
        """The committed positions, by group, topic and partition."""
        inputs = self.inputs()
        found = {}
        for group, client in self._groups.items():
            asked = [TopicPartition(*at) for at in self._read if at[0] in inputs.get(group, ())]
            for at in client.committed(asked, PATIENCE_SECONDS) if asked else ():
                if at.offset >= 0:
                    found[group, at.topic, at.partition] = at.offset
        return found

    def inputs(self) -> dict[str, list[str]]:
        """The topics that each group reads, its inbox among them."""
        groups = {record.key: record.value for record in self.records("mainstem.groups")}
        return {name: [*made["inputs"], f"{name}.inbox"] for name, made in groups.items() if made}

    def entries(self, group: str, store: str) -> list[tuple[str, Any]]:
        """Keys and values of a store, in all tasks of its group."""
        self._look()
        return [
            (key.decode(), stored_value(row))
            for rows in self._changelogs(group).values()
            for (name, key), row in rows.items()
            if name == store
        ]

    def stores(self) -> list[tuple[str, str, int]]:
        """Group, name and number of keys of every store."""
        self._look()
        found: dict[tuple[str, str], int] = defaultdict(int)
        for group in self._groups:
            for rows in self._changelogs(group).values():
                for store, _ in rows:
                    found[group, store] += store != "$owner"
        return [(*name, count) for name, count in sorted(found.items())]

    def leaders(self) -> list[int]:
        """The number of the leading node of each partition, those of positions and transactions included."""
        topics = self._admin.list_topics(timeout=PATIENCE_SECONDS).topics.values()
        return [partition.leader for topic in topics for partition in topic.partitions.values()]

    # -- local copies

    def copies_that_lie(self, folder: Path) -> list[str]:
        """Which of the files in the folder of local copies differ from what their changelog says at their mark."""
        self._look()
        found = []
        for path in sorted(folder.glob("*.db")):
            group, task = _named(path)
            mark, rows = read_copy(path)
            changelog = self._raw[f"{group}.changelog", task]
            told = _folded([change for change in changelog if change[2] < mark])
            if rows != told:
                wrong = [key for key in rows.keys() | told.keys() if rows.get(key) != told.get(key)]
                found.append(f"{path.name} at {mark}: {len(wrong)} rows differ, such as {sorted(wrong)[:3]}")
        return found

    def behind(self, folder: Path) -> list[str]:
        """The tasks of which no local copy has come to the last record of its changelog."""
        self._look()
        marks: dict[tuple[str, int], int] = defaultdict(int)
        for path in folder.glob("*.db"):
            marks[_named(path)] = max(marks[_named(path)], read_copy(path)[0])
        return [
            f"{group}.{task}"
            for group in self._groups
            for (_, task), changes in self._of(f"{group}.changelog").items()
            if changes and marks[group, task] <= changes[-1][2]
        ]

    def tombstones(self, group: str, store: str) -> list[bytes]:
        """The keys of a store whose deletion the changelogs still tell."""
        self._look()
        prefix = store.encode() + b"\0"
        return [
            key
            for changes in self._of(f"{group}.changelog").values()
            for key, value, _ in changes
            if value is None and key.startswith(prefix)
        ]

    def forget(self, topic: str) -> None:
        """Read a topic from its beginning again: it has been compacted, or made anew."""
        for at in [at for at in self._read if at[0] == topic]:
            self._consumer.incremental_unassign([TopicPartition(*at)])
            for kept in (self._read, self._raw, self._records):
                kept.pop(at, None)

    # -- reading

    def _changelogs(self, group: str) -> dict[int, Rows]:
        return {task: _folded(changes) for (_, task), changes in self._of(f"{group}.changelog").items()}

    def _of(self, topic: str) -> dict[At, list[tuple[bytes, bytes | None, int]]]:
        return {at: changes for at, changes in self._raw.items() if at[0] == topic}

    def _offsets(self, isolation: IsolationLevel) -> dict[At, int]:
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return self._offsets_now(isolation)
            except KafkaException as raised:
                # A leader that has just been elected may not know it yet.
                if raised.args[0].code() not in ELECTING or time.monotonic() > until:
                    raise

    def _offsets_now(self, isolation: IsolationLevel) -> dict[At, int]:
        # Also makes the client look where the leaders are now.
        topics = self._admin.list_topics(timeout=PATIENCE_SECONDS).topics
        wanted = {
            TopicPartition(name, number): OffsetSpec.latest()
            for name, topic in topics.items()
            if name.startswith(self._only) and not name.startswith("__")
            for number in topic.partitions
        }
        if not wanted:
            return {}
        asked = self._admin.list_offsets(wanted, isolation_level=isolation, request_timeout=PATIENCE_SECONDS)
        return {(at.topic, at.partition): each.result(PATIENCE_SECONDS).offset for at, each in asked.items()}

    def _look(self) -> None:
        """Read everything up to the end of what is committed now."""
        ends = self._offsets(IsolationLevel.READ_COMMITTED)
        new = [at for at in ends if at not in self._read]
        if new:
            self._consumer.incremental_assign([TopicPartition(*at, OFFSET_BEGINNING) for at in new])
            self._read.update(dict.fromkeys(new, 0))
        while left := [at for at, end in ends.items() if self._read[at] < end]:
            messages = self._consumer.consume(1_000, 1.0) if len(left) > 10 else []
            if not messages:
                first = self._consumer.poll(PATIENCE_SECONDS)
                if first is None:
                    raise Unreadable(f"nothing comes of {[(at, self._read[at], ends[at]) for at in left]}")
                messages = [first, *self._consumer.consume(1_000, 0)]
            for message in messages:
                self._take(message)

    def _take(self, message: Any) -> None:
        at = (message.topic(), message.partition())
        error = message.error()
        if error is not None:
            # The end of a partition, behind its markers; whatever else it is shows in that nothing comes.
            self._read[at] = max(self._read.get(at, 0), message.offset() or 0)
            return
        offset = message.offset()
        self._read[at] = offset + 1
        if at[0].endswith(".changelog"):
            self._raw[at].append((message.key(), message.value(), offset))
            return
        value = None
        if message.value() is not None:
            with suppress(ValueError):
                value = json.loads(message.value())
        key = (message.key() or b"").decode(errors="replace")
        self._records[at].append(LogRecord(*at, offset, key, value, dict(message.headers() or ())))


def _folded(changes: list[tuple[bytes, bytes | None, int]]) -> Rows:
    rows: Rows = {}
    for name, value, _ in changes:
        store, _, key = name.partition(b"\0")
        if value is None:
            rows.pop((store.decode(), key), None)
        else:
            rows[store.decode(), key] = value
    return rows


def _named(path: Path) -> tuple[str, int]:
    """Group and task; behind them may stand when a second copy was begun, while the first was locked."""
    parts = path.stem.split(".")
    if parts[-2].isdigit():
        parts.pop()
    return ".".join(parts[:-1]), int(parts[-1])


def read_copy(path: Path) -> tuple[int, Mapping[tuple[str, bytes], bytes]]:
    """The mark of a local copy, and its rows by store and key."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        connection.set_busy_timeout(5_000)
        marks = list(connection.execute("select next from mark"))
        rows = connection.execute(
            "select store.name, entry.key, entry.value from entry join store on store.number = entry.store"
        )
        return (marks[0][0] if marks else 0), {(store, key): value for store, key, value in rows}
    finally:
        connection.close()
