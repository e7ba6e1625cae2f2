"""Reading a log without a group: up to where it ended when asked, or for ever."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from mainstem.broker.record import Batch, TopicPartition
from mainstem.broker.roles import Broker, Log


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
                if len(batch):
                    yield batch
            elif ends is not None and not any(reader.lag().get(at, 1) for at in ahead):
                return  # what compaction has removed at the end is never taken
            else:
                await reader.wait()
    finally:
        reader.close()


async def read_all(broker: Broker, topic: str) -> AsyncGenerator[Batch, None]:
    """Everything that a topic has now; nothing where there is no such topic."""
    described = (await broker.admin.topics([topic])).get(topic)
    if described is None:
        return
    starts = {at: start for at, (start, _) in described.bounds.items()}
    ends = {at: end for at, (_, end) in described.bounds.items()}
    async with aclosing(read(broker.log, starts, ends)) as batches:
        async for batch in batches:
            yield batch
