"""Writing in the place of whoever has a transactional id: he is fenced, and what he has open is aborted."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mainstem.broker.kafka.calls import Calls
from mainstem.broker.kafka.options import ClientSettings
from mainstem.broker.kafka.producers.producer import TransactionalProducer


def transactional_id(group: str, task: int) -> str:
    """Whoever initialises a producer with this id owns the task."""
    return f"{group}.{task}"


@asynccontextmanager
async def fencing(
    calls: Calls, settings: ClientSettings, name: str, group: str | None = None
) -> AsyncIterator[TransactionalProducer]:
    """Inside the block, a producer with this id, which commits positions of ``group``; it is closed at its end."""
    producer = await calls.run(lambda: TransactionalProducer(settings, name, group), name)
    try:
        yield producer
    finally:
        await calls.run(producer.close, name)
