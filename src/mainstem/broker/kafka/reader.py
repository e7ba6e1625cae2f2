"""Readers: what has been drained, by partition, until somebody takes it."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from mainstem.broker import Batch, TopicPartition
from mainstem.broker.kafka.calls import unknown_topic
from mainstem.broker.kafka.fetcher import Fetchers, Found
from mainstem.broker.kafka.wire import Piece
from mainstem.errors import BrokerError, StoreRefused

BATCH_RECORDS: Final = 4_000


class _Partition:
    """One partition of a reader. ``next`` is the offset behind everything that was taken."""

    __slots__ = ("_reader", "at", "end", "error", "generation", "heard", "next", "passed", "paused", "told", "waiting")

    def __init__(self, reader: "KafkaReader", at: TopicPartition, offset: int) -> None:
        self._reader = reader
        self.at = at
        self.next = offset
        self.end = offset
        self.passed: int | None = None
        self.generation = 0
        self.waiting: deque[tuple[Piece, int]] = deque()
        self.error: BrokerError | None = None
        self.paused = False
        self.heard = False
        self.told = offset
        """Where whoever takes believes that reading goes on."""

    def found(self, found: Found) -> None:
        """Take in what has been drained."""
        if found.generation != self.generation:
            return
        self.heard = True
        if len(found.piece):
            self.waiting.append((found.piece, found.size_bytes))
            self.passed = None
            self.end = max(self.end, found.piece.offsets[-1] + 1)
        if found.end is not None:
            self.end = max(self.end, found.end)
        if found.passed is not None:
            self.passed = found.passed
            self._pass()
        if found.error is not None:
            self.error = found.error
        self._reader.notify()

    @property
    def ready(self) -> bool:
        """Whether there is something to take."""
        return not self.paused and (bool(self.waiting) or self.next > self.told or self.error is not None)

    def take(self) -> tuple[Piece, int]:
        """The oldest records, and their size in bytes; none, where only markers have been passed."""
        if not self.waiting:
            self.told = self.next
            return Piece(), 0
        piece, size_bytes = self.waiting.popleft()
        while self.waiting and len(piece) + len(self.waiting[0][0]) <= BATCH_RECORDS:
            more, more_bytes = self.waiting.popleft()
            piece.join(more)
            size_bytes += more_bytes
        self.next = piece.offsets[-1] + 1
        self._pass()
        self.told = self.next
        return piece, size_bytes

    def _pass(self) -> None:
        """Behind the last record markers may stand, which nobody is given."""
        if self.passed is not None and not self.waiting:
            self.next = self.end = max(self.next, self.passed)


class KafkaReader:
    """Takes what the polling thread has drained, never calling the client itself."""

    def __init__(
        self, fetchers: Fetchers, positions: Mapping[TopicPartition, int], closed: Callable[["KafkaReader"], None]
    ) -> None:
        """Begin at ``positions``; ``closed`` is told of the end."""
        self._told = closed
        self._fetchers = fetchers
        self._partitions = {at: _Partition(self, at, offset) for at, offset in positions.items()}
        self._turns = deque(self._partitions.values())
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False
        self._first: dict[str, tuple[str, int]] = {}
        self._fetcher = fetchers.free(positions)
        self._fetcher.assign(positions, self._partitions)

    def take(self) -> Batch | None:
        """The next batch that is there, or None."""
        turns = self._turns
        for _ in range(len(turns)):
            partition = turns[0]
            turns.rotate(-1)
            if partition.ready:
                if not partition.waiting and partition.error is not None:
                    raise partition.error
                piece, size_bytes = partition.take()
                self._fetcher.taken(partition.at, size_bytes)
                return piece.batch(partition.at, partition.next)
        return None

    async def wait(self) -> None:
        """Return when there may be something to take."""
        if self._closed or any(partition.ready for partition in self._turns):
            return
        if self._waiter is None or self._waiter.done():
            self._waiter = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._waiter)

    @property
    def topics(self) -> set[str]:
        """What is read."""
        return {at.topic for at in self._partitions}

    def check(self, known: Mapping[str, tuple[str, int]]) -> None:
        """Hear which topics there are, with id and number of partitions; of one that is gone the client is silent."""
        for at, partition in self._partitions.items():
            topic_id, partitions = known.get(at.topic, ("", 0))
            first_id, first_partitions = self._first.setdefault(at.topic, (topic_id, partitions))
            if at.partition >= partitions:
                partition.error = unknown_topic(f"{at.topic}[{at.partition}]")
            elif topic_id != first_id:
                partition.error = unknown_topic(
                    f"{at.topic}[{at.partition}]", "it has been deleted, and created again under the same name"
                )
            elif partitions != first_partitions:
                partition.error = _grown(at.topic, first_partitions, partitions)
            else:
                continue
            self.notify()

    def notify(self) -> None:
        """Something has been found."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def seek(self, at: TopicPartition, offset: int) -> None:
        """Read on from ``offset``."""
        partition = self._partitions[at]
        partition.generation += 1
        partition.waiting.clear()
        partition.error = partition.passed = None
        partition.heard = False
        partition.next = partition.told = partition.end = offset
        self._fetcher.seek(at, offset, partition.generation)

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Stop taking from these partitions; what is read ahead of them is bounded."""
        for at in partitions:
            self._partitions[at].paused = True

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Take from these partitions again."""
        for at in partitions:
            self._partitions[at].paused = False
        self.notify()

    def lag(self) -> Mapping[TopicPartition, int]:
        """How many offsets lie before the end. A partition of which nothing has been heard yet is left out."""
        return {
            at: max(0, partition.end - partition.next) for at, partition in self._partitions.items() if partition.heard
        }

    def position(self, at: TopicPartition) -> int:
        """The offset behind everything that was taken, and behind the markers after it that have been passed."""
        return self._partitions[at].next

    def close(self) -> None:
        """Stop reading."""
        if not self._closed:
            self._closed = True
            self._fetcher.unassign(list(self._partitions))
            self._fetchers.let_go(self._fetcher)
            self._told(self)
            self.notify()


def _grown(topic: str, before: int, now: int) -> StoreRefused:
    return StoreRefused(
        f"The topic {topic!r} had {before} partitions when reading began, and has {now} now",
        why="keys have moved to other partitions, away from their order and from what is remembered of them",
        remedy="create another topic with so many partitions, and move the events there; or let the groups that read "
        "this one start anew, without their memory: mainstem groups delete",
    )
