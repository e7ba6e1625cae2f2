"""Rules of upkeep: what retention and compaction take away, and what they must leave."""

import asyncio
import logging
from contextlib import suppress
from typing import Self

from mainstem.broker import Record, TopicPartition
from mainstem.errors import OffsetOutOfRange
from mainstem.testing.conformance.broker.cast import new_group, sole_member, take_over
from mainstem.testing.conformance.broker.stage import Stage, rule, values

MINUTE_MS = 60_000


@rule("maintenance_on_demand")
async def old_records_leave(stage: Stage) -> None:
    """Records older than the retention leave and the start moves; younger ones stay where they were."""
    at = TopicPartition(await stage.topic(retention_ms=10 * MINUTE_MS), 0)
    await _aged(stage, at, "old", 60)
    await _aged(stage, at, "young", 1)
    before = await stage.content(at, 6)
    _, end = await stage.broker.log.bounds(at)
    await stage.harness.maintained()
    assert await stage.content(at, 3) == before[3:]
    start, end_after = await stage.broker.log.bounds(at)
    assert before[2].offset < start <= before[3].offset
    assert end_after == end
    described = (await stage.broker.admin.topics([at.topic]))[at.topic]
    assert (described.starts, described.ends) == ((start,), (end,))


@rule("maintenance_on_demand")
async def offsets_go_on_when_everything_has_left(stage: Stage) -> None:
    """A partition whose records have all left goes on with the offset it had come to."""
    at = TopicPartition(await stage.topic(retention_ms=10 * MINUTE_MS), 0)
    await _aged(stage, at, "old", 60)
    _, end = await stage.broker.log.bounds(at)
    await stage.harness.maintained()
    assert await stage.broker.log.bounds(at) == (end, end)
    assert await stage.broker.log.append(at, stage.records("new")) == end
    assert values(await stage.content(at, 1)) == ["new"]


@rule("maintenance_on_demand")
async def what_is_too_much_leaves(stage: Stage) -> None:
    """Of a topic that is kept by its size the oldest records leave; so many bytes of the youngest stay as they were."""
    at = TopicPartition(await stage.topic(retention_bytes=100_000), 0)
    now = stage.harness.now_ms()
    for number in range(40):
        await stage.broker.log.append(at, [Record(b"k", b"%02d" % number * 5_000, now)])
    before = await stage.content(at, 40)
    _, end = await stage.broker.log.bounds(at)
    await stage.harness.maintained()
    start, end_after = await stage.broker.log.bounds(at)
    kept = [each for each in before if each.offset >= start]
    assert end_after == end
    assert 9 <= len(kept) <= 20
    assert await stage.content(at, len(kept)) == kept


@rule("maintenance_on_demand")
async def without_retention_everything_stays(stage: Stage) -> None:
    """A topic without retention keeps its records, however old."""
    at = await stage.partition()
    await _aged(stage, at, "ancient", 60 * 24 * 365)
    before = await stage.content(at, 3)
    await stage.harness.maintained()
    assert await stage.content(at, 3) == before


@rule("maintenance_on_demand", "virtual_time")
async def records_grow_old(stage: Stage) -> None:
    """A record leaves when it has come of age, and not before."""
    at = TopicPartition(await stage.topic(retention_ms=10 * MINUTE_MS), 0)
    await stage.broker.log.append(at, stage.records("a"))
    await stage.harness.advance(5 * 60)
    await stage.harness.maintained()
    assert values(await stage.content(at, 1)) == ["a"]
    await stage.harness.advance(6 * 60)
    await stage.harness.maintained()
    start, end = await stage.broker.log.bounds(at)
    assert start == end


@rule("maintenance_on_demand")
async def an_offset_that_retention_has_passed_is_refused(stage: Stage) -> None:
    """An offset below the start is out of range, for a new reader, after a seek, and for one that fell behind."""
    at = TopicPartition(await stage.topic(retention_ms=10 * MINUTE_MS), 0)
    await _aged(stage, at, "old", 60)
    await _aged(stage, at, "young", 1)
    first, *_ = await stage.content(at, 6)
    behind = stage.reader_at({at: first.offset})
    await stage.harness.maintained()
    await stage.refusal(stage.reader_at({at: first.offset}), OffsetOutOfRange)
    await stage.refusal(behind, OffsetOutOfRange)
    reader = await stage.reader(at)
    await stage.read(reader, 3)
    reader.seek(at, first.offset)
    await stage.refusal(reader, OffsetOutOfRange)
    start, _ = await stage.broker.log.bounds(at)
    reader.seek(at, start)
    assert values(await stage.read(reader, 3)) == ["young0", "young1", "young2"]


@rule("maintenance_on_demand")
async def nothing_is_skipped_in_silence(stage: Stage) -> None:
    """A reader that retention overtakes goes on with the next record or is told: it never passes over one."""
    at = TopicPartition(await stage.topic(retention_ms=10 * MINUTE_MS), 0)
    stamp = stage.harness.now_ms() - 60 * MINUTE_MS
    for first in range(0, 3_000, 300):
        old = [Record(b"k", f"{n:04d}".encode() + b"x" * 500, stamp) for n in range(first, first + 300)]
        await stage.broker.log.append(at, old)
    await _aged(stage, at, "young", 1)
    reader = await stage.reader(at, on=await stage.client())
    batch = await stage.take(reader)
    await stage.harness.maintained()
    read = [(value or b"")[:4].decode() for value in batch.values]
    assert len(read) < 3_000, "the first batch holds everything, so nobody falls behind"
    with suppress(OffsetOutOfRange):
        while len(read) < 3_000:
            read += [(value or b"")[:4].decode() for value in (await stage.take(reader)).values]
    assert read == [f"{n:04d}" for n in range(len(read))]


@rule("maintenance_on_demand", "retention_waits")
async def retention_waits_for_a_live_group(stage: Stage) -> None:
    """Retention waits at the position of a live group, with a warning in the log; it goes on when the group has."""
    at = TopicPartition(await stage.topic("orders", retention_ms=10 * MINUTE_MS), 0)
    await _aged(stage, at, "old", 60)
    before = await stage.content(at, 3)
    _, end = await stage.broker.log.bounds(at)
    group = new_group(stage, inputs={at.topic: 1})
    task = await take_over(await sole_member(stage, group), group)
    await task.transaction(moved={at: before[1].offset}).commit()
    with Warnings() as warnings:
        await stage.harness.maintained()
    assert [text for text in warnings.texts if group.name in text and at.topic in text], "nobody was warned"
    start, _ = await stage.broker.log.bounds(at)
    assert start <= before[1].offset
    assert await stage.read(stage.reader_at({at: before[1].offset}), 2) == before[1:]
    await task.transaction(moved={at: end}).commit()
    await stage.harness.maintained()
    assert await stage.broker.log.bounds(at) == (end, end)


@rule("maintenance_on_demand", "retention_waits")
async def retention_waits_for_no_group_that_has_gone(stage: Stage) -> None:
    """A group without live members holds nothing back."""
    at = TopicPartition(await stage.topic("orders", retention_ms=10 * MINUTE_MS), 0)
    await _aged(stage, at, "old", 60)
    start, end = await stage.broker.log.bounds(at)
    group = new_group(stage, inputs={at.topic: 1})
    member = await sole_member(stage, group)
    task = await take_over(member, group)
    await task.transaction(moved={at: start}).commit()
    await member.leave()
    await stage.harness.maintained()
    assert await stage.broker.log.bounds(at) == (end, end)


@rule("maintenance_on_demand")
async def compaction_keeps_the_last_of_each_key(stage: Stage) -> None:
    """Compaction leaves the last record of each key, at its offset, with its headers and timestamp, in order."""
    at = TopicPartition(await stage.topic("table", compact=True), 0)
    now = stage.harness.now_ms()
    appended = [
        Record(key.encode(), f"{key}{n}".encode(), now - 100 + n, {"kind": b"row"}, {"n": str(n).encode()})
        for n, key in enumerate("abacbdaceb")
    ]
    for index in range(0, 10, 4):
        await stage.broker.log.append(at, appended[index : index + 4])
    before = await stage.content(at, 10)
    await stage.harness.maintained()
    last = {each.record.key: each for each in before}
    assert await stage.content(at, 5) == sorted(last.values(), key=lambda each: each.offset)


@rule("maintenance_on_demand")
async def offsets_that_compaction_took_are_passed(stage: Stage) -> None:
    """Reading from an offset that compaction took away goes on with the next record that is left."""
    at = TopicPartition(await stage.topic("table", compact=True), 0)
    for n, key in enumerate("aaabbabc"):
        await stage.broker.log.append(at, stage.records(f"{key}{n}", key=key.encode()))
    before = await stage.content(at, 8)
    _, end = await stage.broker.log.bounds(at)
    reader = await stage.reader(at)
    reader.pause([at])
    await stage.harness.maintained()
    left = await stage.content(at, 3)
    assert values(left) == ["a5", "b6", "c7"]
    for each in before:
        expected = [other for other in left if other.offset >= each.offset]
        assert await stage.read(stage.reader_at({at: each.offset}), len(expected)) == expected
    reader.resume([at])
    assert await stage.read(reader, 3) == left
    assert await stage.broker.log.append(at, stage.records("d", key=b"d")) == end


@rule("maintenance_on_demand")
async def a_tombstone_removes_its_key(stage: Stage) -> None:
    """After compaction a key whose last record is a tombstone has no value; one that came back has its new one."""
    at = TopicPartition(await stage.topic("table", compact=True), 0)
    now = stage.harness.now_ms()
    history = [(b"a", b"1"), (b"b", b"1"), (b"a", None), (b"b", None), (b"c", b""), (b"b", b"2"), (b"d", None)]
    await stage.broker.log.append(at, [Record(key, value, now) for key, value in history])
    await stage.content(at, 7)
    await stage.harness.maintained()
    reader = await stage.reader(at)
    left = [(each.record.key, each.record.value) for each in await stage.drained(reader)]
    assert [(key, value) for key, value in left if value is not None] == [(b"c", b""), (b"b", b"2")]
    assert len(left) == len(dict(left)), "a key stands more than once"


@rule("maintenance_on_demand")
async def a_group_reads_through_compaction(stage: Stage) -> None:
    """A committed position whose record compaction took away stays good: nothing that is left is skipped."""
    at = TopicPartition(await stage.topic("table", compact=True), 0)
    for n, key in enumerate("abab"):
        await stage.broker.log.append(at, stage.records(f"{key}{n}", key=key.encode()))
    before = await stage.content(at, 4)
    group = new_group(stage, inputs={at.topic: 1})
    member = await sole_member(stage, group)
    task = await take_over(member, group)
    await task.transaction(moved={at: before[1].offset}).commit()
    await stage.harness.maintained()
    again = await take_over(member, group)
    assert again.positions[at] == before[1].offset
    assert await stage.read(stage.reader_at({at: again.positions[at]}), 2) == before[2:]


@rule("maintenance_on_demand")
async def upkeep_disturbs_no_writer(stage: Stage) -> None:
    """Records that are appended while retention and compaction run are all there afterwards, in order."""
    topic = await stage.topic("table", partitions=2, compact=True)
    at, other = TopicPartition(topic, 0), TopicPartition(topic, 1)

    async def write() -> None:
        for n in range(40):
            await stage.broker.log.append(at, stage.records(str(n), key=str(n).encode()))
            await stage.broker.log.append(other, stage.records(str(n), key=b"same"))

    writing = asyncio.ensure_future(write())
    while not writing.done():
        await stage.harness.maintained()
        await asyncio.sleep(0)
    await writing
    assert values(await stage.content(at, 40)) == [str(n) for n in range(40)]
    await stage.harness.maintained()
    assert values(await stage.content(other, 1)) == ["39"]


@rule("maintenance_on_demand")
async def the_end_never_goes_back(stage: Stage) -> None:
    """An offset is given once: the end stays when compaction takes the last record, at every moment of it."""
    at = TopicPartition(await stage.topic("table", compact=True), 0)
    long_ago = stage.harness.now_ms() - 400 * 24 * 60 * MINUTE_MS
    for n in range(20):
        await stage.broker.log.append(at, [Record(f"{n % 3}".encode(), b"x", long_ago)])
    await stage.broker.log.append(at, [Record(f"{n}".encode(), None, long_ago) for n in range(3)])
    _, end = await stage.broker.log.bounds(at)
    reader = stage.reader_at({at: end})
    maintaining = asyncio.ensure_future(stage.harness.maintained())
    while not maintaining.done():
        assert (await stage.broker.log.bounds(at))[1] == end
        assert reader.take() is None
        await asyncio.sleep(0)
    await maintaining
    assert await stage.broker.log.append(at, stage.records("new")) == end
    assert values(await stage.read(reader, 1)) == ["new"]


class Warnings(logging.Handler):
    """Hears the warnings that the library logs."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the text."""
        self.texts.append(record.getMessage())

    def __enter__(self) -> Self:
        logging.getLogger("mainstem").addHandler(self)
        return self

    def __exit__(self, *raised: object) -> None:
        logging.getLogger("mainstem").removeHandler(self)


async def _aged(stage: Stage, at: TopicPartition, label: str, minutes: int) -> None:
    stamp = stage.harness.now_ms() - minutes * MINUTE_MS
    for n in range(3):
        await stage.broker.log.append(at, [Record(b"k", f"{label}{n}".encode(), stamp)])
