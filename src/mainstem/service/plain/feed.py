"""A task without handlers: its records go to whoever asks for the next one, and are done when that asks again."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

from mainstem.broker import Batch, Ownership, Reader, TopicPartition
from mainstem.delivery import Environment, Strain, Unread, in_binary_mode
from mainstem.service.plain.message import Message
from mainstem.service.plain.readings import Readings
from mainstem.telemetry import log


class Delivery:
    """A batch on its way to whoever asks for records, one at a time."""

    def __init__(self, feed: "Feed", batch: Batch) -> None:
        self.over = asyncio.Event()
        self._feed = feed
        self._batch = batch
        self._at = TopicPartition(batch.topic, batch.partition)
        self._next = 0

    def take(self) -> Message | None:
        """The next record; None when there is none left, or the task is not ours any more."""
        batch, index = self._batch, self._next
        if index >= len(batch) or self._feed.ended:
            self.over.set()
            return None
        self._next += 1
        self._feed.in_hand.clear()
        return Message(
            batch.topic,
            batch.partition,
            batch.offsets[index],
            batch.timestamps[index],
            batch.keys[index],
            batch.values[index],
            batch.headers(index),
            self._feed.readings,
        )

    def done(self) -> None:
        """The record that was taken last is done."""
        batch, count = self._batch, self._next
        if count:
            self._feed.reach(self._at, batch.next_offset if count == len(batch) else batch.offsets[count - 1] + 1)
        self.let_go()

    def let_go(self) -> None:
        """Nobody works on a record any more, done or not."""
        self._feed.in_hand.set()


Start: TypeAlias = Literal["earliest", "latest"]


class Feed:
    """One incarnation of a task: reads, hands batches on one after the other, and commits what is done."""

    ledger = None
    """It keeps no books: there is nothing but positions."""

    def __init__(
        self,
        environment: Environment,
        ownership: Ownership,
        inputs: Mapping[TopicPartition, Start],
        hand_on: Callable[[Delivery], None],
        begun: Callable[[], None],
        readings: Readings | None = None,
    ) -> None:
        """``inputs``, the inbox first, say where reading begins that was never committed.

        What is read with ``readings`` is handed on when its schemas are known, or known not to be there.
        """
        self.readings = readings
        self._acquaintance = None if readings is None else readings.acquaintance
        self.ended = False
        self.in_hand = asyncio.Event()
        self.in_hand.set()
        self._environment = environment
        self._ownership = ownership
        self._inputs = inputs
        self._inbox = next(iter(inputs))
        self._hand_on = hand_on
        self._begun = begun
        self._unread: Unread | None = None
        self._commits = 0
        self._committed: dict[TopicPartition, int] = {}
        self._reached: dict[TopicPartition, int] = {}
        self._moved = asyncio.Event()
        self._draining = asyncio.Event()
        self._committing = asyncio.Lock()

    @property
    def in_flight(self) -> int:
        """Whether a record is in hand."""
        return int(not self.in_hand.is_set())

    @property
    def positions(self) -> Mapping[TopicPartition, int]:
        """The positions committed last; empty before the first commit."""
        return self._committed

    @property
    def paused(self) -> Mapping[str, float]:
        """Which partitions wait for a registry that has not answered, and for how many seconds."""
        return {} if self._unread is None else self._unread.reasons

    @property
    def strain(self) -> Strain:
        """Who has too much to do, the program itself knows best."""
        return Strain()

    @property
    def open_breakers(self) -> Mapping[str, float]:
        """There are none."""
        return {}

    @property
    def got_on(self) -> bool:
        """Whether it has committed anything beyond its first positions."""
        return self._commits > 1

    def reach(self, at: TopicPartition, offset: int) -> None:
        """Everything below this offset is done."""
        self._reached[at] = offset
        self._moved.set()

    def drain(self) -> None:
        """Hand nothing on any more, wait for what is in hand, commit, and return from :meth:`run`."""
        self.ended = True
        self._draining.set()

    def kill(self) -> None:
        """End at once: the task has been lost."""
        self.ended = True

    async def until_draining(self) -> None:
        """Return when it is to be drained."""
        await self._draining.wait()

    async def run(self) -> None:
        """Own the task until it is drained. Raises what made it impossible to go on."""
        await self._begin()
        reader = self._environment.broker.log.reader(self._reached)
        failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        unread = self._unread = self._waiting_room(reader, failed)
        loops = [
            asyncio.create_task(each) for each in (self._read(reader), self._commit_when_moved(), self.until_draining())
        ]
        try:
            await asyncio.wait([*loops, failed], return_when=asyncio.FIRST_COMPLETED)
            for each in (*loops, failed):
                if each.done():
                    each.result()
            await self._finish()
        finally:
            self.ended = True
            for each in (*loops, failed):
                each.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            if unread is not None:
                await unread.stop()
            reader.close()

    async def commit(self) -> None:
        """Commit what is done."""
        async with self._committing:
            reached = dict(self._reached)
            if reached == self._committed:
                return
            self._moved.clear()
            transaction = self._ownership.transaction()
            transaction.positions(reached)
            await transaction.commit()
            self._committed = reached
            self._commits += 1

    async def _begin(self) -> None:
        """Fix where it begins, before the first record: whoever takes over later must not choose again."""
        for at, start in self._inputs.items():
            offset = self._ownership.positions.get(at)
            if offset is None:
                offset = (await self._environment.broker.log.bounds(at))[start == "latest"]
            self._reached[at] = offset
        await self.commit()
        self._begun()

    def _waiting_room(self, reader: Reader, failed: "asyncio.Future[None]") -> Unread | None:
        if self._acquaintance is None:
            return None

        def fail(error: BaseException) -> None:
            if not failed.done():
                failed.set_exception(error)

        return Unread(f"{self._inbox.topic}[{self._ownership.task}]", self._environment, _Still(reader), fail)

    def _put_back(self, batch: Batch, reader: Reader) -> bool:
        """Whether a batch names schemas that are not known, so that it is read again later."""
        unread, acquaintance = self._unread, self._acquaintance
        if unread is None or acquaintance is None:
            return False
        unknown = acquaintance.unknown(in_binary_mode(batch))
        if unknown:
            unread.put_back(batch, unknown, reader, acquaintance)
        return bool(unknown)

    async def _read(self, reader: Reader) -> None:
        while True:
            batch = reader.take()
            if batch is None:
                await reader.wait()
            elif self._put_back(batch, reader):
                pass
            elif len(batch) and batch.topic != self._inbox.topic:
                delivery = Delivery(self, batch)
                self._hand_on(delivery)
                await delivery.over.wait()
            else:
                # Nobody commands a group without handlers.
                self.reach(TopicPartition(batch.topic, batch.partition), batch.next_offset)

    async def _commit_when_moved(self) -> None:
        while True:
            await self._moved.wait()
            await asyncio.sleep(self._environment.settings.commit_interval_ms / 1000)
            await self.commit()

    async def _finish(self) -> None:
        try:
            async with asyncio.timeout(self._environment.settings.grace_seconds):
                await self.in_hand.wait()
        except TimeoutError:
            log.warning("task %d: a record in hand was abandoned after the grace period", self._ownership.task)
        await self.commit()


class _Still:
    """Lets partitions of one reader stand still."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def set_apart(self, at: TopicPartition) -> None:
        """Read nothing of it."""
        self._reader.pause([at])

    def rejoin(self, at: TopicPartition) -> None:
        """Read it again."""
        self._reader.resume([at])
