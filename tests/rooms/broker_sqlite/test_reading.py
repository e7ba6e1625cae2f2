"""Reading without a group: up to where a topic ended when asked, or for ever."""

import asyncio
from contextlib import aclosing

from mainstem.broker import Record, TopicPartition, TopicSpec, read, read_all
from mainstem.broker.sqlite import SqliteOptions
from tests.rooms.broker_sqlite.conftest import AT, Opener, records


async def test_a_gap_at_the_end_is_not_waited_for(opened: Opener) -> None:
    """Compaction may take the last record away; reading up to the end stops all the same."""
    async with opened(options=SqliteOptions(tombstone_seconds=0.0)) as broker:
        await broker.admin.create(TopicSpec("latest", 2, compact=True))
        kept, gone = TopicPartition("latest", 0), TopicPartition("latest", 1)
        await broker.log.append(kept, records("kept"))
        await broker.log.append(gone, [*records("old"), Record(b"k", None, 1)])
        await broker.maintain()
        assert (await broker.admin.topics(["latest"]))["latest"].bounds == {kept: (0, 1), gone: (0, 2)}
        async with asyncio.timeout(5):
            assert [
                value for batch in [each async for each in read_all(broker, "latest")] for value in batch.values
            ] == [b"kept"]


async def test_everything_is_what_was_there_when_asked(opened: Opener) -> None:
    """What comes while somebody reads is not waited for; of a topic that is not there, there is nothing."""
    async with opened() as broker:
        await broker.log.append(AT, records("a", "b"))
        found: list[bytes | None] = []
        async for batch in read_all(broker, AT.topic):
            found += batch.values
            await broker.log.append(AT, records("later"))
        assert found == [b"a", b"b"]
        assert [batch async for batch in read_all(broker, "unknown")] == []


async def test_without_an_end_it_waits_for_more(opened: Opener) -> None:
    """Whoever follows a topic is given what comes, until he leaves."""
    async with opened() as broker, aclosing(read(broker.log, {AT: 0})) as batches:
        for text in ("a", "b"):
            coming = asyncio.ensure_future(anext(batches))
            await broker.log.append(AT, records(text))
            assert (await asyncio.wait_for(coming, 5)).values == [text.encode()]
