"""Maintenance: it warns before it takes, works in small steps, and one process at a time."""

import asyncio
import logging
from collections import Counter
from pathlib import Path

import apsw
import pytest
from msgspec.structs import replace

from mainstem.broker import Change, GroupSpec, Record, TopicPartition, TopicSpec
from mainstem.broker.sqlite import RetentionAlarm, SqliteBroker, SqliteOptions
from mainstem.clock import ManualClock, SystemClock
from mainstem.database import Query
from tests.rooms.broker_sqlite.conftest import AT, ROWS, Opener, records, until, values

DAY_MS = 86_400_000
LOGS = Query[tuple[int]]("select count(*) from log")
ENTRIES = Query[tuple[int]]("select count(*) from entry")
PARTITIONS = Query[tuple[int]]("select count(*) from partition")


async def filled(broker: SqliteBroker, clock: ManualClock, count: int) -> None:
    """A topic that keeps a day, with records of now, each in a row of its own."""
    await broker.admin.alter(TopicSpec(AT.topic, 1, retention_ms=DAY_MS))
    for number in range(count):
        await broker.log.append(AT, records(f"{number}", timestamp_ms=clock.now_ms()))


async def test_retention_alarms_before_it_passes_a_live_group(
    opened: Opener, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """It waits for a live group and says so once; when the group moves on it follows; after the hold it goes on."""
    caplog.set_level(logging.WARNING, "mainstem")
    alarms: list[RetentionAlarm] = []
    options = SqliteOptions(alarm=alarms.append, hold_seconds=3_600, latency=lambda: 0.0)
    async with opened(clock=clock, options=options) as broker:
        await filled(broker, clock, 5)
        membership = await broker.group.join(GroupSpec("slow", "s", 1, {AT.topic: 1}, session_timeout_seconds=1e9))
        ownership = await membership.take_over(0)

        async def move(position: int) -> None:
            transaction = ownership.transaction()
            transaction.positions({AT: position, TopicPartition("slow.inbox", 0): 0})
            await transaction.commit()

        await move(2)
        clock.advance(DAY_MS / 1_000 + 1)
        for _ in range(3):
            await broker.maintain()
        assert await broker.log.bounds(AT) == (2, 5)
        hold_until = clock.now_ms() + 3_600_000
        assert alarms == [RetentionAlarm("slow", AT, 2, 5, hold_until)]
        assert "slow" in caplog.text
        await move(3)
        await broker.maintain()
        assert await broker.log.bounds(AT) == (3, 5)
        assert len(alarms) == 2
        clock.advance(3_601)
        caplog.clear()
        await broker.maintain()
        assert await broker.log.bounds(AT) == (5, 5)
        assert "passes offset 3 of the live group slow" in caplog.text
        await filled(broker, clock, 1)
        clock.advance(DAY_MS / 1_000 + 1)
        await broker.maintain()
        assert await broker.log.bounds(AT) == (6, 6), "what is lost already is not waited for"


async def test_what_a_dead_group_has_not_read_goes_with_a_record(
    opened: Opener, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A group without members holds nothing back, but the log says what it loses."""
    caplog.set_level(logging.WARNING, "mainstem")
    async with opened(clock=clock, options=SqliteOptions(latency=lambda: 0.0)) as broker:
        await filled(broker, clock, 3)
        membership = await broker.group.join(GroupSpec("gone", "s", 1, {AT.topic: 1}))
        ownership = await membership.take_over(0)
        transaction = ownership.transaction()
        transaction.positions({AT: 1, TopicPartition("gone.inbox", 0): 0})
        await transaction.commit()
        await membership.leave()
        clock.advance(DAY_MS / 1_000 + 1)
        await broker.maintain()
        assert await broker.log.bounds(AT) == (3, 3)
        assert "offset 1 of the group gone" in caplog.text


async def test_a_command_leaves_a_day_after_it_was_carried_out(opened: Opener, clock: ManualClock) -> None:
    """An inbox keeps what its group has yet to do, also where no member lives; other topics keep for ever."""
    inbox = TopicPartition("shop.inbox", 0)
    async with opened(clock=clock, options=SqliteOptions(latency=lambda: 0.0)) as broker:
        membership = await broker.group.join(GroupSpec("shop", "s", 1, {AT.topic: 1}))
        transaction = (await membership.take_over(0)).transaction()
        for at in (inbox, AT):
            for number in range(4):
                await broker.log.append(at, records(f"{number}", timestamp_ms=clock.now_ms()))
        transaction.positions({AT: 4, inbox: 3})
        await transaction.commit()
        await membership.leave()
        await broker.maintain()
        assert await broker.log.bounds(inbox) == (0, 4)
        clock.advance(DAY_MS / 1_000 + 1)
        await broker.maintain()
        assert (await broker.log.bounds(inbox), await broker.log.bounds(AT)) == ((3, 4), (0, 4))


async def test_it_works_in_small_steps(opened: Opener, clock: ManualClock) -> None:
    """Retention of many rows is many short transactions, between which others write."""
    points: Counter[str] = Counter()
    options = SqliteOptions(latency=lambda: 0.0, at=lambda point: points.update([point]))
    async with opened(clock=clock, options=options) as broker:
        await filled(broker, clock, 200)
        clock.advance(DAY_MS / 1_000 + 1)
        before = points["committed"]
        await broker.maintain()
        assert points["committed"] - before >= 5
        assert broker.database.all(LOGS) == [(0,)]


async def test_a_deleted_topic_leaves_nothing(opened: Opener) -> None:
    """After maintenance the rows and the partitions of a deleted topic are gone; a new one of its name is another."""
    async with opened(options=SqliteOptions(latency=lambda: 0.0)) as broker:
        for number in range(100):
            await broker.log.append(AT, records(f"{number}"))
        before = (await broker.admin.topics())[AT.topic].topic_id
        await broker.admin.delete(AT.topic)
        await broker.admin.create(TopicSpec(AT.topic, 1))
        await broker.log.append(AT, records("new"))
        await broker.maintain()
        assert values(broker) == ["new"]
        assert broker.database.all(LOGS) == broker.database.all(PARTITIONS) == [(1,)]
        assert (await broker.admin.topics())[AT.topic].topic_id != before


async def test_a_deleted_group_leaves_nothing(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its stores are gone for everybody at once; their rows go in slices, and nobody else's go with them."""
    monkeypatch.setattr("mainstem.broker.sqlite.maintenance._SLICE_ENTRIES", 10)
    async with opened(options=SqliteOptions(latency=lambda: 0.0)) as broker:
        for name in ("gone", "stays"):
            membership = await broker.group.join(GroupSpec(name, "s", 1, {AT.topic: 1}))
            transaction = (await membership.take_over(0)).transaction()
            transaction.changes(Change("store", b"%d" % number, b"v") for number in range(35))
            transaction.positions({AT: 0, TopicPartition(f"{name}.inbox", 0): 0})
            await transaction.commit()
            await membership.leave()
        await broker.admin.delete_group("gone")
        assert broker.rows("gone", 0).count("store") == 0
        assert broker.database.all(ENTRIES) == [(70,)]
        await broker.maintain()
        assert broker.database.all(ENTRIES) == [(35,)]
        assert broker.rows("stays", 0).count("store") == 35


async def test_compaction_puts_small_rows_together(opened: Opener) -> None:
    """What is left of many small rows is few large ones; a second run finds nothing to do."""
    async with opened(options=SqliteOptions(latency=lambda: 0.0)) as broker:
        await broker.admin.create(TopicSpec("table", 1, compact=True))
        at = TopicPartition("table", 0)
        for number in range(600):
            await broker.log.append(at, [Record(b"%d" % (number % 200), b"%d" % number, number)])
        await broker.maintain()
        assert values(broker, at) == [f"{number}" for number in range(400, 600)]
        rows = broker.database.all(ROWS)
        assert rows == [(400, 599)]
        await broker.maintain()
        assert broker.database.all(ROWS) == rows


async def test_tombstones_stay_for_a_while(opened: Opener, clock: ManualClock) -> None:
    """A reader has time to see a deletion; after that, nothing is left of the key, and the end stays where it was."""
    options = SqliteOptions(latency=lambda: 0.0, tombstone_seconds=60)
    async with opened(clock=clock, options=options) as broker:
        await broker.admin.create(TopicSpec("table", 1, compact=True))
        at = TopicPartition("table", 0)
        await broker.log.append(at, [Record(b"k", value, clock.now_ms()) for value in (b"1", None)])
        await broker.maintain()
        assert values(broker, at) == [""]
        clock.advance(61)
        await broker.maintain()
        assert values(broker, at) == []
        assert await broker.log.bounds(at) == (0, 2)


async def test_one_process_maintains_at_a_time(opened: Opener, tmp_path: Path) -> None:
    """While one process has its turn another one waits, and what is due is done once."""
    path = tmp_path / "log.db"
    async with opened(path) as first, opened(path) as second:
        assert first.database.turn.try_acquire()
        waiting = asyncio.ensure_future(second.maintain())
        await asyncio.sleep(0.01)
        assert not waiting.done()
        first.database.turn.release()
        await waiting


async def test_a_file_is_maintained_by_itself(opened: Opener, clock: ManualClock, tmp_path: Path) -> None:
    """On a file, nobody has to ask; a clock that was set back does not stop it."""
    options = SqliteOptions(maintenance_seconds=0.01)
    async with opened(tmp_path / "log.db", clock=clock, options=options) as broker:
        await filled(broker, clock, 3)
        clock.advance(DAY_MS / 1_000 + 1)
        await until(lambda: broker.database.all(LOGS) == [(0,)])
        clock.jump(-3_600)
        await broker.log.append(AT, records("old", timestamp_ms=1))
        await until(lambda: broker.database.all(LOGS) == [(0,)])


async def test_a_file_of_before_retention_by_size_is_taken_over(opened: Opener, tmp_path: Path) -> None:
    """Its topics keep what they kept; from now on they can be told how many bytes to keep."""
    path = tmp_path / "log.db"
    async with opened(path) as broker:
        await broker.admin.create(TopicSpec("sized", 1, retention_ms=DAY_MS))
    connection = apsw.Connection(str(path))
    connection.execute("alter table topic drop column retention_bytes")
    connection.close()
    async with opened(path) as broker:
        spec = (await broker.admin.topics(["sized"]))["sized"].spec
        assert spec == TopicSpec("sized", 1, retention_ms=DAY_MS)
        await broker.admin.alter(replace(spec, retention_bytes=1_000))
        assert (await broker.admin.topics(["sized"]))["sized"].spec.retention_bytes == 1_000


async def test_both_retentions_take_away_what_either_would(opened: Opener) -> None:
    """A record leaves when it is old, however few there are; and when there are too many, however young."""
    async with opened() as broker:
        now = SystemClock().now_ms()
        await broker.admin.create(TopicSpec("sized", 1, retention_ms=DAY_MS, retention_bytes=10_000))
        at = TopicPartition("sized", 0)
        await broker.log.append(at, [Record(None, b"old", now - 2 * DAY_MS)])
        for _ in range(3):
            await broker.log.append(at, [Record(None, b"young" * 200, now)])
        await broker.maintain()
        assert await broker.log.bounds(at) == (1, 4)
        for _ in range(100):
            await broker.log.append(at, [Record(None, b"young" * 200, now)])
        await broker.maintain()
        assert await broker.log.bounds(at) == (94, 104)
