"""What a client knows of topics, and what it reads of them."""

import asyncio
from collections.abc import Callable, Iterable

import pytest
from confluent_kafka import OFFSET_INVALID, KafkaException, Producer
from confluent_kafka.admin import AdminClient, ListOffsetsResultInfo
from confluent_kafka.cimpl import NewPartitions, NewTopic

from mainstem.broker import Reader, Record, TopicPartition
from mainstem.broker.kafka import KafkaOptions
from mainstem.broker.kafka.calls import failure
from mainstem.broker.kafka.fetcher import Found
from mainstem.broker.kafka.reader import KafkaReader
from mainstem.broker.kafka.topics import Laid
from mainstem.broker.kafka.topics.topics import told
from mainstem.errors import BrokerAway, UnknownTopic
from tests.crash.crew import wait_until
from tests.journeys.conditions import until
from tests.kafka.clients import connected, partition


async def taken(reader: Reader) -> list[bytes | None]:
    """The next values."""
    while (batch := reader.take()) is None or not batch.values:
        await reader.wait()
    return list(batch.values)


def record(value: bytes) -> Record:
    """A record."""
    return Record(b"k", value, 1)


async def test_a_partition_that_was_added_is_found(
    kafka: str, kafka_admin: AdminClient, unique: Callable[[str], str]
) -> None:
    """What is remembered of a topic refuses nothing: where it does not fit, the cluster is asked again."""
    async with connected(kafka) as broker:
        topic = (await partition(broker, unique("facts"))).topic
        added = TopicPartition(topic, 1)
        with pytest.raises(UnknownTopic):
            await broker.log.append(added, [record(b"1")])
        kafka_admin.create_partitions([NewPartitions(topic, 2)])[topic].result()
        wait_until(lambda: len(kafka_admin.list_topics(topic).topics[topic].partitions) == 2, "the partition")
        await broker.log.append(added, [record(b"1")])


async def test_all_that_wait_for_an_answer_get_the_same_one(
    kafka: str, unique: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several answers would come in any order, and so would what was to be appended after them."""
    async with connected(kafka) as broker:
        at, topics = await partition(broker, unique("facts")), broker._topics
        topics.forget(at.topic)
        asked, layout = [], topics.layout

        async def counting(names: Iterable[str]) -> dict[str, Laid]:
            asked.append(names)
            return await layout(names)

        monkeypatch.setattr(topics, "layout", counting)
        offsets = await asyncio.gather(*(broker.log.append(at, [record(b"%d" % number)]) for number in range(5)))
        assert (offsets, len(asked)) == ([0, 1, 2, 3, 4], 1)


async def test_a_topic_that_was_made_anew_between_two_looks(
    kafka: str, kafka_admin: AdminClient, unique: Callable[[str], str]
) -> None:
    """It has its name and its partitions, and is another one: a reader says so, and reads nothing at its old offset."""
    async with connected(kafka, KafkaOptions(watch_seconds=3_600)) as broker:
        at = await partition(broker, unique("facts"))
        await broker.log.append(at, [record(b"1")])
        reader = broker.log.reader({at: 0})
        assert await taken(reader) == [b"1"]
        kafka_admin.delete_topics([at.topic])[at.topic].result()
        wait_until(lambda: at.topic not in kafka_admin.list_topics().topics, "the topic to be gone")
        kafka_admin.create_topics([NewTopic(at.topic, 1)])[at.topic].result()
        wait_until(lambda: at.topic in kafka_admin.list_topics().topics, "the topic to be there again")
        broker._log._look_soon.set()
        with pytest.raises(UnknownTopic, match="created again"):
            await taken(reader)


async def test_what_was_aborted_is_never_read(kafka: str, unique: Callable[[str], str]) -> None:
    """Readers are given what is committed, whoever has written it."""
    async with connected(kafka) as broker:
        at = await partition(broker, unique("facts"))
        stranger = Producer({"bootstrap.servers": kafka, "transactional.id": unique("writer"), "retry.backoff.ms": 1})
        stranger.init_transactions(20)
        stranger.begin_transaction()
        stranger.produce(at.topic, b"aborted", partition=at.partition)
        stranger.flush(20)
        stranger.abort_transaction(20)
        await broker.log.append(at, [record(b"after")])
        assert await taken(broker.log.reader({at: 0})) == [b"after"]


async def test_what_was_read_before_a_seek_is_dropped(kafka: str, unique: Callable[[str], str]) -> None:
    """The thread that reads may hand over what it had drained when it had not heard of the seek yet."""
    async with connected(kafka) as broker:
        at = await partition(broker, unique("facts"))
        await broker.log.append(at, [record(b"0"), record(b"1")])
        reader = broker.log.reader({at: 0})
        assert isinstance(reader, KafkaReader)
        late = Found(0)
        late.piece.offsets, late.piece.keys, late.piece.values, late.piece.timestamps = [0], [b"k"], [b"0"], [1]
        reader.seek(at, 1)
        reader._partitions[at].found(late)
        assert await taken(reader) == [b"1"]


async def test_only_so_much_is_read_ahead(kafka: str, unique: Callable[[str], str]) -> None:
    """Reading stops where nobody takes what was read, and goes on when somebody does; nothing is left out."""
    async with connected(kafka, KafkaOptions(prefetch_bytes=20_000)) as broker:
        at = await partition(broker, unique("facts"))
        values = [b"%d" % number * 1_000 for number in range(200)]
        await broker.log.append(at, [record(value) for value in values])
        reader = broker.log.reader({at: 0})
        assert isinstance(reader, KafkaReader)
        sources = reader._fetcher._sources
        await until(lambda: at in sources and sources[at].paused)
        found: list[bytes | None] = []
        while len(found) < len(values):
            found += await taken(reader)
        assert found == values


async def test_a_record_from_the_beginning_of_time_stays_there(kafka: str, unique: Callable[[str], str]) -> None:
    """To the client a timestamp of 0 means now; the next one that it takes as a time stands for it."""
    async with connected(kafka) as broker:
        at = await partition(broker, unique("facts"))
        await broker.log.append(at, [Record(b"k", b"appended", 0)])
        transaction = broker.log.transaction()
        transaction.append(at, [Record(b"k", b"committed", 0)])
        await transaction.commit()
        reader, found = broker.log.reader({at: 0}), list[int]()
        while len(found) < 2:
            while (batch := reader.take()) is None:
                await reader.wait()
            found += batch.timestamps
        assert found == [1, 1]


def test_an_answer_without_an_offset_is_none() -> None:
    """A store was once taken for empty, because its changelog was said to end there: it is asked again."""
    assert told(ListOffsetsResultInfo(7, 0, 0)) == 7
    assert told(ListOffsetsResultInfo(-1, 0, 0)) == -1, "of a time that no record has"
    with pytest.raises(KafkaException) as raised:
        told(ListOffsetsResultInfo(OFFSET_INVALID, 0, 0))
    assert raised.value.args[0].retriable()
    assert isinstance(failure(raised.value, "orders[0]"), BrokerAway)
