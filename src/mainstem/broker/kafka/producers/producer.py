"""A producer with a transactional id, and the three outcomes of what it commits. All of it blocks.

Whoever initialises a producer with the same id fences all older ones and aborts what they have open. A producer that
has been fenced, or of which nobody knows how its transaction ended, is never used again.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer
from confluent_kafka import TopicPartition as At

from mainstem.broker import Record, TopicPartition
from mainstem.broker.kafka.calls import AWAY, FENCES, failure, kafka_error, translated
from mainstem.broker.kafka.options import BATCH_BYTES, ClientSettings, Settings
from mainstem.broker.kafka.wire import HeaderPairs, portions
from mainstem.errors import BrokerError, CommitRefused, CommitUnknown, Fenced, NotAllowed, RecordTooLarge, UnknownTopic

FIRST_PATIENCE_SECONDS: Final = 0.05


class Shipment(NamedTuple):
    """What one transaction carries: records by partition, with the limit of their topic, and positions."""

    records: Sequence[tuple[TopicPartition, Sequence[Record], int]]
    offsets: Sequence[At]


class TransactionalProducer:
    """One producer, from its first to its last transaction."""

    def __init__(self, settings: ClientSettings, transactional_id: str, group: str | None = None) -> None:
        """Fence every older one with this id. ``group`` is whose positions it commits."""
        self.name = transactional_id
        self._seconds = settings.options.answer_seconds
        self._group = None if group is None else empty_metadata(settings, group)
        self.over: BrokerError | None = None
        """Why it must not be used any more."""
        self._guard = threading.Lock()
        self._sending = False
        self._closed = False
        self._failures: dict[TopicPartition, KafkaError] = {}
        """Why the first record of a partition was not taken: of the transaction the client says only that."""
        try:
            self._producer = _initialised(settings.transactional(transactional_id), self._seconds)
        except KafkaException as raised:
            error = kafka_error(raised)
            if error is not None and (error.retriable() or error.code() in AWAY) and not error.fatal():
                raise failure(raised, self.name) from raised
            raise _outcome(raised, self.name) from raised

    def send(self, shipment: Shipment) -> dict[int, int]:
        """Commit it; returns the offset of the first record of each entry, by the number of the entry.

        Raises one of the outcomes that are not success.
        """
        with self._guard:
            if self.over is not None:
                raise self.over
            self._sending = True
        try:
            return self._send(shipment)
        finally:
            with self._guard:
                self._sending = False
                if self._closed:
                    del self._producer

    def _send(self, shipment: Shipment) -> dict[int, int]:
        firsts: dict[int, int] = {}
        self._failures.clear()
        try:
            self._producer.begin_transaction()
            self._produce(shipment, firsts)
            if shipment.offsets:
                assert self._group is not None
                # After an error of this call a commit might succeed without the positions: it is never tried again.
                self._producer.send_offsets_to_transaction(list(shipment.offsets), self._group, self._seconds)
                if self._closed:
                    raise _fenced(self.name)
        except (KafkaException, BufferError) as raised:
            cause = self._cause(raised)
            raise self._refused(cause, shipment) from cause
        self._commit(shipment)
        return firsts

    def close(self) -> None:
        """Let the client go. What it has open, the next one with its id aborts. Whoever sends just now is let go on."""
        with self._guard:
            if self._closed:
                return
            self._closed = True
            self.over = self.over or _fenced(self.name)
            with suppress(KafkaException):
                self._producer.purge(blocking=False)
            # Dropped, and not closed: its close aborts and flushes without a limit, and after a failed commit it was
            # seen never to return, although the cluster was there again. While it sends, the sender drops it.
            if not self._sending:
                del self._producer

    def _produce(self, shipment: Shipment, firsts: dict[int, int]) -> None:
        headers = HeaderPairs()
        begun: set[TopicPartition] = set()
        for number, (at, records, bytes_max) in enumerate(shipment.records):
            first: Callable[[KafkaError | None, Message], None] | None = self._noting(number, at, firsts)
            # A batch must not be larger than its topic takes; what is flushed goes on its own.
            small = bytes_max < BATCH_BYTES
            for some in portions(records, bytes_max) if small else (records,):
                if small and at in begun:
                    self._drain()
                begun.add(at)
                self._enqueue(at, some, headers, first)
                first = None

    def _drain(self) -> None:
        """Wait until everything has been sent. Not by flushing, which breaks down once the producer is fenced."""
        while len(self._producer):
            self._producer.poll(0.01)

    def _enqueue(
        self,
        at: TopicPartition,
        records: Sequence[Record],
        headers: HeaderPairs,
        first: Callable[[KafkaError | None, Message], None] | None,
    ) -> None:
        produce, pairs, (topic, partition) = self._producer.produce, headers.of, at
        for record in records:
            while True:
                try:
                    # By position, which costs less than by name; None stands where on_delivery would be given by its
                    # second name. A time of 0 would be now.
                    produce(
                        topic, record.value, record.key, partition, first, None, record.timestamp_ms or 1, pairs(record)
                    )
                    break
                except BufferError:
                    self._producer.poll(0.05)
            first = None

    def _noting(
        self, number: int, at: TopicPartition, firsts: dict[int, int]
    ) -> Callable[[KafkaError | None, Message], None]:
        def note(error: KafkaError | None, message: Message) -> None:
            if error is None:
                firsts[number] = cast("int", message.offset())
            else:
                self._failures.setdefault(at, error)

        return note

    def _commit(self, shipment: Shipment) -> None:
        try:
            self._producer.commit_transaction(self._seconds)
        except KafkaException as raised:
            error = kafka_error(raised)
            if error is not None and error.txn_requires_abort():
                raise self._refused(raised, shipment) from raised
            # Asking again would resume a commit that has timed out, and its success would be believed. After the death
            # of a broker that was once not true, so the next owner looks.
            self.over = _outcome(raised, self.name)
            raise self.over from raised

    def _cause(self, raised: KafkaException | BufferError) -> KafkaException | BufferError:
        """Why the transaction is in a state that allows nothing. That it is, was all that the last call has said.

        To begin another one in it is refused, with the error that has brought it there.
        """
        error = kafka_error(raised)
        if error is not None and error.code() == KafkaError._STATE:
            try:
                self._producer.begin_transaction()
            except KafkaException as cause:
                return cause
        return raised

    def _refused(self, raised: KafkaException | BufferError, shipment: Shipment) -> BrokerError:
        """Abort; nothing of the transaction has happened."""
        told = [_told(error, f"{at.topic}[{at.partition}]") for at, error in self._failures.items()]
        outcome = next((each for each in told if each), None) or _outcome(raised, self.name, begun=False)
        if isinstance(outcome, NotAllowed) and outcome.where == self.name:
            # Which of them it was, the client says in its log only.
            topics = sorted({at.topic for at, _, _ in shipment.records} | {at.topic for at in shipment.offsets})
            outcome.where = f"{self.name}, a transaction of {', '.join(topics)}"
        if isinstance(outcome, Fenced):
            self.over = outcome
            return outcome
        try:
            self._producer.abort_transaction(self._seconds)
        except KafkaException as error:
            self.over = _outcome(error, self.name)
        return outcome


def _initialised(settings: Settings, seconds: float) -> Producer:
    """A producer that has fenced every older one with its id.

    While what the older one has open is being aborted, the client would ask again every half second only; a new one
    asks at once.
    """
    patience = FIRST_PATIENCE_SECONDS
    while True:
        producer = Producer(settings)
        producer.list_topics(timeout=seconds)  # a client that is connected already needs no time for it
        try:
            producer.init_transactions(patience)
        except KafkaException as raised:
            error = kafka_error(raised)
            if error is None or not error.retriable() or patience > seconds:
                raise
            patience *= 2
        else:
            return producer


def empty_metadata(settings: ClientSettings, group: str) -> object:
    """The metadata of somebody who is no member: the group's generation is not compared, the id alone fences."""
    consumer = Consumer({**settings.reader(), "group.id": group})
    try:
        return consumer.consumer_group_metadata()
    finally:
        consumer.close()


def _fenced(where: str, why: str = "this process has given it back, or has taken it over anew") -> Fenced:
    return Fenced(
        "Another owner has taken the task over",
        where=where,
        why=why,
        remedy="drop the pending work; the new owner goes on from the last commit",
    )


def _outcome(raised: KafkaException | BufferError, where: str, *, begun: bool = True) -> BrokerError:
    """Fenced, refused with the reason, or unknown. ``begun``: the commit itself had been asked for."""
    error = kafka_error(raised)
    if error is not None and isinstance(denied := translated(error, where), NotAllowed):
        return denied
    if error is not None and (error.code() in FENCES or error.fatal()):
        return _fenced(where, f"{error.name()}: {error.str()}")
    why = str(raised) if error is None else f"{error.name()}: {error.str()}"
    if begun:
        return CommitUnknown(
            "Nobody knows whether the transaction was committed",
            where=where,
            why=why,
            remedy="the task is taken over anew, and reads what is there",
        )
    told = None if error is None else _told(error, where)
    return told or CommitRefused(
        "The cluster has refused a transaction", where=where, why=why, remedy="it is tried again"
    )


def _told(error: KafkaError, where: str) -> BrokerError | None:
    """What would be refused again and again, and why; None for what may be tried again."""
    told = translated(error, where)
    return told if isinstance(told, UnknownTopic | RecordTooLarge | NotAllowed) else None
