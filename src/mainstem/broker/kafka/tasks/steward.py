"""The owner of a task in a group that is delivered at least once. All of it blocks.

It has no producer and no copy, and moves its positions in the name of the member. The cluster compares the member's
generation, so one that was expelled moves none.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import TopicPartition as At

from mainstem.broker import TopicPartition
from mainstem.broker.kafka.calls import STARTING, kafka_error, translated
from mainstem.broker.kafka.tasks.member import MemberThread
from mainstem.broker.kafka.tasks.owner import NEARLY_SECONDS
from mainstem.broker.kafka.tasks.positions import BY_MEMBER, offsets_of
from mainstem.clock import Clock
from mainstem.errors import BrokerError, CommitUnknown, Fenced

RETRY_SECONDS: Final = 0.05
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


class Steward:
    """The owner of a task in a group that is delivered at least once, as of the take-over."""

    def __init__(
        self, thread: MemberThread, where: str, inputs: Mapping[TopicPartition, str], epoch: int, seconds: float
    ) -> None:
        """``thread`` is that of the member; every commit has so many ``seconds``. ``inputs`` as an owner's."""
        self.where = where
        self.inputs = inputs.keys()
        self.epoch = epoch
        self._thread = thread
        self._topic_ids = inputs
        self._seconds = seconds
        self._last: Sequence[At] = ()
        self._sent = 0.0
        self._over = False
        self._using = threading.Lock()

    def send(self, positions: Mapping[TopicPartition, int], now: float) -> None:
        """Move the positions. Raises Fenced where the group does not know the member any more."""
        offsets = offsets_of(positions, self._topic_ids, f"{self.epoch} {BY_MEMBER}")
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
