"""Clients of a real cluster, each for the length of a block."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mainstem.broker import TopicPartition, TopicSpec
from mainstem.broker.kafka import KafkaBroker, KafkaOptions


@asynccontextmanager
async def connected(kafka: str, options: KafkaOptions | None = None) -> AsyncIterator[KafkaBroker]:
    """A client."""
    broker = KafkaBroker(kafka, options=options)
    await broker.open()
    try:
        yield broker
    finally:
        await broker.close()


async def partition(broker: KafkaBroker, name: str) -> TopicPartition:
    """The only partition of a new topic."""
    await broker.admin.create(TopicSpec(name, 1))
    return TopicPartition(name, 0)
