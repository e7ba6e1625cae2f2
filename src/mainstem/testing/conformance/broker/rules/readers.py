"""Rules of readers: where they begin, what they leave out, whom they serve, and what wakes them."""

import asyncio
from statistics import median

from mainstem.broker import Broker, Reader, TopicPartition
from mainstem.errors import OffsetOutOfRange, UnknownTopic
from mainstem.testing.conformance.broker.stage import Stage, refused, rule, unrolled, values


@rule()
async def a_reader_begins_where_it_is_told(stage: Stage) -> None:
    """A reader begins at the given offset: the earliest, the end, or any between."""
    at = await stage.partition()
    await stage.broker.log.append(at, stage.records("a", "b"))
    middle = await stage.broker.log.append(at, stage.records("c", "d"))
    start, end = await stage.broker.log.bounds(at)
    latest = stage.reader_at({at: end})
    assert values(await stage.read(stage.reader_at({at: start}), 4)) == ["a", "b", "c", "d"]
    assert values(await stage.read(stage.reader_at({at: middle}), 2)) == ["c", "d"]
    assert latest.take() is None
    await stage.broker.log.append(at, stage.records("e"))
    assert values(await stage.read(latest, 1)) == ["e"]


@rule()
async def a_reader_may_begin_inside_an_append(stage: Stage) -> None:
    """A reader may begin at every offset that a record has, also in the middle of records appended together."""
    at = await stage.partition()
    await stage.broker.log.append(at, stage.records("a", "b", "c", "d", "e"))
    whole = await stage.content(at, 5)
    for index, each in enumerate(whole):
        assert await stage.read(stage.reader_at({at: each.offset}), 5 - index) == whole[index:]


@rule()
async def next_offset_is_where_reading_goes_on(stage: Stage) -> None:
    """A reader that begins at the next_offset of a batch goes on exactly behind that batch."""
    at = await stage.partition()
    position, _ = await stage.broker.log.bounds(at)
    for n in range(5):
        await stage.broker.log.append(at, stage.records(f"{n}a", f"{n}b"))
        taken: list[str] = []
        while len(taken) < 2:
            batch = await stage.take(stage.reader_at({at: position}))
            taken += values(unrolled(batch))
            position = batch.next_offset
        assert taken == [f"{n}a", f"{n}b"]


@rule("gaps")
async def gaps_are_passed(stage: Stage) -> None:
    """Offsets that no record has are passed: nothing is lost, doubled or waited for, wherever a reader begins."""
    at = await stage.partition()
    for value in "abc":
        await stage.broker.log.append(at, stage.records(value))
        await stage.harness.make_gap(at)
    seen = await stage.content(at, 3)
    assert values(seen) == ["a", "b", "c"]
    assert seen[1].offset > seen[0].offset + 1, "the harness made no gap"
    for offset in range(seen[0].offset, seen[2].offset + 1):
        left = [each for each in seen if each.offset >= offset]
        assert await stage.read(stage.reader_at({at: offset}), len(left)) == left
    late = stage.reader_at({at: (await stage.broker.log.bounds(at))[1]})
    await stage.broker.log.append(at, stage.records("d"))
    assert values(await stage.read(late, 1)) == ["d"]


@rule()
async def an_offset_beyond_the_end_is_refused(stage: Stage) -> None:
    """An offset beyond the end is out of range, for a new reader and after a seek; the end itself is not."""
    at = await stage.partition()
    await stage.broker.log.append(at, stage.records("a"))
    _, end = await stage.broker.log.bounds(at)
    await stage.refusal(stage.reader_at({at: end + 100}), OffsetOutOfRange)
    reader = stage.reader_at({at: end})
    assert await stage.drained(reader) == []
    reader.seek(at, end + 100)
    await stage.refusal(reader, OffsetOutOfRange)


@rule()
async def a_reader_of_nothing_known_is_refused(stage: Stage) -> None:
    """Reading a topic or a partition that is not there is refused, at once or with the first take."""
    for at in (TopicPartition(stage.harness.name("nothing"), 0), TopicPartition(await stage.topic(), 1)):
        with refused(UnknownTopic):
            await stage.take(stage.reader_at({at: 0}))


@rule()
async def a_reader_hears_that_its_topic_is_gone(stage: Stage) -> None:
    """A reader whose topic is deleted is told so instead of waiting for ever."""
    at = await stage.partition()
    await stage.broker.log.append(at, stage.records("a"))
    reader = await stage.reader(at)
    await stage.read(reader, 1)
    waiting = asyncio.ensure_future(stage.refusal(reader, UnknownTopic))
    await asyncio.sleep(0)
    await stage.broker.admin.delete(at.topic)
    await waiting


@rule()
async def a_busy_partition_starves_no_other(stage: Stage) -> None:
    """A partition in which there is always more to read does not keep a reader from the others."""
    topic = await stage.topic(partitions=3)
    busy, *others = (TopicPartition(topic, partition) for partition in (1, 0, 2))
    others.append(await stage.partition("payments"))
    for _ in range(20):
        await stage.broker.log.append(busy, stage.records("busy"))
    for at in others:
        await stage.broker.log.append(at, stage.records("waiting"))
    reader = await stage.reader(busy, *others)
    unserved = set(others)
    for _ in range(50):
        await stage.broker.log.append(busy, stage.records("busy"))
        batch = await stage.take(reader)
        unserved.discard(TopicPartition(batch.topic, batch.partition))
        if not unserved:
            return
    assert not unserved, f"after 50 batches these had not been served: {unserved}"


@rule()
async def a_paused_partition_is_left_out(stage: Stage) -> None:
    """Nothing is taken from a paused partition; after resuming nothing of it is missing."""
    topic = await stage.topic(partitions=2)
    paused, other = TopicPartition(topic, 0), TopicPartition(topic, 1)
    reader = await stage.reader(paused, other)
    reader.pause([paused])
    for n in range(5):
        await stage.broker.log.append(paused, stage.records(f"p{n}"))
        await stage.broker.log.append(other, stage.records(f"o{n}"))
    assert values(await stage.read(reader, 5)) == [f"o{n}" for n in range(5)]
    assert await stage.drained(reader) == []
    reader.resume([paused])
    assert values(await stage.read(reader, 5)) == [f"p{n}" for n in range(5)]


@rule()
async def a_partition_is_paused_in_the_middle(stage: Stage) -> None:
    """A pause holds from the next take on, and reading goes on where it stood."""
    at = await stage.partition()
    for n in range(10):
        await stage.broker.log.append(at, stage.records(*(f"{n}.{m}" for m in range(50))))
    reader = await stage.reader(at)
    first = await stage.take(reader)
    reader.pause([at])
    assert await stage.drained(reader) == []
    reader.resume([at])
    rest = await stage.read(reader, 500 - len(first))
    assert [value.decode() for value in first.values if value] + values(rest) == [
        f"{n}.{m}" for n in range(10) for m in range(50)
    ]


@rule()
async def a_reader_can_seek(stage: Stage) -> None:
    """After a seek reading goes on at that offset, back or forward, and other partitions stay where they are."""
    topic = await stage.topic(partitions=2)
    at, other = TopicPartition(topic, 0), TopicPartition(topic, 1)
    for value in "abcd":
        await stage.broker.log.append(at, stage.records(value))
    await stage.broker.log.append(other, stage.records("x"))
    reader = await stage.reader(at, other)
    seen = sorted(await stage.read(reader, 5))
    reader.seek(at, seen[1].offset)
    assert await stage.read(reader, 3) == seen[1:4]
    reader.seek(at, seen[0].offset)
    await stage.take(reader)
    reader.seek(at, seen[3].offset)
    assert await stage.read(reader, 1) == [seen[3]]


@rule()
async def lag_is_what_is_left(stage: Stage) -> None:
    """The lag of a partition is what lies between the next offset to take and the end; 0 when all is taken."""
    at = await stage.partition()
    for n in range(3):
        await stage.broker.log.append(at, stage.records(f"{n}a", f"{n}b"))
    # What a transaction may leave behind its last record counts as taken with it.
    last = stage.broker.log.transaction()
    last.append(at, stage.records("3a", "3b"))
    await last.commit()
    reader = await stage.reader(at)
    batch = await stage.take(reader)
    _, end = await stage.broker.log.bounds(at)
    await stage.until(lambda: reader.lag()[at] == end - batch.next_offset)
    await stage.read(reader, 8 - len(batch))
    await stage.until(lambda: reader.lag()[at] == 0)


@rule()
async def a_waiting_reader_wakes_on_an_append(stage: Stage) -> None:
    """A reader that waits wakes when a record is appended, by its own client or by another one, each time, and soon."""
    assert median(await _pings(stage, stage.broker)) < stage.capabilities.wake_seconds
    assert median(await _pings(stage, await stage.client())) < stage.capabilities.wake_seconds


async def _pings(stage: Stage, writer: Broker) -> list[float]:
    at = await stage.partition("pings")
    reader = await stage.reader(at)
    now = asyncio.get_running_loop().time
    seconds = []
    for n in range(15):
        waiting = asyncio.ensure_future(stage.read(reader, 1))
        await asyncio.sleep(0)
        await writer.log.append(at, stage.records(str(n)))
        appended = now()
        assert values(await waiting) == [str(n)]
        seconds.append(now() - appended)
    return seconds


@rule()
async def a_waiting_reader_wakes_on_a_transaction(stage: Stage) -> None:
    """A reader that waits wakes when a transaction of another client is committed."""
    at = await stage.partition()
    reader = await stage.reader(at)
    writer = await stage.client()
    for n in range(10):
        waiting = asyncio.ensure_future(stage.read(reader, 1))
        await asyncio.sleep(0)
        transaction = writer.log.transaction()
        transaction.append(at, stage.records(str(n)))
        await transaction.commit()
        assert values(await waiting) == [str(n)]


@rule()
async def no_wake_up_is_lost(stage: Stage) -> None:
    """A record that arrives between a take that found nothing and the wait ends the wait."""
    at = await stage.partition()
    other = await stage.client()
    reader = await stage.reader(at)
    for n in range(20):
        assert reader.take() is None
        await (stage.broker, other)[n % 2].log.append(at, stage.records(str(n)))
        await reader.wait()
        assert values(await stage.read(reader, 1)) == [str(n)]


@rule()
async def every_waiting_reader_wakes(stage: Stage) -> None:
    """An append wakes all the readers that wait for its partition, not just one."""
    at = await stage.partition()
    other = await stage.client()
    readers = [await stage.reader(at, on=broker) for broker in (stage.broker, stage.broker, other, other)]
    waiting = [asyncio.ensure_future(stage.read(reader, 1)) for reader in readers]
    await asyncio.sleep(0)
    await stage.broker.log.append(at, stage.records("a"))
    for each in waiting:
        assert values(await each) == ["a"]


@rule()
async def a_wait_with_nothing_to_take_does_not_spin(stage: Stage) -> None:
    """A reader with nothing to take waits, also when what is there is paused: a wait that returns early is rare."""
    topic = await stage.topic(partitions=2)
    paused, empty = TopicPartition(topic, 0), TopicPartition(topic, 1)
    await stage.broker.log.append(paused, stage.records("a"))
    reader = await stage.reader(paused, empty)
    reader.pause([paused])

    async def fifty_waits() -> None:
        for _ in range(50):
            assert reader.take() is None
            await reader.wait()

    waiting = asyncio.ensure_future(fifty_waits())
    await stage.harness.advance(0.1)
    assert not waiting.done(), "wait returned fifty times in a tenth of a second"
    waiting.cancel()
    reader.resume([paused])
    assert values(await stage.read(reader, 1)) == ["a"]


@rule()
async def closing_a_reader_ends_its_wait(stage: Stage) -> None:
    """Closing a reader lets its waiter return, and closing it again does nothing."""
    at = await stage.partition()
    reader = await stage.reader(at)
    waiting = asyncio.ensure_future(_idle(reader))
    await asyncio.sleep(0)
    reader.close()
    await waiting
    reader.close()


async def _idle(reader: Reader) -> None:
    if reader.take() is None:
        await reader.wait()


@rule()
async def readers_do_not_disturb_one_another(stage: Stage) -> None:
    """Each reader has its own positions, pauses and pace."""
    at = await stage.partition()
    await stage.broker.log.append(at, stage.records("a", "b", "c"))
    one, two = await stage.reader(at), await stage.reader(at)
    assert values(await stage.read(one, 3)) == ["a", "b", "c"]
    one.pause([at])
    assert values(await stage.read(two, 3)) == ["a", "b", "c"]
    one.close()
    await stage.broker.log.append(at, stage.records("d"))
    assert values(await stage.read(two, 1)) == ["d"]
