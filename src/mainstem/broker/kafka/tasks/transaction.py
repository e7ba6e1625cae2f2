"""Facts, store changes and positions of one commit: gathered here, and sent in one Kafka transaction.

Those outside any task that are asked for at the same time share one, because a commit costs the same for many. What
one caller publishes stays together and in order. A transaction that the cluster refuses has left nothing, so each who
shared it has another one of his own, and is told what became of that: nobody fails because of a neighbour. Where
nobody knows how it ended, all of them are told so.

At least once there is none: facts are sent by the idempotent producer, and positions are moved when all of them are
durable.

Open on the broker, a transaction would hold up every reader of its partitions at its first record. So it is open for
as long as its commit takes, and not longer.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from mainstem.broker import Change, Log, Record, TopicPartition
from mainstem.broker.kafka.calls import Calls
from mainstem.broker.kafka.copies import change_records
from mainstem.broker.kafka.tasks.owner import Owner, Steward
from mainstem.broker.kafka.tasks.producer import Shipment, Slots
from mainstem.broker.kafka.topics import Topics
from mainstem.broker.kafka.wire import check_sizes
from mainstem.errors import BrokerError, CommitRefused, CommitUnknown, Fenced, UnknownTopic

RECORDS_MOST: Final = 20_000
"""Beyond so many nobody else comes along: the client's queue is finite, and so is everybody's patience."""
WHERE: Final = "a transaction outside any task"

Records: TypeAlias = Sequence[tuple[TopicPartition, Sequence[Record], int]]
Firsts: TypeAlias = dict[TopicPartition, int]


class _Passenger:
    """What one caller wants to be committed, and his answer."""

    __slots__ = ("answer", "count", "records")

    def __init__(self, records: Records) -> None:
        self.records = records
        self.count = sum(len(each) for _, each, _ in records)
        self.answer: asyncio.Future[Firsts] = asyncio.get_running_loop().create_future()

    def tell(self, told: Firsts | Exception) -> None:
        """Answer him, unless he has gone."""
        if self.answer.done():
            return
        if isinstance(told, Exception):
            self.answer.set_exception(told)
        else:
            self.answer.set_result(told)


class Sharing:
    """One transaction at a time; whoever comes meanwhile goes with the next one."""

    def __init__(self, slots: Slots, calls: Calls) -> None:
        self._slots = slots
        self._calls = calls
        self._waiting: deque[_Passenger] = deque()
        self._going: asyncio.Task[None] | None = None

    async def commit(self, records: Records) -> Firsts:
        """The first offset in each partition, once all is committed. Raises what a transaction's commit raises."""
        passenger = _Passenger(records)
        self._waiting.append(passenger)
        if self._going is None:
            self._going = asyncio.create_task(self._go(), name="mainstem kafka transactions")
        return await passenger.answer

    async def close(self) -> None:
        """Wait until everybody has been told."""
        while self._going is not None:
            await asyncio.wait([self._going])

    async def _go(self) -> None:
        try:
            while self._waiting:
                # One turn of the loop, for those who ask in this one.
                await asyncio.sleep(0)
                await self._together(self._next())
        finally:
            self._going = None
            for left in self._waiting:
                left.answer.cancel()
            self._waiting.clear()

    def _next(self) -> list[_Passenger]:
        some = [self._waiting.popleft()]
        count = some[0].count
        while self._waiting and count + self._waiting[0].count <= RECORDS_MOST:
            count += self._waiting[0].count
            some.append(self._waiting.popleft())
        return some

    async def _together(self, some: Sequence[_Passenger]) -> None:
        shipment = Shipment([entry for each in some for entry in each.records], ())
        try:
            numbered = await self._calls.run(lambda: self._slots.send(shipment), WHERE, CommitUnknown)
        except Exception as error:  # noqa: BLE001 - told to those who wait, whatever it is
            if len(some) > 1 and isinstance(error, BrokerError) and not isinstance(error, CommitUnknown | Fenced):
                for each in some:
                    await self._together([each])
                return
            for each in some:
                each.tell(error)
            return
        before = 0
        for each in some:
            numbers = range(before, before + len(each.records))
            each.tell({each.records[n - before][0]: numbered[n] for n in numbers if n in numbered})
            before = numbers.stop


class KafkaTransaction:
    """A buffer until its commit."""

    def __init__(self, topics: Topics, by: Owner | Sharing) -> None:
        """``by`` is the owner of the task, or whoever sends what belongs to none."""
        self._topics = topics
        self._by = by
        self._facts: dict[TopicPartition, list[Record]] = {}
        self._changes: list[Change] = []
        self._positions: Mapping[TopicPartition, int] = {}
        self._over = False

    def append(self, at: TopicPartition, records: Sequence[Record]) -> None:
        """Add records to the end of a partition, in this order."""
        self._facts.setdefault(at, []).extend(records)

    def changes(self, changes: Iterable[Change]) -> None:
        """Add store changes of the owner's task."""
        self._changes += changes

    def positions(self, positions: Mapping[TopicPartition, int]) -> None:
        """Name the next offset to be handled for every input of the owner's task."""
        self._positions = {**self._positions, **positions}

    async def commit(self) -> Mapping[TopicPartition, int]:
        """Send it, and wait until the cluster has committed it."""
        if self._over:
            raise BrokerError("A transaction commits once")
        self._over = True
        by = self._by
        if isinstance(by, Sharing):
            return await by.commit(await self._foreign())
        shipment = await self._owned(by)
        now = self._topics.clock.monotonic()
        return await self._topics.calls.run(lambda: by.send(shipment, self._changes, now), by.where, CommitUnknown)

    def abort(self) -> None:
        """Drop it; for a committed one this does nothing."""
        self._over = True

    async def _foreign(self) -> Records:
        if self._changes or self._positions:
            raise BrokerError(
                "A transaction outside any task takes neither store changes nor positions",
                why="nobody owns the task that they belong to",
            )
        return await self._checked()

    async def _owned(self, owner: Owner) -> Shipment:
        # Without a single valid offset the cluster would not even notice that the owner has been fenced.
        _check_complete(owner, self._positions)
        records = await self._checked()
        if self._changes:
            changed = change_records(self._changes)
            try:
                known = await self._topics.known(owner.changelog)
            except UnknownTopic as error:
                raise Fenced("The group has been deleted", where=owner.where, remedy="drop the pending work") from error
            records.append((owner.changelog, changed, known.record_bytes_max))
        return Shipment(records, owner.offsets(self._positions))

    async def _checked(self) -> list[tuple[TopicPartition, Sequence[Record], int]]:
        checked: list[tuple[TopicPartition, Sequence[Record], int]] = []
        for at, records in self._facts.items():
            known = await self._topics.known(at)
            check_sizes(at, records, known.record_bytes_max)
            checked.append((at, records, known.record_bytes_max))
        return checked


class LooseTransaction:
    """A buffer until its commit; facts that are durable stay, whatever becomes of the positions."""

    def __init__(self, topics: Topics, log: Log, steward: Steward) -> None:
        """``log`` appends the facts."""
        self._topics = topics
        self._log = log
        self._steward = steward
        self._facts: dict[TopicPartition, list[Record]] = {}
        self._positions: Mapping[TopicPartition, int] = {}
        self._over = False

    def append(self, at: TopicPartition, records: Sequence[Record]) -> None:
        """Add records to the end of a partition, in this order."""
        self._facts.setdefault(at, []).extend(records)

    def changes(self, changes: Iterable[Change]) -> None:
        """Refused: nothing would keep a change and the position behind it together."""
        for change in changes:
            raise BrokerError(
                "At least once, a task takes no store changes",
                where=f"{self._steward.where}, store {change.store}",
                remedy='declare the group with delivery="exactly_once", which is the default',
            )

    def positions(self, positions: Mapping[TopicPartition, int]) -> None:
        """Name the next offset to be handled for every input of the owner's task."""
        self._positions = {**self._positions, **positions}

    async def commit(self) -> Mapping[TopicPartition, int]:
        """Append the facts, and move the positions when all of them are durable."""
        if self._over:
            raise BrokerError("A transaction commits once")
        self._over = True
        steward = self._steward
        _check_complete(steward, self._positions)
        firsts = await asyncio.gather(*(self._log.append(at, records) for at, records in self._facts.items()))
        now = self._topics.clock.monotonic()
        await self._topics.calls.run(lambda: steward.send(self._positions, now), steward.where, CommitUnknown)
        return dict(zip(self._facts, firsts, strict=True))

    def abort(self) -> None:
        """Drop it; what has been sent is not taken back."""
        self._over = True


def _check_complete(owner: Owner | Steward, positions: Mapping[TopicPartition, int]) -> None:
    missing = owner.inputs - positions.keys()
    if missing:
        raise CommitRefused(
            "A commit names a position for every input of its task",
            where=f"{owner.where}; missing: {', '.join(f'{at.topic}[{at.partition}]' for at in sorted(missing))}",
        )
