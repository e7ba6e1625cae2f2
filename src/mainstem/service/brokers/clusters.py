"""Kafka, and beside it the rows of stores on this machine: the broker knows bytes in a changelog, state knows rows."""

from pathlib import Path
from typing import Final

from mainstem.broker.kafka import KafkaBroker, KafkaOptions
from mainstem.clock import Clock
from mainstem.identifiers import Identifiers
from mainstem.state import Changelog, FoldedRows, Replica, ReplicaFolder, Rows

TOMBSTONE_SECONDS: Final = 86_400
"""Kafka's default: compaction keeps a deletion for so long."""


class OnKafka(KafkaBroker):
    """Reads its stores in the copies on this machine."""

    def __init__(self, servers: str, options: KafkaOptions, clock: Clock, identifiers: Identifiers) -> None:
        """Nothing is opened yet."""
        folder = ReplicaFolder(Path(options.state_folder), clock, oldest_seconds=TOMBSTONE_SECONDS / 2)
        self._copies = _Copies(folder, identifiers)
        super().__init__(servers, clock=clock, identifiers=identifiers, options=options, copies=self._copies)

    def rows(self, group: str, task: int) -> Rows:
        """The committed rows of a task that this process owns."""
        return self._copies.rows(group, task)

    async def snapshot(self, group: str, task: int) -> Rows:
        """The committed rows of a task, put together from its changelog."""
        return FoldedRows([change async for change in self.changes(group, task)])


class _Copies:
    """The local copies that are open, by group and task: those of owners, and those of standbys, which nobody reads."""

    def __init__(self, folder: ReplicaFolder, identifiers: Identifiers) -> None:
        self._folder = folder
        self._identifiers = identifiers
        self._open: dict[tuple[str, int], Replica] = {}
        self._standing: dict[tuple[str, int], Replica] = {}

    def identity(self) -> str:
        return self._folder.identity(self._identifiers.new)

    def open(self, group: str, task: int, topic_id: str, start: int, end: int) -> Replica:
        changelog = Changelog(topic_id, start, end)
        before = self._open.pop((group, task), None)
        if before is not None:
            before.close()
        replica = self._standing.pop((group, task), None)
        if replica is None or replica.closed or not self._folder.keep(replica, changelog):
            replica = self._folder.open(group, task, changelog)
        self._open[group, task] = replica
        return replica

    def standby(self, group: str, task: int, topic_id: str, start: int, end: int) -> Replica | None:
        replica = self._folder.standby(group, task, Changelog(topic_id, start, end))
        if replica is not None:
            self._standing[group, task] = replica
        return replica

    def rows(self, group: str, task: int) -> Rows:
        return self._open[group, task]
