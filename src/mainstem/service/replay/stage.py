"""The broker of a replay: events come from the recording, and what is written goes to a broker of its own."""

from collections.abc import Mapping, Sequence

from mainstem.broker import Admin, CopyProgress, Group, Log, Reader, Record, TopicPartition, Transaction
from mainstem.service.brokers import Backend
from mainstem.service.replay.recording import Recording
from mainstem.state import Rows


class StageLog:
    """Reads what was recorded, and writes beside it."""

    def __init__(self, recording: Recording, scratch: Backend) -> None:
        self._recording = recording
        self._scratch = scratch

    async def append(self, at: TopicPartition, records: Sequence[Record]) -> int:
        """Append beside the recording."""
        return await self._scratch.log.append(at, records)

    def transaction(self) -> Transaction:
        """Append beside the recording."""
        return self._scratch.log.transaction()

    def reader(self, positions: Mapping[TopicPartition, int]) -> Reader:
        """A reader of the recording."""
        return self._recording.reader(positions)

    async def bounds(self, at: TopicPartition) -> tuple[int, int]:
        """Where a replay begins, wherever the group would."""
        span = self._recording.spans.get(at)
        return await self._scratch.log.bounds(at) if span is None else (span.start, span.start)

    async def offset_at(self, at: TopicPartition, timestamp_ms: int) -> int:
        """The first offset with this timestamp or a later one, beside the recording."""
        return await self._scratch.log.offset_at(at, timestamp_ms)


class Stage:
    """A broker for one replay. ``scratch`` is open, and stays open."""

    def __init__(self, recording: Recording, scratch: Backend, name: str) -> None:
        """Groups, positions, stores and topics are those of ``scratch``."""
        self.name = name
        self.log: Log = StageLog(recording, scratch)
        self.group: Group = scratch.group
        self.admin: Admin = scratch.admin
        self._scratch = scratch

    async def open(self) -> None:
        """It is open."""

    async def close(self) -> None:
        """Whoever has opened the scratch broker closes it."""

    def rows(self, group: str, task: int) -> Rows:
        """The committed rows of a task of the replay."""
        return self._scratch.rows(group, task)

    def copies(self) -> Sequence[CopyProgress]:
        """Nothing is copied."""
        return ()

    async def snapshot(self, group: str, task: int) -> Rows:
        """The committed rows of a task of the replay."""
        return await self._scratch.snapshot(group, task)
