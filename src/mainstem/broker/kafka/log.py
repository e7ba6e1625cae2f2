"""The role of the log: appends outside any task, and readers."""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import OffsetSpec

from mainstem.broker import Record, TopicPartition
from mainstem.broker.kafka.calls import background, failure, kafka_error, translated, unknown_topic
from mainstem.broker.kafka.fetcher import Fetchers
from mainstem.broker.kafka.options import BATCH_BYTES, ClientSettings
from mainstem.broker.kafka.producers import Sharing
from mainstem.broker.kafka.reader import KafkaReader
from mainstem.broker.kafka.tasks import KafkaTransaction
from mainstem.broker.kafka.topics import Topics
from mainstem.broker.kafka.wire import HeaderPairs, check_sizes
from mainstem.errors import BrokerError, UnknownTopic
from mainstem.telemetry import log

POLL_SECONDS = 0.1
WATCHES = 4
"""So often in the time that an append has it is looked whether there are some that have had it."""


class _Append:
    """Records on their way; the last delivery report settles them, or the end of their producer."""

    __slots__ = ("_first", "_future", "_left", "_settled", "began", "error")

    def __init__(self, count: int, settled: "list[_Append]") -> None:
        """In the thread that polls it enters ``settled`` when it is known what has become of it."""
        self._left = count
        self._settled = settled
        loop = asyncio.get_running_loop()
        self._future: asyncio.Future[int] = loop.create_future()
        self.began = loop.time()
        self._first: int | None = None
        self.error: KafkaError | None = None

    def delivered(self, error: KafkaError | None, message: Message) -> None:
        """One record was written, or given up. In the thread that polls."""
        if error is not None:
            self.error = self.error or error
        elif self._first is None:
            self._first = message.offset()
        self._left -= 1
        if self._left == 0:
            self._settled.append(self)

    async def written(self, where: str) -> int:
        """The offset of the first record."""
        first = await self._future
        if self.error is not None:
            raise translated(self.error, where)
        return first

    def settle(self) -> None:
        """Tell whoever waits."""
        if not self._future.done():
            self._future.set_result(self._first or 0)


class _Appender:
    """A producer and the thread that takes its delivery reports.

    The client itself gives no record up: having done so, it counts its records anew, and was seen to write others twice
    that were on their way. So what has had no answer in time ends the producer, and everything that is on its way.
    """

    def __init__(self, settings: dict[str, object], seconds: float) -> None:
        self.producer = Producer(settings)
        self.broken = False
        self.underway: dict[_Append, None] = {}
        self._seconds = seconds
        self._watching: asyncio.TimerHandle | None = None
        self.settled: list[_Append] = []
        self._loop = asyncio.get_running_loop()
        self._closing = False
        self._thread = threading.Thread(target=self._poll, name="mainstem kafka producer", daemon=True)
        self._thread.start()

    def _poll(self) -> None:
        try:
            while not self._closing or len(self.producer):
                self.producer.poll(POLL_SECONDS)
                # All that one poll has settled is told at once: waking the event loop costs more than the telling.
                self._tell()
        except Exception as raised:  # noqa: BLE001 - whatever ends this thread, nobody may wait for it for ever
            # What is fatal is raised out of a poll, and no report comes any more. The next append gets a new producer.
            self.broken = True
            log.error("a producer can do no more: %s", raised)
            error = kafka_error(raised) or KafkaError(KafkaError._FAIL, str(raised))
            with suppress(RuntimeError):  # the event loop has been closed meanwhile
                self._loop.call_soon_threadsafe(self._give_up, error)

    def _give_up(self, error: KafkaError) -> None:
        for append in self.underway:
            append.error = append.error or error
            append.settle()

    def _tell(self) -> None:
        if self.settled:
            settled = self.settled[:]
            self.settled.clear()
            with suppress(RuntimeError):  # the event loop has been closed meanwhile
                self._loop.call_soon_threadsafe(_settle, settled)

    def watch(self) -> None:
        """In the event loop: see that what is under way comes to an end."""
        if self._watching is None:
            self._watching = self._loop.call_later(self._seconds / WATCHES, self._look)

    def _look(self) -> None:
        self._watching = None
        oldest = next(iter(self.underway), None)
        if oldest is None or self.broken:
            return
        if self._loop.time() - oldest.began < self._seconds:
            self.watch()
            return
        log.warning("appends have had no answer for %g s, and are given up with their producer", self._seconds)
        self.broken = self._closing = True
        self.producer.purge(blocking=False)

    def close(self) -> None:
        """Wait for what is on its way, but not for ever. Blocks."""
        self._closing = True
        self._thread.join(self._seconds)
        if self._thread.is_alive():
            self.producer.purge(blocking=False)
            self._thread.join(self._seconds)


def _settle(settled: Sequence[_Append]) -> None:
    for append in settled:
        append.settle()


class KafkaLog:
    """Partitions of records in the cluster."""

    def __init__(self, settings: ClientSettings, topics: Topics, sharing: Sharing) -> None:
        """No client is made before it is needed."""
        self._settings = settings
        self._topics = topics
        self._sharing = sharing
        self._appenders: dict[int, _Appender] = {}
        self._readers: set[KafkaReader] = set()
        self._look_soon = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self.fetchers = Fetchers(settings.reader(), settings.options.prefetch_bytes)

    async def append(self, at: TopicPartition, records: Sequence[Record]) -> int:
        """Append outside any task. When it fails, some of several records may be there all the same."""
        known = await self._topics.known(at)
        check_sizes(at, records, known.record_bytes_max)
        if not records:
            return (await self.bounds(at))[1]
        # A batch must not be larger than its topic takes.
        appender = self._appender(min(BATCH_BYTES, known.record_bytes_max))
        append = _Append(len(records), appender.settled)
        appender.underway[append] = None
        appender.watch()
        try:
            return await self._sent(appender, append, at, records)
        finally:
            appender.underway.pop(append, None)

    async def _sent(self, appender: _Appender, append: _Append, at: TopicPartition, records: Sequence[Record]) -> int:
        producer = appender.producer
        headers = HeaderPairs()
        where = f"{at.topic}[{at.partition}]"
        for record in records:
            while True:
                try:
                    producer.produce(
                        at.topic,
                        value=record.value,
                        key=record.key,
                        partition=at.partition,
                        on_delivery=append.delivered,
                        timestamp=record.timestamp_ms or 1,  # 0 would be now
                        headers=headers.of(record),
                    )
                    break
                except BufferError:
                    await asyncio.sleep(0.001)
                    if appender.broken:
                        raise translated(KafkaError(KafkaError._PURGE_QUEUE), where) from None
                except KafkaException as raised:
                    self._topics.forget(at.topic)
                    raise failure(raised, where) from raised
        try:
            return await append.written(where)
        except UnknownTopic:
            self._topics.forget(at.topic)
            raise

    def transaction(self) -> KafkaTransaction:
        """Several appends at once; nothing is sent before the commit."""
        return KafkaTransaction(self._topics, self._sharing)

    def reader(self, positions: Mapping[TopicPartition, int]) -> KafkaReader:
        """A reader that starts at these offsets."""
        reader = KafkaReader(self.fetchers, positions, self._readers.discard)
        self._readers.add(reader)
        self._look_soon.set()
        if self._watching is None:
            self._watching = background(self._watch(), "mainstem kafka topics")
        return reader

    async def bounds(self, at: TopicPartition) -> tuple[int, int]:
        """The first offset still there, and the offset the next record will get."""
        await self._topics.known(at)
        found = (await self._topics.bounds([at])).get(at)
        if found is None:
            raise unknown_topic(f"{at.topic}[{at.partition}]")
        return found

    async def offset_at(self, at: TopicPartition, timestamp_ms: int) -> int:
        """The first offset whose record has this timestamp or a later one; the end when there is none."""
        await self._topics.known(at)
        found = (await self._topics.offsets({at: OffsetSpec.for_timestamp(timestamp_ms)})).get(at)
        return (await self.bounds(at))[1] if found is None or found < 0 else found

    async def close(self) -> None:
        """Wait for what is on its way, and end all threads."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        for appender in self._appenders.values():
            await asyncio.to_thread(appender.close)
        await self.fetchers.close()

    async def _watch(self) -> None:
        """Look whether what is read is still there: at once for a new reader, and then again and again."""
        while True:
            self._look_soon.clear()
            readers = list(self._readers)
            try:
                known = await self._topics.ids({topic for reader in readers for topic in reader.topics})
            except BrokerError as error:
                log.warning("cannot look at the topics that are read: %s", error)
            else:
                for reader in readers:
                    reader.check(known)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.options.watch_seconds):
                    await self._look_soon.wait()

    def _appender(self, batch_bytes: int) -> _Appender:
        appender = self._appenders.get(batch_bytes)
        if appender is None or appender.broken:
            appender = self._appenders[batch_bytes] = _Appender(
                self._settings.producer(batch_bytes), self._settings.options.answer_seconds
            )
        return appender
