"""The plain producer and consumer: bytes in, bytes out, each at least once, in a group of nothing but readers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest

from mainstem import Consumer, Message, Producer
from mainstem.broker import Record, TopicPartition, TopicSpec, inbox_of
from mainstem.clock import SystemClock
from mainstem.errors import DefinitionError, MainstemError, UnknownTopic
from mainstem.events import partition_for
from mainstem.identifiers import Identifiers
from mainstem.service import Backend, connected
from mainstem.settings import Settings
from tests.journeys.conditions import until

QUICK = Settings(session_timeout_seconds=1, grace_seconds=5)


@asynccontextmanager
async def a_broker(url: str) -> AsyncIterator[Backend]:
    """A broker with a topic of two partitions."""
    clock = SystemClock()
    async with connected(url, clock, Identifiers(clock)) as broker:
        await broker.admin.create(TopicSpec("orders", 2))
        yield broker


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A file that processes may share."""
    return f"sqlite:///{tmp_path}/plain.db"


def consumer(broker: str | Backend, *, start: Literal["earliest", "latest"] = "earliest") -> Consumer:
    """One of the group of reports."""
    return Consumer("orders", group="reports", broker=broker, start=start, settings=QUICK)


async def some(reader: Consumer, count: int) -> list[Message]:
    """The next so many records."""
    async with asyncio.timeout(20):
        return [await anext(reader) for _ in range(count)]


class Cannot(Exception):
    """Somebody has failed over a record."""


async def fail_over(url: str, count: int, *, commit: bool = False) -> None:
    """Read so many records, and fail over the last one, before or after a commit."""
    async with consumer(url) as reader:
        await some(reader, count)
        if commit:
            await reader.commit()
        raise Cannot


async def owners(broker: Backend) -> set[str | None]:
    """Who has the tasks of the group; nobody is None."""
    found = await broker.admin.groups(["reports"])
    return set(found["reports"].owners) if found else {None}


async def test_what_is_sent_is_read() -> None:
    """Key, value, headers and time come as they went, from the partition of the key; a tombstone has no value."""
    async with a_broker("sqlite:///:memory:") as broker, Producer(broker) as producer:
        at = await producer.send("orders", b"one", key=b"c-1", headers={"h": b"1"}, timestamp_ms=5)
        assert at == (partition_for(b"c-1", 2), 0)
        assert await producer.send("orders", None, key=b"c-1") == (at[0], 1)
        async with consumer(broker) as reader:
            first, second = await some(reader, 2)
    assert first == Message("orders", at[0], 0, 5, b"c-1", b"one", {"h": b"1"})
    assert (second.offset, second.value) == (1, None)


async def test_records_without_a_key_are_spread() -> None:
    """They go to one partition after the other."""
    async with a_broker("sqlite:///:memory:") as broker, Producer(broker) as producer:
        sent = await asyncio.gather(*(producer.send("orders", b"") for _ in range(10)))
    assert sorted(partition for partition, _ in sent) == [0] * 5 + [1] * 5


async def test_a_record_is_done_when_the_next_is_asked_for(url: str) -> None:
    """Whoever fails over a record is given it again, and nothing before it; leaving in order is asking as well."""
    async with a_broker(url) as broker, Producer(broker) as producer:
        for number in range(4):
            await producer.send("orders", b"%d" % number, key=b"c-1")
        with pytest.raises(Cannot):
            await fail_over(url, 2)
        async with consumer(url) as reader:
            assert [each.value for each in await some(reader, 2)] == [b"1", b"2"]
        async with consumer(url) as reader:
            assert [each.value for each in await some(reader, 1)] == [b"3"]


async def test_a_commit_by_hand_is_durable_at_once(url: str) -> None:
    """What was committed does not come again, whatever happens behind it."""
    async with a_broker(url) as broker, Producer(broker) as producer:
        await producer.send("orders", b"0", key=b"c-1")
        await producer.send("orders", b"1", key=b"c-1")
        with pytest.raises(Cannot):
            await fail_over(url, 1, commit=True)
        at = TopicPartition("orders", partition_for(b"c-1", 2))
        assert (await broker.admin.groups(["reports"]))["reports"].positions[at] == 1
        async with consumer(url) as reader:
            assert [each.value for each in await some(reader, 1)] == [b"1"]


async def test_two_consumers_share_the_partitions(url: str) -> None:
    """A second one is given its share while the first goes on, and the first has all again when it leaves."""
    async with a_broker(url) as broker, Producer(broker) as producer, consumer(url) as first:
        keys = {partition_for(b"%d" % number, 2): b"%d" % number for number in range(10)}
        await asyncio.gather(*(producer.send("orders", b"a", key=keys[n]) for n in (0, 1)))
        assert {each.partition for each in await some(first, 2)} == {0, 1}
        async with consumer(url) as second:
            # The record that the first one has in hand is done before its partition goes.
            ahead = asyncio.create_task(anext(first))

            async def shared() -> bool:
                found = await owners(broker)
                return len(found) == 2 and None not in found

            await until(shared)
            await asyncio.gather(*(producer.send("orders", b"b", key=keys[n]) for n in (0, 1)))
            async with asyncio.timeout(20):
                mine, yours = await ahead, await anext(second)
            assert {mine.partition, yours.partition} == {0, 1}
            assert {mine.value, yours.value} == {b"b"}
        await asyncio.gather(*(producer.send("orders", b"c", key=keys[n]) for n in (0, 1)))
        assert {(each.partition, each.value) for each in await some(first, 2)} == {(0, b"c"), (1, b"c")}


async def test_a_new_group_may_begin_at_the_end() -> None:
    """With ``start="latest"`` what was there before is passed over, once and for all."""
    async with a_broker("sqlite:///:memory:") as broker, Producer(broker) as producer:
        await producer.send("orders", b"old", key=b"c-1")
        async with consumer(broker, start="latest") as reader:
            ahead = asyncio.create_task(anext(reader))

            async def begun() -> bool:
                groups = await broker.admin.groups()
                return "reports" in groups and len(groups["reports"].positions) == 4

            await until(begun)
            await producer.send("orders", b"new", key=b"c-1")
            async with asyncio.timeout(20):
                assert (await ahead).value == b"new"


async def test_a_command_to_the_group_is_passed_over() -> None:
    """What somebody writes into its inbox is no record of its topics."""
    async with a_broker("sqlite:///:memory:") as broker, Producer(broker) as producer, consumer(broker) as reader:
        await producer.send("orders", b"0", key=b"c-1")
        await some(reader, 1)
        await broker.log.append(TopicPartition(inbox_of("reports"), 0), [Record(b"", b"discard", 1)])
        await producer.send("orders", b"1", key=b"c-1")
        assert [each.value for each in await some(reader, 1)] == [b"1"]


async def test_what_is_not_there_is_refused() -> None:
    """A missing topic, a consumer of nothing, and one that is not open."""
    async with a_broker("sqlite:///:memory:") as broker, Producer(broker) as producer:
        with pytest.raises(UnknownTopic, match="ordres"):
            await producer.send("ordres", b"")
        with pytest.raises(UnknownTopic, match="ordres"):
            async with Consumer("ordres", group="reports", broker=broker):
                pass
    with pytest.raises(DefinitionError):
        Consumer(group="reports")
    with pytest.raises(DefinitionError):
        await anext(consumer("sqlite:///:memory:"))
    with pytest.raises(MainstemError):
        await Producer("sqlite:///:memory:").send("orders", b"")
