"""Batches are not larger than their topic takes, and what is divided keeps its order."""

import random
from collections.abc import Callable

from mainstem.broker import Record, TopicPartition, TopicSpec, read
from mainstem.broker.kafka import KafkaBroker

RECORD_BYTES = 20_000
COUNT = 40


async def test_what_is_larger_together_than_the_topic_takes_goes_in_pieces(
    kafka: str, unique: Callable[[str], str]
) -> None:
    """Each record is small enough; a batch of them all would be refused whole. Their order and first offset stay."""
    chance = random.Random(1)
    records = [Record(b"k", chance.randbytes(RECORD_BYTES), 1) for _ in range(COUNT)]
    broker = KafkaBroker(kafka)
    await broker.open()
    try:
        at = TopicPartition(unique("small"), 0)
        await broker.admin.create(TopicSpec(at.topic, 1, record_bytes_max=RECORD_BYTES + 10))
        assert await broker.log.append(at, records) == 0
        transaction = broker.log.transaction()
        transaction.append(at, records)
        assert await transaction.commit() == {at: COUNT}
        _, end = await broker.log.bounds(at)
        found = [value async for batch in read(broker.log, {at: 0}, {at: end}) for value in batch.values]
        assert found == [record.value for record in [*records, *records]]
    finally:
        await broker.close()
