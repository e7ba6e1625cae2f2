"""The thread that polls: it drains a consumer and hands over what it has found, and does nothing else.

A consumer is touched by its thread alone, because its methods wait for one another. So what is asked of it goes into a
queue, and is done between two polls.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from queue import Empty, SimpleQueue
from typing import Final, Protocol

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as At

from mainstem.broker import TopicPartition
from mainstem.broker.kafka.calls import failure, translated
from mainstem.broker.kafka.options import Settings
from mainstem.broker.kafka.wire import Piece
from mainstem.errors import BrokerError

POLL_SECONDS: Final = 0.01
"""Nothing can wake a poll, so what is asked of a consumer waits for so long."""
DRAIN_MESSAGES: Final = 1_000
COLUMN_MESSAGES: Final = 100
ASK_SECONDS: Final = 0.25
_ENDS: Final = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.UNKNOWN_TOPIC_ID})


class Found:
    """What a thread has drained of one partition: records, and then perhaps where it ended, or why it goes on no more.

    ``generation`` says for which seek it was read: what was found before the last one is dropped.
    """

    __slots__ = ("end", "error", "generation", "passed", "piece", "size_bytes")

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.piece = Piece()
        self.size_bytes = 0
        self.passed: int | None = None
        """Where the next record will stand, when everything up to there has been read."""
        self.end: int | None = None
        self.error: BrokerError | None = None

    def note(self, message: Message, error: KafkaError) -> None:
        """Take in what is no record: the end of the partition, or that it cannot be read."""
        if error.code() == KafkaError._PARTITION_EOF:
            self.passed = self.end = message.offset()
        elif not error.retriable() or error.code() in _ENDS:
            self.error = translated(error, f"{message.topic()}[{message.partition()}] offset {message.offset()}")


class Sink(Protocol):
    """Who wants what is found; called in the event loop."""

    def found(self, found: Found) -> None:
        """Take it in."""
        ...


class _Source:
    """A partition that is read. In the thread, except for ``taken_bytes``."""

    __slots__ = ("asked_at", "drained_bytes", "generation", "paused", "sink", "taken_bytes")

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.generation = 0
        self.drained_bytes = 0
        self.taken_bytes = 0
        self.paused = False
        self.asked_at = float("-inf")
        """When the client was last asked where the partition ends."""


END_SECONDS: Final = 5.0


class Fetcher:
    """One consumer and its thread."""

    def __init__(self, settings: Settings, loop: asyncio.AbstractEventLoop, prefetch_bytes: int) -> None:
        """The thread starts with the first partition."""
        self._settings = settings
        self._loop = loop
        self._prefetch_bytes = prefetch_bytes
        self._asked: SimpleQueue[tuple[Sequence[TopicPartition], Callable[[Consumer], None]]] = SimpleQueue()
        self._sources: dict[tuple[str, int], _Source] = {}
        self._owned: set[TopicPartition] = set()
        self._thread: threading.Thread | None = None
        self._closing = False

    # -- in the event loop

    def reads(self, at: TopicPartition) -> bool:
        """Whether the partition is read by this consumer: it has one position for each."""
        return at in self._owned

    @property
    def idle(self) -> bool:
        """Whether nothing is read."""
        return not self._owned

    def assign(self, positions: Mapping[TopicPartition, int], sinks: Mapping[TopicPartition, Sink]) -> None:
        """Read these partitions from there on."""
        self._owned |= positions.keys()
        sources = {at: _Source(sinks[at]) for at in positions}

        def assign(consumer: Consumer) -> None:
            self._sources.update(((at.topic, at.partition), source) for at, source in sources.items())
            consumer.incremental_assign([At(at.topic, at.partition, offset) for at, offset in positions.items()])

        self._ask(list(positions), assign)

    def unassign(self, partitions: Sequence[TopicPartition]) -> None:
        """Read them no more."""
        self._owned.difference_update(partitions)

        def unassign(consumer: Consumer) -> None:
            for at in partitions:
                self._sources.pop(at, None)
            consumer.incremental_unassign([At(at.topic, at.partition) for at in partitions])

        self._ask(partitions, unassign)

    def seek(self, at: TopicPartition, offset: int, generation: int) -> None:
        """Read on from ``offset``; what is found from there on has this generation."""

        def seek(consumer: Consumer) -> None:
            source = self._sources.get(at)
            if source is None:
                return
            # A seek is refused while the partition is only being started; assigning it anew is not.
            consumer.incremental_unassign([At(at.topic, at.partition)])
            consumer.incremental_assign([At(at.topic, at.partition, offset)])
            source.generation = generation
            source.paused = False
            source.drained_bytes = source.taken_bytes = 0

        self._ask([at], seek)

    def taken(self, at: TopicPartition, size_bytes: int) -> None:
        """So much of what was found has been used."""
        source = self._sources.get(at)
        if source is None:
            return
        source.taken_bytes += size_bytes
        if source.paused and source.drained_bytes - source.taken_bytes <= self._prefetch_bytes // 2:
            source.paused = False
            self._ask([at], lambda consumer: consumer.resume([At(at.topic, at.partition)]))

    def close(self) -> None:
        """End the thread; it closes the consumer."""
        self._closing = True

    def join(self) -> None:
        """Wait until the thread has ended, but not for ever. Blocks."""
        if self._thread is not None:
            self._thread.join(END_SECONDS)

    def _ask(self, about: Sequence[TopicPartition], request: Callable[[Consumer], None]) -> None:
        self._asked.put((about, request))
        if self._thread is None:
            # Made here, so that whoever asks hears of settings that do not fit.
            try:
                consumer = Consumer(self._settings)
            except KafkaException as raised:
                raise failure(raised, "the settings of a reader") from raised
            self._thread = threading.Thread(
                target=self._run, args=(consumer,), name="mainstem kafka reader", daemon=True
            )
            self._thread.start()

    # -- in the thread

    def _run(self, consumer: Consumer) -> None:
        try:
            while not self._closing:
                self._do_what_is_asked(consumer)
                first = consumer.poll(POLL_SECONDS)
                if first is not None:
                    self._hand_over(consumer, [first, *consumer.consume(DRAIN_MESSAGES - 1, 0)])
        except KafkaException as raised:
            # What is fatal is raised out of a poll. Nothing more will come, and whoever waits must hear of it.
            self._tell(self._sources, failure(raised, "reading"))
        finally:
            consumer.close()

    def _do_what_is_asked(self, consumer: Consumer) -> None:
        with suppress(Empty):
            while True:
                about, request = self._asked.get_nowait()
                try:
                    request(consumer)
                except KafkaException as raised:
                    self._tell(about, failure(raised, ", ".join(f"{at.topic}[{at.partition}]" for at in about)))

    def _hand_over(self, consumer: Consumer, messages: list[Message]) -> None:
        found: dict[tuple[str, int], Found] = {}
        while messages:
            # What has become columns is let go at once: the collector looks at whatever is held, again and again.
            some = messages[:COLUMN_MESSAGES]
            del messages[:COLUMN_MESSAGES]
            one_topic = len(set(map(Message.topic, some))) == 1
            for _, run in groupby(some, Message.partition if one_topic else _place):
                self._take_in(found, list(run))
        self._measure(consumer, found)
        self._deliver([(self._sources[at].sink, each) for at, each in found.items()])

    def _take_in(self, found: dict[tuple[str, int], Found], run: list[Message]) -> None:
        """Take in messages of one partition."""
        at = _place(run[0])
        each = found.get(at)
        if each is None:
            source = self._sources.get(at)
            if source is None:
                for message in run:
                    self._hear(message)
                return
            each = found[at] = Found(source.generation)
        if any(map(Message.error, run)):
            for message in run:
                error = message.error()
                if error is not None:
                    each.note(message, error)
            run = [message for message in run if message.error() is None]
        if run:
            each.piece.take_in(run)
            each.size_bytes += sum(map(len, run))

    def _hear(self, message: Message) -> None:
        """What belongs to no partition that is read: an error of the client as a whole."""
        error = message.error()
        if error is not None and error.fatal():
            self._tell(self._sources, translated(error, "reading"))

    def _deliver(self, pieces: Sequence[tuple[Sink, Found]]) -> None:
        with suppress(RuntimeError):  # the event loop has been closed meanwhile
            self._loop.call_soon_threadsafe(_hand_out, pieces)

    def _measure(self, consumer: Consumer, found: Mapping[tuple[str, int], Found]) -> None:
        """Ask where the partitions end, and stop reading ahead of those that nobody takes."""
        now = self._loop.time()
        for at, each in found.items():
            source = self._sources[at]
            # Each question lets go of the interpreter, and waits until a busy event loop gives it back.
            if each.end is None and now - source.asked_at > ASK_SECONDS:
                source.asked_at = now
                _, end = consumer.get_watermark_offsets(At(*at), cached=True)
                each.end = end if end is not None and end != OFFSET_INVALID else None
            source.drained_bytes += each.size_bytes
            if not source.paused and source.drained_bytes - source.taken_bytes > self._prefetch_bytes:
                source.paused = True
                consumer.pause([At(*at)])

    def _tell(self, about: Iterable[tuple[str, int]], error: BrokerError) -> None:
        pieces: list[tuple[Sink, Found]] = []
        for at in about:
            source = self._sources.get((at[0], at[1]))
            if source is not None:
                found = Found(source.generation)
                found.error = error
                pieces.append((source.sink, found))
        self._deliver(pieces)


def _place(message: Message) -> tuple[str, int]:
    return message.topic() or "", message.partition() or 0


def _hand_out(pieces: Sequence[tuple[Sink, Found]]) -> None:
    for sink, piece in pieces:
        sink.found(piece)


class Fetchers:
    """The consumers of a process: one for all readers, and another for whoever reads what one of them reads already."""

    def __init__(self, settings: Settings, prefetch_bytes: int) -> None:
        """None is open."""
        self._settings = settings
        self._prefetch_bytes = prefetch_bytes
        self._fetchers: deque[Fetcher] = deque()

    def free(self, positions: Mapping[TopicPartition, int]) -> Fetcher:
        """One that reads none of these partitions."""
        for fetcher in self._fetchers:
            if not any(fetcher.reads(at) for at in positions):
                return fetcher
        fetcher = Fetcher(self._settings, asyncio.get_running_loop(), self._prefetch_bytes)
        self._fetchers.append(fetcher)
        return fetcher

    def let_go(self, fetcher: Fetcher) -> None:
        """A reader has closed: of those that nobody uses one stays, for the next."""
        if fetcher.idle and sum(each.idle for each in self._fetchers) > 1:
            self._fetchers.remove(fetcher)
            fetcher.close()

    async def close(self) -> None:
        """End all threads."""
        fetchers, self._fetchers = list(self._fetchers), deque()
        for fetcher in fetchers:
            fetcher.close()
        for fetcher in fetchers:
            await asyncio.to_thread(fetcher.join)
