"""The log: what is appended together lies together, and is read together."""

import asyncio
import time
from pathlib import Path

import pytest

from mainstem.broker import Record, TopicPartition, TopicSpec
from mainstem.broker.sqlite import SqliteOptions
from mainstem.errors import DatabaseFailed, DiskFull, RecordTooLarge, UnknownTopic
from tests.rooms.broker_sqlite.conftest import AT, ROWS, Opener, outcome, records, taken, values


async def test_appends_that_wait_are_merged_into_a_row(opened: Opener) -> None:
    """Singles of one group commit become one row; each caller is told its own offset."""
    async with opened(options=SqliteOptions(latency=lambda: 0.001)) as broker:
        offsets = await asyncio.gather(*(broker.log.append(AT, records(f"{n}")) for n in range(300)))
        assert offsets == list(range(300))
        assert broker.database.all(ROWS) == [(0, 299)]
        assert values(broker) == [f"{n}" for n in range(300)]


async def test_one_of_them_that_is_too_large_is_refused_alone(opened: Opener) -> None:
    """A record over the topic's limit costs those that are appended beside it nothing."""
    async with opened(options=SqliteOptions(latency=lambda: 0.001)) as broker:
        await broker.admin.alter(TopicSpec(AT.topic, 1, record_bytes_max=100))
        appends = [broker.log.append(AT, records(value)) for value in ("a", "x" * 200, "b")]
        found = [await outcome(each) for each in [asyncio.ensure_future(append) for append in appends]]
        assert found[::2] == [0, 1]
        assert isinstance(found[1], RecordTooLarge)
        assert values(broker) == ["a", "b"]


async def test_an_append_whose_caller_has_gone_costs_the_others_nothing(opened: Opener) -> None:
    """A caller that is cancelled while its records wait does not take the merged row along."""
    async with opened(options=SqliteOptions(latency=lambda: 0.01)) as broker:
        first, second = (asyncio.ensure_future(broker.log.append(AT, records(value))) for value in "ab")
        await asyncio.sleep(0)
        first.cancel()
        assert await second == 1


async def test_a_topic_that_is_deleted_meanwhile_refuses(opened: Opener) -> None:
    """An append to a topic that goes before it is written is refused, and its neighbours are not."""
    other = TopicPartition("other", 0)
    async with opened(options=SqliteOptions(latency=lambda: 0.001)) as broker:
        await broker.admin.create(TopicSpec("other", 1))
        await broker.log.append(other, records("before"))
        deleting = asyncio.ensure_future(broker.admin.delete("other"))
        await asyncio.sleep(0)
        late, good = (asyncio.ensure_future(broker.log.append(at, records("x"))) for at in (other, AT))
        await deleting
        assert isinstance(await outcome(late), UnknownTopic)
        assert await good == 0


async def test_what_is_sent_in_order_lies_in_order(opened: Opener) -> None:
    """Appends that are merged do not overtake a transaction that was submitted between them."""
    async with opened(options=SqliteOptions(latency=lambda: 0.001)) as broker:
        sent: list[asyncio.Future[object]] = []
        for number in range(0, 9, 3):
            sent.append(asyncio.ensure_future(broker.log.append(AT, records(f"{number}"))))
            transaction = broker.log.transaction()
            transaction.append(AT, records(f"{number + 1}", f"{number + 2}"))
            sent.append(asyncio.ensure_future(transaction.commit()))
        await asyncio.gather(*sent)
        assert values(broker) == [f"{number}" for number in range(9)]


async def test_a_file_that_has_failed_refuses_every_append(opened: Opener) -> None:
    """Also those behind the first: nobody waits for ever in a row that is never written."""
    async with opened() as broker:
        broker.database.writer.fail(DatabaseFailed("the disk is gone"))
        async with asyncio.timeout(5):
            assert [type(await outcome(broker.log.append(AT, records("x")))) for _ in range(3)] == [DatabaseFailed] * 3


async def test_small_rows_are_read_as_large_batches(opened: Opener) -> None:
    """Records that were appended one by one come a thousand at a time or so, also of several types."""
    async with opened(options=SqliteOptions(latency=lambda: 0.0)) as broker:
        types = [{"ce_type": b"A", "ce_source": b"s"}, {"ce_type": b"B", "ce_source": b"s"}]
        for number in range(1_200):
            await broker.log.append(AT, [Record(None, b"", number, types[number % 2], {"ce_id": b"%d" % number})])
        batches = taken(broker)
        assert len(batches) <= 3
        assert all(batch.common == {"ce_source": b"s"} for batch in batches)
        found = [each for batch in batches for each in zip(batch.column("ce_type"), batch.column("ce_id"), strict=True)]
        assert found == [(types[number % 2]["ce_type"], b"%d" % number) for number in range(1_200)]


async def test_readers_share_fairly_between_partitions(opened: Opener) -> None:
    """A full partition does not keep a reader from the others."""
    async with opened() as broker:
        await broker.admin.create(TopicSpec("many", 3))
        ats = [TopicPartition("many", partition) for partition in range(3)]
        for at in ats:
            await broker.log.append(at, records(*["x"] * 5_000))
        reader = broker.log.reader(dict.fromkeys(ats, 0))
        first = [reader.take() for _ in range(6)]
        assert [batch.partition for batch in first if batch] == [0, 1, 2, 0, 1, 2]


async def test_below_the_reserve_publishing_is_refused_and_commits_go_on(opened: Opener, tmp_path: Path) -> None:
    """With little disk left, records from outside are refused; the admin and tasks still write."""
    async with opened(tmp_path / "log.db", options=SqliteOptions(reserve_bytes=1 << 60)) as broker:
        assert isinstance(await outcome(broker.log.append(AT, records("a"))), DiskFull)
        transaction = broker.log.transaction()
        transaction.append(AT, records("a"))
        assert isinstance(await outcome(transaction.commit()), DiskFull)
        await broker.admin.create(TopicSpec("still", 1))
        assert values(broker) == []


@pytest.mark.parametrize("on_disk", [True, False])
async def test_a_reader_waits_without_looking(*, on_disk: bool, opened: Opener, tmp_path: Path) -> None:
    """Nothing is read while nothing is there, and an append wakes whoever waits for its partition at once."""
    async with opened(tmp_path / "log.db" if on_disk else None) as broker:
        await broker.admin.create(TopicSpec("other", 1))
        mine, others = broker.log.reader({AT: 0}), broker.log.reader({TopicPartition("other", 0): 0})
        assert mine.take() is None
        assert others.take() is None
        waits = [asyncio.ensure_future(reader.wait()) for reader in (mine, others)]
        await asyncio.sleep(0)
        begun = time.monotonic()
        await broker.log.append(AT, records("a"))
        await waits[0]
        assert time.monotonic() - begun < 0.2
        batch = mine.take()
        assert batch is not None
        assert list(batch.values) == [b"a"]
        others.close()
        await waits[1]
