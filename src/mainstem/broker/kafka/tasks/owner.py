"""The owner of a task: its producer, its local copy, and the one at a time that may use them. All of it blocks."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from confluent_kafka import TopicPartition as At

from mainstem.broker import Change, TopicPartition
from mainstem.broker.kafka.tasks.changelog import change_record
from mainstem.broker.kafka.tasks.producer import Shipment, TransactionalProducer
from mainstem.broker.kafka.tasks.restore import Copy
from mainstem.clock import Clock
from mainstem.errors import CommitUnknown, MainstemError

OWNER_STORE: Final = "$owner"
"""Holds one row in each task's changelog, the epoch of its owner: where it stands, the task has been owned before."""


class Owner:
    """As of the take-over. A commit runs to its end even when nobody waits any more; closing waits for it."""

    def __init__(
        self, producer: TransactionalProducer, inputs: Sequence[TopicPartition], changelog: TopicPartition, epoch: int
    ) -> None:
        """``inputs`` are all that the task reads, its inbox first."""
        self.where = producer.name
        self.inputs = frozenset(inputs)
        self.changelog = changelog
        self.epoch = epoch
        self.copy: Copy | None = None
        self._producer = producer
        self._inbox = inputs[0]
        self._last: Sequence[At] = ()
        self._sent = 0.0
        self._using = threading.Lock()

    def offsets(self, positions: Mapping[TopicPartition, int]) -> list[At]:
        """Positions as the cluster keeps them; that of the inbox carries the epoch."""
        return [
            At(at.topic, at.partition, offset, metadata=str(self.epoch))
            if at == self._inbox
            else At(at.topic, at.partition, offset)
            for at, offset in positions.items()
        ]

    def begin(self, positions: Mapping[TopicPartition, int], bytes_max: int, now: float) -> None:
        """Commit for the first time, so that everybody can see who owns the task."""
        change = Change(OWNER_STORE, b"epoch", str(self.epoch).encode())
        self.send(
            Shipment([(self.changelog, [change_record(change)], bytes_max)], self.offsets(positions)), [change], now
        )

    def send(self, shipment: Shipment, changes: Iterable[Change], now: float) -> dict[TopicPartition, int]:
        """Commit, then bring the local copy up to date, before anybody reads it again."""
        with self._using:
            firsts = self._producer.send(shipment)
            self._last, self._sent = shipment.offsets, now
            first = firsts.pop(self.changelog, None)
            if self.copy is not None and first is not None:
                rows = list(changes)
                self._follow(self.copy, rows, first + len(rows))
            return firsts

    def _follow(self, copy: Copy, rows: Iterable[Change], after: int) -> None:
        try:
            copy.apply(rows, copy.next, after)
        except MainstemError as error:
            raise CommitUnknown(
                "A commit is in the cluster, and the local copy has not followed",
                where=self.where,
                why=str(error),
                remedy="the task is taken over anew, and the copy brought up to date",
            ) from error

    def refresh(self, clock: Clock, seconds: float) -> None:
        """Commit the positions again when that was not done for so long: the cluster forgets those that stand still."""
        with self._using:
            if self._last and clock.monotonic() - self._sent >= seconds:
                self._producer.send(Shipment((), self._last))
                self._sent = clock.monotonic()

    def lay_down(self) -> None:
        """Leave the copy to the next owner. Whoever still commits is fenced by that one, and not before."""
        with self._using:
            self._last = ()
            if self.copy is not None:
                self.copy.close()
                self.copy = None

    def close(self) -> None:
        """Let go of the producer and the copy."""
        self.lay_down()
        with self._using:
            self._producer.close()
