"""Facts, store changes and positions of one commit: gathered here, and sent in one Kafka transaction.

At least once there is none: facts are sent by the idempotent producer, and positions are moved when all of them are
durable.

Open on the broker, a transaction would hold up every reader of its partitions at its first record. So it is open for
as long as its commit takes, and not longer.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from mainstem.broker import Change, Log, Record, TopicPartition
from mainstem.broker.kafka.copies import change_records
from mainstem.broker.kafka.producers import Records, Sharing, Shipment
from mainstem.broker.kafka.tasks.owner import Owner
from mainstem.broker.kafka.tasks.steward import Steward
from mainstem.broker.kafka.topics import Topics
from mainstem.broker.kafka.wire import check_sizes
from mainstem.errors import BrokerError, CommitRefused, CommitUnknown, Fenced, UnknownTopic


class Buffer:
    """Facts and positions until the commit."""

    def __init__(self) -> None:
        self._facts: dict[TopicPartition, list[Record]] = {}
        self._positions: Mapping[TopicPartition, int] = {}
        self._over = False

    def append(self, at: TopicPartition, records: Sequence[Record]) -> None:
        """Add records to the end of a partition, in this order."""
        self._facts.setdefault(at, []).extend(records)

    def positions(self, positions: Mapping[TopicPartition, int]) -> None:
        """Name the next offset to be handled for every input of the owner's task."""
        self._positions = {**self._positions, **positions}

    def abort(self) -> None:
        """Drop it; for a committed one this does nothing, and what has been sent at least once is not taken back."""
        self._over = True

    def _end(self) -> None:
        """It is about to be committed, which it can be once."""
        if self._over:
            raise BrokerError("A transaction commits once")
        self._over = True


class KafkaTransaction(Buffer):
    """All of it, or nothing."""

    def __init__(self, topics: Topics, by: Owner | Sharing) -> None:
        """``by`` is the owner of the task, or whoever sends what belongs to none."""
        super().__init__()
        self._topics = topics
        self._by = by
        self._changes: list[Change] = []

    def changes(self, changes: Iterable[Change]) -> None:
        """Add store changes of the owner's task."""
        self._changes += changes

    async def commit(self) -> Mapping[TopicPartition, int]:
        """Send it, and wait until the cluster has committed it."""
        self._end()
        by = self._by
        if isinstance(by, Sharing):
            return await by.commit(await self._foreign())
        shipment = await self._owned(by)
        now = self._topics.clock.monotonic()
        return await self._topics.calls.commit(lambda: by.send(shipment, self._changes, now), by.where)

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


class LooseTransaction(Buffer):
    """Facts that are durable stay, whatever becomes of the positions."""

    def __init__(self, topics: Topics, log: Log, steward: Steward) -> None:
        """``log`` appends the facts."""
        super().__init__()
        self._topics = topics
        self._log = log
        self._steward = steward

    def changes(self, changes: Iterable[Change]) -> None:
        """Refused: nothing would keep a change and the position behind it together."""
        for change in changes:
            raise BrokerError(
                "At least once, a task takes no store changes",
                where=f"{self._steward.where}, store {change.store}",
                remedy='declare the group with delivery="exactly_once", which is the default',
            )

    async def commit(self) -> Mapping[TopicPartition, int]:
        """Append the facts, and move the positions when all of them are durable."""
        self._end()
        steward = self._steward
        _check_complete(steward, self._positions)
        firsts = await asyncio.gather(*(self._log.append(at, records) for at, records in self._facts.items()))
        now = self._topics.clock.monotonic()
        await self._topics.calls.run(lambda: steward.send(self._positions, now), steward.where, CommitUnknown)
        return dict(zip(self._facts, firsts, strict=True))


def _check_complete(owner: Owner | Steward, positions: Mapping[TopicPartition, int]) -> None:
    missing = owner.inputs - positions.keys()
    if missing:
        raise CommitRefused(
            "A commit names a position for every input of its task",
            where=f"{owner.where}; missing: {', '.join(f'{at.topic}[{at.partition}]' for at in sorted(missing))}",
        )
