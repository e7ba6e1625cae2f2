"""Reading a log without a group: up to where it ended when asked, or for ever."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from mainstem.broker import Batch, Log, TopicPartition


async def partitions_of(log: Log, topic: str, count: int) -> dict[TopicPartition, tuple[int, int]]:
    """Where each partition begins and ends now."""
    found = {}
    for number in range(count):
        at = TopicPartition(topic, number)
        found[at] = await log.bounds(at)
    return found


async def read(
    log: Log, positions: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int] | None = None
) -> AsyncGenerator[Batch, None]:
    """Batches from ``positions`` on. With ``ends`` it stops behind these; a batch may go on beyond.

    Use it with :func:`contextlib.aclosing` when it may be left early.
    """
    ahead = {} if ends is None else {at: end for at, end in ends.items() if positions[at] < end}
    reader = log.reader(positions)
    try:
        while ends is None or ahead:
            batch = reader.take()
            if batch is not None:
                at = TopicPartition(batch.topic, batch.partition)
                if batch.next_offset >= ahead.get(at, batch.next_offset + 1):
                    del ahead[at]
                yield batch
            elif ends is not None and not any(reader.lag()[at] for at in ahead):
                return  # what compaction has removed at the end is never taken
            else:
                await reader.wait()
    finally:
        reader.close()


async def read_all(log: Log, topic: str, count: int) -> AsyncGenerator[Batch, None]:
    """Everything that a topic has now."""
    bounds = await partitions_of(log, topic, count)
    starts = {at: start for at, (start, _) in bounds.items()}
    ends = {at: end for at, (_, end) in bounds.items()}
    async with aclosing(read(log, starts, ends)) as batches:
        async for batch in batches:
            yield batch
