"""What was recorded: read from the live log, and handed to tasks in the order of time, a step at a time."""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from mainstem.broker import Batch, HeaderRows, Log, Reader, TopicPartition
from mainstem.delivery import in_binary_mode
from mainstem.errors import BrokerError
from mainstem.events import CE_ID, identity

GRAIN_MS: Final = 1_000
"""Events of so much time are handled together; between two such steps, timers that have become due ring."""


class Span(NamedTuple):
    """A stretch of a partition: from the first offset on, up to before the second."""

    start: int
    end: int


class _Tape:
    """One partition: what has been read of it and not been handed out."""

    __slots__ = ("at", "batches", "end", "index", "position")

    def __init__(self, at: TopicPartition, span: Span) -> None:
        self.at = at
        self.position, self.end = span
        self.index = 0
        self.batches: deque[Batch] = deque()

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return not self.batches and self.position >= self.end

    @property
    def head_ms(self) -> int | None:
        """The time of the next record; None while it is not known."""
        return self.batches[0].timestamps[self.index] if self.batches else None

    def add(self, batch: Batch) -> None:
        """More has been read; what lies behind the end is left out."""
        self.position = batch.next_offset
        if len(batch) and batch.offsets[0] < self.end:
            self.batches.append(_part(batch, 0, sum(offset < self.end for offset in batch.offsets)))

    def cut(self, until_ms: int) -> Batch | None:
        """Take the records before a time, as far as they follow one another in one batch."""
        if not self.batches:
            return None
        batch, first = self.batches[0], self.index
        stop = first
        while stop < len(batch) and batch.timestamps[stop] < until_ms:
            stop += 1
        if stop == first:
            return None
        self.index = stop
        if stop == len(batch):
            self.batches.popleft()
            self.index = 0
        return _part(batch, first, stop)


def _part(batch: Batch, first: int, stop: int) -> Batch:
    if first == 0 and stop == len(batch):
        return batch
    chosen = slice(first, stop)
    at = TopicPartition(batch.topic, batch.partition)
    columns = batch.keys[chosen], batch.values[chosen], batch.timestamps[chosen]
    own = HeaderRows([batch.own_headers(index) for index in range(first, stop)])
    following = batch.offsets[stop - 1] + 1
    return Batch(at, batch.offsets[chosen], columns, common=batch.common, own=own, next_offset=following)


class RecordedReader:
    """What a task reads from: it is given what is handed out, and nothing else ever comes."""

    def __init__(self, recording: "Recording", positions: Mapping[TopicPartition, int]) -> None:
        self._recording = recording
        self._positions = positions
        self._ready: deque[Batch] = deque()
        self._last: dict[TopicPartition, Batch] = {}
        self._paused: set[TopicPartition] = set()
        self._news = asyncio.Event()

    @property
    def idle(self) -> bool:
        """Whether it has nothing to give: what is paused does not count."""
        return all(TopicPartition(each.topic, each.partition) in self._paused for each in self._ready)

    @property
    def stopped(self) -> bool:
        """Whether somebody has paused it, who will not go on by himself while no time passes."""
        return bool(self._paused)

    def reads(self, at: TopicPartition) -> bool:
        """Whether this partition is one of its own."""
        return at in self._positions

    def hand(self, batch: Batch) -> None:
        """Here is more."""
        self._ready.append(batch)
        self._news.set()

    def take(self) -> Batch | None:
        """The next batch that was handed out and is not paused."""
        for number, batch in enumerate(self._ready):
            if TopicPartition(batch.topic, batch.partition) not in self._paused:
                del self._ready[number]
                self._last[TopicPartition(batch.topic, batch.partition)] = batch
                return batch
        return None

    async def wait(self) -> None:
        """Return when there may be more."""
        self._news.clear()
        await self._news.wait()

    def seek(self, at: TopicPartition, offset: int) -> None:
        """Nobody goes back in a replay, but to what was taken last: it may be put back until it can be read."""
        last = self._last.get(at)
        if last is not None and last.offsets[0] == offset:
            self._ready.appendleft(last)
            return
        raise BrokerError(
            f"a recording cannot be read from another place: {at.topic}/{at.partition}@{offset}",
            why="it is handed out in the order of time, once",
            remedy="begin another replay there",
        )

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Stop taking from these partitions."""
        self._paused.update(partitions)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Take from these partitions again."""
        self._paused.difference_update(partitions)
        self._news.set()

    def lag(self) -> Mapping[TopicPartition, int]:
        """Nothing is known of what is still to come."""
        return {}

    def close(self) -> None:
        """Read no more."""
        self._recording.readers.remove(self)
        self._news.set()


class Recording:
    """Spans of partitions of a log. Nothing is written there."""

    def __init__(self, log: Log, spans: Mapping[TopicPartition, Span]) -> None:
        """Nothing is read yet."""
        self.spans = spans
        self.readers: list[RecordedReader] = []
        self.first_ms: int | None = None
        self.events = 0
        self.causes: dict[bytes, None] = {}
        """The ids of the events that were handed out."""
        self._tapes = {at: _Tape(at, span) for at, span in spans.items() if span.start < span.end}
        self._reader: Reader | None = None
        self._log = log

    def reader(self, positions: Mapping[TopicPartition, int]) -> RecordedReader:
        """A reader for a task."""
        found = RecordedReader(self, positions)
        self.readers.append(found)
        return found

    async def look_ahead(self) -> int | None:
        """Read until the next record of each partition is known; the time of the earliest, None at the end of all."""
        if self._reader is None:
            self._reader = self._log.reader({at: tape.position for at, tape in self._tapes.items()})
        while wanting := {at for at, tape in self._tapes.items() if not tape.batches and tape.position < tape.end}:
            batch = self._reader.take()
            if batch is not None:
                self._put(self._reader, batch)
            elif not any(self._reader.lag().get(at, 1) for at in wanting):
                break  # compaction has removed what stood at the end
            else:
                await self._reader.wait()
        earliest = min((head for tape in self._tapes.values() if (head := tape.head_ms) is not None), default=None)
        if self.first_ms is None:
            self.first_ms = earliest
        return earliest

    def _put(self, reader: Reader, batch: Batch) -> None:
        tape = self._tapes[TopicPartition(batch.topic, batch.partition)]
        tape.add(batch)
        # It is read on when this is handed out: memory holds about a batch of each partition.
        reader.pause([tape.at])

    def hand_out(self, until_ms: int) -> int:
        """Hand the records before a time to the tasks; the time of the last one."""
        last_ms = 0
        for at, tape in self._tapes.items():
            batch = tape.cut(until_ms)
            if batch is None:
                continue
            self.events += len(batch)
            self._remember(batch)
            last_ms = max(last_ms, *batch.timestamps) if len(batch) > 1 else max(last_ms, batch.timestamps[0])
            for reader in self.readers:
                if reader.reads(at):
                    reader.hand(batch)
            if not tape.batches and self._reader is not None:
                self._reader.resume([at])
        return last_ms

    def _remember(self, batch: Batch) -> None:
        ids = in_binary_mode(batch).several((CE_ID,))[0] or [None] * len(batch)
        for event_id, offset in zip(ids, batch.offsets, strict=True):
            self.causes[event_id or identity(None, batch.topic, batch.partition, offset).encode()] = None

    def close(self) -> None:
        """Read no more."""
        if self._reader is not None:
            self._reader.close()
