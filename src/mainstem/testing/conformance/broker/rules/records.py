"""Rules of records: what is appended comes back, in order, byte for byte, however many write at once."""

import asyncio
from itertools import groupby

from mainstem.broker import Broker, Record, TopicPartition
from mainstem.errors import RecordTooLarge
from mainstem.testing.conformance.broker.stage import Seen, Stage, refused, rule, values, whole


@rule()
async def records_come_back_in_order(stage: Stage) -> None:
    """Records of a partition come back in the order in which they were appended, at offsets that rise."""
    at = await stage.partition()
    for index in range(0, 60, 3):
        await stage.broker.log.append(at, stage.records(*(str(index + n) for n in range(3))))
    seen = await stage.content(at, 60)
    assert values(seen) == [str(index) for index in range(60)]
    offsets = [each.offset for each in seen]
    assert offsets == sorted(set(offsets))


@rule()
async def append_returns_the_first_offset(stage: Stage) -> None:
    """The offset that an append returns is the offset of its first record."""
    at = await stage.partition()
    firsts = [await stage.broker.log.append(at, stage.records(f"{n}a", f"{n}b")) for n in range(5)]
    found = {record.value: offset for _, offset, record in await stage.content(at, 10)}
    assert [found[f"{n}a".encode()] for n in range(5)] == firsts


@rule()
async def partitions_are_apart(stage: Stage) -> None:
    """What is appended to one partition appears in no other, and each counts its own offsets."""
    topic = await stage.topic(partitions=3)
    for partition in range(3):
        at = TopicPartition(topic, partition)
        await stage.broker.log.append(at, stage.records(*(f"{partition}.{n}" for n in range(partition + 1))))
    for partition in range(3):
        seen = await stage.content(TopicPartition(topic, partition), partition + 1)
        assert values(seen) == [f"{partition}.{n}" for n in range(partition + 1)]
        assert {each.at for each in seen} == {TopicPartition(topic, partition)}


@rule()
async def bytes_come_back_as_they_were(stage: Stage) -> None:
    """Keys and values are bytes: empty, absent, not text, and large ones come back as they were."""
    at = await stage.partition()
    now = stage.harness.now_ms()
    every_byte = bytes(range(256))
    appended = [
        Record(b"k", b"", now),
        Record(b"", b"v", now),
        Record(None, b"keyless", now),
        Record(b"k", None, now),
        Record(every_byte, every_byte * 8, now),
        Record(b"\xff\xfe\x00", b"\x00", now),
        Record(b"k" * 2_000, every_byte * 2_000, now),
    ]
    await stage.broker.log.append(at, appended)
    for record in appended:
        await stage.broker.log.append(at, [record])
    assert [seen.record for seen in await stage.content(at, 14)] == appended + appended


@rule()
async def an_empty_value_is_no_tombstone(stage: Stage) -> None:
    """A record without a value and a record with an empty value stay apart, and so do their keys."""
    at = await stage.partition()
    now = stage.harness.now_ms()
    await stage.broker.log.append(at, [Record(b"a", None, now), Record(b"a", b"", now), Record(None, b"", now)])
    await stage.broker.log.append(at, [Record(b"", None, now)])
    seen = [(record.key, record.value) for _, _, record in await stage.content(at, 4)]
    assert seen == [(b"a", None), (b"a", b""), (None, b""), (b"", None)]


@rule()
async def timestamps_come_back_as_they_were(stage: Stage) -> None:
    """A record keeps the timestamp it was appended with, in any order."""
    at = await stage.partition()
    now = stage.harness.now_ms()
    stamps = [now, now - 5_000, now - 1, now - 5_000, now - 60_000]
    await stage.broker.log.append(at, [Record(b"k", b"v", stamp) for stamp in stamps])
    assert [seen.record.timestamp_ms for seen in await stage.content(at, 5)] == stamps


@rule()
async def headers_come_back_with_their_record(stage: Stage) -> None:
    """Each record has the headers it was appended with, common or own, and no other's."""
    at = await stage.partition()
    now = stage.harness.now_ms()
    common = {"source": b"till", "größe": b"domain", "binary": bytes(range(256))}
    appended = [
        Record(b"k", b"1", now, common, {"id": b"1"}),
        Record(b"k", b"2", now, common, {"id": b"2", "subject": b"s"}),
        Record(b"k", b"3", now, common),
        Record(b"k", b"4", now, own={"source": b"web", "id": b""}),
        Record(b"k", b"5", now),
        Record(b"k", b"6", now, {"source": b"desk"}, {"id": b"6"}),
    ]
    await stage.broker.log.append(at, appended)
    await stage.broker.log.append(at, appended[:3])
    seen = [each.record for each in await stage.content(at, 9)]
    assert seen == [whole(record) for record in appended + appended[:3]]


@rule()
async def a_column_has_a_place_for_every_record(stage: Stage) -> None:
    """A header column holds None for a record without that header; a common header stands for all records."""
    at = await stage.partition()
    now = stage.harness.now_ms()
    appended = [
        Record(b"k", b"1", now, {"source": b"till"}, {"id": b"1"}),
        Record(b"k", b"2", now, {"source": b"till"}),
        Record(b"k", b"3", now, {"source": b"till"}, {"id": b"3"}),
    ]
    await stage.broker.log.append(at, appended)
    reader = await stage.reader(at)
    ids: list[bytes | None] = []
    sources: list[bytes | None] = []
    while len(ids) < 3:
        batch = await stage.take(reader)
        ids += batch.column("id") if "id" in batch.own.names() or "id" in batch.common else [None] * len(batch)
        sources += batch.column("source")
    assert ids == [b"1", None, b"3"]
    assert sources == [b"till"] * 3


@rule()
async def a_record_that_is_too_large_is_refused(stage: Stage) -> None:
    """A record of more bytes than the topic takes is refused with everything that was appended with it."""
    topic = await stage.topic(record_bytes_max=20_000)
    at = TopicPartition(topic, 0)
    now = stage.harness.now_ms()
    with refused(RecordTooLarge):
        await stage.broker.log.append(at, [*stage.records("small"), Record(b"k", b"x" * 20_001, now)])
    with refused(RecordTooLarge):
        await stage.broker.log.append(at, [Record(b"k" * 20_001, b"", now)])
    await stage.broker.log.append(at, [Record(b"k", b"x" * 19_000, now)])
    assert [len(seen.record.value or b"") for seen in await stage.content(at, 1)] == [19_000]


@rule()
async def many_records_may_be_appended_at_once(stage: Stage) -> None:
    """One append takes many times the bytes of the largest record, and keeps their order."""
    topic = await stage.topic(record_bytes_max=20_000)
    at = TopicPartition(topic, 0)
    await stage.broker.log.append(at, stage.records(*(f"{n:05d}" + "x" * 500 for n in range(2_000))))
    assert [value[:5] for value in values(await stage.content(at, 2_000))] == [f"{n:05d}" for n in range(2_000)]


@rule()
async def bounds_enclose_the_records(stage: Stage) -> None:
    """The records of a partition lie between its bounds, and the next one gets the offset of the upper one."""
    at = await stage.partition()
    start, end = await stage.broker.log.bounds(at)
    assert start == end
    await stage.broker.log.append(at, stage.records("a", "b", "c"))
    start, end = await stage.broker.log.bounds(at)
    offsets = [seen.offset for seen in await stage.content(at, 3)]
    assert start <= offsets[0]
    assert offsets[-1] < end
    assert await stage.broker.log.append(at, stage.records("d")) == end


@rule()
async def an_offset_is_found_by_its_timestamp(stage: Stage) -> None:
    """By a timestamp the first record of that time or later is found, also among records that are not in time order."""
    at = await stage.partition()
    base = stage.harness.now_ms() - 1_000_000
    stamps = [100, 300, 200, 250, 500, 400, 600]
    for some in (stamps[:3], stamps[3:]):
        await stage.broker.log.append(at, [Record(b"k", b"v", base + stamp) for stamp in some])
    offsets = [seen.offset for seen in await stage.content(at, 7)]
    for sought in (0, 100, 101, 300, 301, 450, 600):
        index = next(index for index, stamp in enumerate(stamps) if stamp >= sought)
        found = await stage.broker.log.offset_at(at, base + sought)
        assert found == offsets[index], f"timestamp {sought} among {stamps}"
    _, end = await stage.broker.log.bounds(at)
    assert await stage.broker.log.offset_at(at, base + 601) == end


@rule("several_clients")
async def clients_write_to_one_log(stage: Stage) -> None:
    """What one client has acknowledged, another client reads, and appends behind it."""
    at = await stage.partition()
    other = await stage.client()
    await stage.broker.log.append(at, stage.records("a"))
    assert values(await stage.content(at, 1, on=other)) == ["a"]
    await other.log.append(at, stage.records("b"))
    await stage.broker.log.append(at, stage.records("c"))
    assert values(await stage.content(at, 3)) == values(await stage.content(at, 3, on=other)) == ["a", "b", "c"]


@rule()
async def concurrent_producers_lose_and_double_nothing(stage: Stage) -> None:
    """Of many that write at once, every record is there once, and those of one writer in its order."""
    topic = await stage.topic(partitions=2)
    partitions = [TopicPartition(topic, partition) for partition in range(2)]
    clients = [stage.broker, await stage.client()]

    async def write(writer: int, broker: Broker) -> None:
        for index in range(0, 40, 2):
            at = partitions[index // 2 % 2]
            records = [Record(str(writer).encode(), str(index + n).encode(), stage.harness.now_ms()) for n in (0, 1)]
            if index % 3:
                await broker.log.append(at, records)
            else:
                transaction = broker.log.transaction()
                transaction.append(at, records)
                await transaction.commit()

    await asyncio.gather(*(write(writer, clients[writer % 2]) for writer in range(8)))
    seen = await stage.read(await stage.reader(*partitions), 8 * 40)
    assert sorted(_origin(each) for each in seen) == [(writer, index) for writer in range(8) for index in range(40)]
    seen.sort(key=lambda each: (each.at, each.offset))
    for _, of_partition in groupby(seen, key=lambda each: each.at):
        origins = [_origin(each) for each in of_partition]
        for writer in range(8):
            order = [index for who, index in origins if who == writer]
            assert order == sorted(order)


@rule()
async def appends_under_way_keep_their_order(stage: Stage) -> None:
    """Appends that one writer starts one after the other, without waiting between them, keep their order."""
    at = await stage.partition()
    firsts = await asyncio.gather(*(stage.broker.log.append(at, stage.records(str(n))) for n in range(50)))
    assert firsts == sorted(set(firsts))
    assert values(await stage.content(at, 50)) == [str(n) for n in range(50)]


def _origin(seen: Seen) -> tuple[int, int]:
    return int(seen.record.key or b"-1"), int(seen.record.value or b"-1")
