"""The owner of a task: what commits for it, its local copy, and the one at a time that may use them.

All of it blocks.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from confluent_kafka import TopicPartition as At

from mainstem.broker import Change, TopicPartition
from mainstem.broker.kafka.copies import Copy, change_records, changed_rows
from mainstem.broker.kafka.producers import Shipment, TransactionalProducer
from mainstem.broker.kafka.tasks.positions import offsets_of
from mainstem.clock import Clock
from mainstem.errors import CommitUnknown, MainstemError

OWNER_STORE: Final = "$owner"
"""Holds one row in each task's changelog, the epoch of its owner: where it stands, the task has been owned before."""
NEARLY_SECONDS: Final = 1.0
"""A commit that takes no longer is waited for by whoever lets the task go."""


class Owner:
    """As of the take-over. A commit runs to its end even when nobody waits any more; closing waits for it, a while."""

    def __init__(
        self,
        producer: TransactionalProducer,
        inputs: Mapping[TopicPartition, str],
        changelog: TopicPartition,
        epoch: int,
    ) -> None:
        """``inputs`` are all that the task reads, its inbox first, with the ids of their topics."""
        self.where = producer.name
        self.inputs = inputs.keys()
        self.changelog = changelog
        self.epoch = epoch
        self.copy: Copy | None = None
        self._producer = producer
        self._topic_ids = inputs
        self._last: Sequence[At] = ()
        self._sent = 0.0
        self._using = threading.Lock()
        self._copying = threading.Lock()

    def offsets(self, positions: Mapping[TopicPartition, int]) -> list[At]:
        """Positions as the cluster keeps them; that of the inbox carries the epoch."""
        return offsets_of(positions, self._topic_ids, str(self.epoch))

    def begin(self, positions: Mapping[TopicPartition, int], bytes_max: int, now: float) -> None:
        """Commit for the first time, so that everybody can see who owns the task."""
        change = Change(OWNER_STORE, b"epoch", str(self.epoch).encode())
        self.send(
            Shipment([(self.changelog, change_records([change]), bytes_max)], self.offsets(positions)), [change], now
        )

    def send(self, shipment: Shipment, changes: Iterable[Change], now: float) -> dict[TopicPartition, int]:
        """Commit, then bring the local copy up to date, before anybody reads it again."""
        with self._using:
            numbered = self._producer.send(shipment)
            firsts = {shipment.records[number][0]: first for number, first in numbered.items()}
            self._last, self._sent = shipment.offsets, now
            first = firsts.pop(self.changelog, None)
            with self._copying:
                if self.copy is not None and first is not None:
                    rows = list(changes)
                    self._follow(self.copy, rows, first + len(rows))
            return firsts

    def _follow(self, copy: Copy, rows: Iterable[Change], after: int) -> None:
        try:
            copy.apply(changed_rows(rows), copy.next, after, whole=True)
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
        """Leave the copy to the next owner. Whoever still commits is fenced by that one, and not before.

        A commit that is nearly through is waited for. One that hangs, in a call that may never return, is not: it finds
        no copy any more.
        """
        through = self._using.acquire(timeout=NEARLY_SECONDS)
        try:
            self._last = ()
            with self._copying:
                if self.copy is not None:
                    self.copy.close()
                    self.copy = None
        finally:
            if through:
                self._using.release()

    def close(self) -> None:
        """Let go of the producer and the copy. A commit that hangs ends in nothing, should it ever go on."""
        self.lay_down()
        self._producer.close()
