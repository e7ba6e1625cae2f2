"""Embedded brokers to test with."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest

from mainstem.broker import Batch, Record, TopicPartition, TopicSpec
from mainstem.broker.sqlite import SqliteBroker, SqliteOptions
from mainstem.clock import Clock
from mainstem.database import Query

AT = TopicPartition("orders", 0)
ROWS = Query[tuple[int, int]]("select id & 0xffffffffff, last from log order by id")


class Opener(Protocol):
    """Opens a broker for the length of a block."""

    def __call__(
        self, path: Path | None = None, *, clock: Clock | None = None, options: SqliteOptions | None = None
    ) -> AbstractAsyncContextManager[SqliteBroker]: ...


@pytest.fixture
def opened() -> Opener:
    """Open a broker, on a file or in memory, that has the topic of ``AT``."""

    @asynccontextmanager
    async def opener(
        path: Path | None = None, *, clock: Clock | None = None, options: SqliteOptions | None = None
    ) -> AsyncIterator[SqliteBroker]:
        broker = SqliteBroker(path, clock=clock, options=options)
        await broker.open()
        try:
            await broker.admin.create(TopicSpec(AT.topic, 1))
            yield broker
        finally:
            await broker.close()

    return opener


def records(*values: str, key: bytes | None = b"k", timestamp_ms: int = 1) -> list[Record]:
    """A record for each value."""
    return [Record(key, value.encode(), timestamp_ms) for value in values]


def taken(broker: SqliteBroker, at: TopicPartition = AT, start: int = 0) -> list[Batch]:
    """The batches that are there, from an offset on."""
    reader = broker.log.reader({at: start})
    batches: list[Batch] = []
    while (batch := reader.take()) is not None:
        batches.append(batch)
    reader.close()
    return batches


def values(broker: SqliteBroker, at: TopicPartition = AT) -> list[str]:
    """The values that are there."""
    return [(value or b"").decode() for batch in taken(broker, at) for value in batch.values]


async def until(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds; the time-out of the test is the limit."""
    while not condition():  # noqa: ASYNC110 - what is waited for may be another process
        await asyncio.sleep(0.002)


async def outcome(future: Awaitable[object]) -> object:
    """What a future gives, or the error that it raises."""
    try:
        return await future
    except Exception as error:  # noqa: BLE001 - the test looks at it
        return error
