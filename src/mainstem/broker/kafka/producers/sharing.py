"""Transactions outside any task that are asked for at the same time share one: a commit costs the same for many.

What one caller publishes stays together and in order. A transaction that the cluster refuses has left nothing, so each
who shared it has another one of his own, and is told what became of that: nobody fails because of a neighbour. Where
nobody knows how it ended, all of them are told so.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final, TypeAlias

from mainstem.broker import Record, TopicPartition
from mainstem.broker.kafka.calls import Calls
from mainstem.broker.kafka.producers.producer import Shipment
from mainstem.broker.kafka.producers.slots import Slots
from mainstem.errors import BrokerError, CommitUnknown, Fenced

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
