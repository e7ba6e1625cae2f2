"""Databases to test with, and somebody who listens to what their writer does."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest

from mainstem.clock import SystemClock
from mainstem.database import Connection, Database, DatabaseOptions, Query, Step, WriterOptions
from mainstem.errors import DatabaseFailed

TOPICS = Query[tuple[str]]("select name from topic order by number")
ADD_TOPIC = Query[tuple[()]](
    "insert into topic(name, topic_id, partitions, compact, record_bytes_max) values(?, 'id', 1, 0, 1)"
)


class Ear:
    """Hears what a writer tells."""

    def __init__(self) -> None:
        self.committed_in_writer: list[frozenset[int]] = []
        self.heard_in_loop: list[frozenset[int]] = []
        self.failures: list[DatabaseFailed] = []

    def committed(self, connection: Connection, touched: frozenset[int]) -> None:
        assert connection.get_autocommit()
        self.committed_in_writer.append(touched)

    def heard(self, touched: frozenset[int]) -> None:
        self.heard_in_loop.append(touched)

    def failed(self, error: DatabaseFailed) -> None:
        self.failures.append(error)


class OpenDatabase(Database):
    """A database with its ear, and a short way to write into it."""

    ear: Ear

    def add(self, name: str) -> "asyncio.Future[None]":
        """Submit the addition of a row."""
        return self.writer.submit(Step(lambda write: ADD_TOPIC.run(write.connection, name)))

    def names(self) -> list[str]:
        """The rows that are committed."""
        return [name for (name,) in self.all(TOPICS)]


class Opener(Protocol):
    """Opens a database for the length of a block."""

    def __call__(
        self,
        path: Path | None = None,
        *,
        at: Callable[[str], None] | None = None,
        latency: Callable[[], float] | None = None,
        vfs: str | None = None,
        checkpoint_pages: int = 2_000,
        writer: WriterOptions | None = None,
    ) -> AbstractAsyncContextManager[OpenDatabase]: ...


@pytest.fixture
def opened() -> Opener:
    """Open a database, on a file or in memory, and close it afterwards."""

    @asynccontextmanager
    async def opener(
        path: Path | None = None,
        *,
        at: Callable[[str], None] | None = None,
        latency: Callable[[], float] | None = None,
        vfs: str | None = None,
        checkpoint_pages: int = 2_000,
        writer: WriterOptions | None = None,
    ) -> AsyncIterator[OpenDatabase]:
        writer = writer or WriterOptions(at=at, latency=latency)
        options = DatabaseOptions(vfs=vfs, writer=writer, checkpoint_pages=checkpoint_pages)
        database = OpenDatabase(path, SystemClock(), options)
        database.ear = Ear()
        await asyncio.to_thread(database.open, database.ear)
        try:
            yield database
        finally:
            await asyncio.to_thread(database.close)

    return opener


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
