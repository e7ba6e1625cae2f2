"""The owner of a task: what commits for it, its local copy, and the one at a time that may use them. All of it blocks.

A task of a group that is delivered at least once has a steward instead: it has no producer and no copy, and moves its
positions in the name of the member. The cluster compares the member's generation, so one that was expelled moves none.
"""

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import TopicPartition as At

from mainstem.broker import Change, TopicPartition
from mainstem.broker.kafka.calls import STARTING, kafka_error, translated
from mainstem.broker.kafka.copies import Copy, change_records, changed_rows
from mainstem.broker.kafka.tasks.member import MemberThread
from mainstem.broker.kafka.tasks.producer import Shipment, TransactionalProducer
from mainstem.clock import Clock
from mainstem.errors import BrokerError, CommitUnknown, Fenced, MainstemError

OWNER_STORE: Final = "$owner"
"""Holds one row in each task's changelog, the epoch of its owner: where it stands, the task has been owned before."""


BY_MEMBER: Final = "at-least-once"
"""Behind the epoch in the metadata of an inbox position: no producer need be fenced before the task is taken over."""
RETRY_SECONDS: Final = 0.05
NEARLY_SECONDS: Final = 1.0
"""A commit that takes no longer is waited for by whoever lets the task go."""
_EXPELLED: Final = frozenset(
    {
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.FENCED_MEMBER_EPOCH,
        KafkaError.STALE_MEMBER_EPOCH,
        KafkaError._STATE,
    }
)
_SOON: Final = frozenset({KafkaError.REBALANCE_IN_PROGRESS, *STARTING})
"""It will be accepted a moment later."""


class Owner:
    """As of the take-over. A commit runs to its end even when nobody waits any more; closing waits for it, a while."""

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
        self._copying = threading.Lock()

    def offsets(self, positions: Mapping[TopicPartition, int]) -> list[At]:
        """Positions as the cluster keeps them; that of the inbox carries the epoch."""
        return offsets_of(positions, self._inbox, str(self.epoch))

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


class Steward:
    """The owner of a task in a group that is delivered at least once, as of the take-over."""

    def __init__(
        self, thread: MemberThread, where: str, inputs: Sequence[TopicPartition], epoch: int, seconds: float
    ) -> None:
        """``thread`` is that of the member; every commit has so many ``seconds``."""
        self.where = where
        self.inputs = frozenset(inputs)
        self.epoch = epoch
        self._thread = thread
        self._inbox = inputs[0]
        self._seconds = seconds
        self._last: Sequence[At] = ()
        self._sent = 0.0
        self._over = False
        self._using = threading.Lock()

    def send(self, positions: Mapping[TopicPartition, int], now: float) -> None:
        """Move the positions. Raises Fenced where the group does not know the member any more."""
        offsets = offsets_of(positions, self._inbox, f"{self.epoch} {BY_MEMBER}")
        with self._using:
            if self._over:
                raise _expelled(self.where, "this process has given it back, or has taken it over anew")
            self._commit(offsets, now)

    def refresh(self, clock: Clock, seconds: float) -> None:
        """Commit the positions again when that was not done for so long."""
        with self._using:
            if self._last and clock.monotonic() - self._sent >= seconds:
                self._commit(self._last, clock.monotonic())

    def lay_down(self) -> None:
        """Move no positions any more: the task is another's. A commit that hangs is not waited for."""
        self._over = True
        if self._using.acquire(timeout=NEARLY_SECONDS):
            self._last = ()
            self._using.release()

    def close(self) -> None:
        """There is nothing to let go of."""
        self.lay_down()

    def _commit(self, offsets: Sequence[At], now: float) -> None:
        left = self._seconds
        while True:
            try:
                self._thread.commit(offsets, left)
            except KafkaException as raised:
                error = kafka_error(raised)
                if error is None or error.code() not in _SOON or left <= 0 or self._over:
                    raise _outcome(error, self.where) from raised
            else:
                self._last, self._sent = offsets, now
                return
            time.sleep(RETRY_SECONDS)
            left -= RETRY_SECONDS


def offsets_of(positions: Mapping[TopicPartition, int], inbox: TopicPartition, metadata: str) -> list[At]:
    """Positions as the cluster keeps them, with ``metadata`` beside that of the inbox."""
    return [
        At(at.topic, at.partition, offset, metadata=metadata) if at == inbox else At(at.topic, at.partition, offset)
        for at, offset in positions.items()
    ]


def _outcome(error: KafkaError | None, where: str) -> BrokerError:
    if error is not None and error.code() in _EXPELLED:
        return _expelled(where, f"{error.name()}: {error.str()}")
    if error is not None and error.code() != KafkaError._TIMED_OUT:
        return translated(error, where)
    return CommitUnknown(
        "Nobody knows whether the positions were moved",
        where=where,
        why="the cluster has not answered in time",
        remedy="the task is taken over anew, and reads where it stands",
    )


def _expelled(where: str, why: str) -> Fenced:
    return Fenced(
        "The member is not in the group any more, and moves no positions",
        where=where,
        why=why,
        remedy="drop the pending work; the new owner handles again what was not committed",
    )
