"""Restoring: a local copy follows its changelog to the end, before the task runs.

The order matters. The older owner has been fenced, so what it had open is being aborted. The end is taken with open
transactions counted, and then committed records are read until everything before that end has been seen: whoever took
the end of the committed ones would stop too early, and lose the last commit of a dead owner. No progress is an alarm,
and never a reason to go on.
"""

import asyncio
from collections.abc import Iterable
from typing import Final, Protocol

from mainstem.broker import Batch, TopicPartition
from mainstem.broker.kafka.admin import Topics
from mainstem.broker.kafka.fetcher import Fetchers
from mainstem.broker.kafka.reader import KafkaReader
from mainstem.broker.kafka.tasks.changelog import change_of
from mainstem.telemetry import log

ALARM_SECONDS: Final = 10.0


class Copy(Protocol):
    """A local copy of one partition of a changelog."""

    next: int
    """The offset behind everything that it has taken in."""

    def apply(self, changes: Iterable[tuple[str, bytes, bytes | None]], before: int, after: int) -> None:
        """Take in the changes between two offsets; refused when it has not come exactly as far as ``before``."""
        ...

    def close(self) -> None:
        """Let it go."""
        ...


class Copies(Protocol):
    """Where the local copies are."""

    def open(self, group: str, task: int, topic_id: str, start: int, end: int) -> Copy:
        """The copy of a task; one that cannot be what this changelog says is begun anew. Blocks for a moment."""
        ...


class Restorer:
    """Opens copies and brings them up to date."""

    def __init__(self, topics: Topics, fetchers: Fetchers, copies: Copies) -> None:
        """``fetchers`` serve restoring alone, with a large buffer."""
        self._topics = topics
        self._fetchers = fetchers
        self._copies = copies

    async def restore(self, group: str, at: TopicPartition) -> Copy:
        """The copy of a task that has just been fenced, at the end of its changelog."""
        known = await self._topics.known(at)
        start, end = (await self._topics.bounds([at]))[at]
        copy = await asyncio.to_thread(self._copies.open, group, at.partition, known.topic_id, start, end)
        if copy.next < end:
            try:
                await self._follow(copy, at, end)
            except BaseException:
                await asyncio.to_thread(copy.close)
                raise
        return copy

    async def _follow(self, copy: Copy, at: TopicPartition, end: int) -> None:
        first, loop = copy.next, asyncio.get_running_loop()
        told = began = loop.time()
        reader = KafkaReader(self._fetchers, {at: first}, lambda _: None)
        try:
            while reader.position(at) < end:
                batch = reader.take()
                if batch is not None:
                    await asyncio.to_thread(_apply, copy, batch)
                    if loop.time() - told > ALARM_SECONDS:
                        told = loop.time()
                        log.info("restoring %s[%d]: %d of %d", at.topic, at.partition, copy.next - first, end - first)
                elif not await _woken(reader):
                    log.error(
                        "restoring %s[%d] makes no progress: it stands at %d of %d, behind a transaction that is still "
                        "open, or the cluster does not answer",
                        at.topic, at.partition, copy.next, end,
                    )  # fmt: skip
        finally:
            reader.close()
        if copy.next < reader.position(at):
            # Only markers stood there.
            await asyncio.to_thread(copy.apply, (), copy.next, reader.position(at))
        log.debug("restored %s[%d]: %d offsets in %.1f s", at.topic, at.partition, end - first, loop.time() - began)


async def _woken(reader: KafkaReader) -> bool:
    try:
        async with asyncio.timeout(ALARM_SECONDS):
            await reader.wait()
    except TimeoutError:
        return False
    return True


def _apply(copy: Copy, batch: Batch) -> None:
    changes = [change_of(key or b"", value) for key, value in zip(batch.keys, batch.values, strict=True)]
    copy.apply(changes, copy.next, batch.next_offset)
