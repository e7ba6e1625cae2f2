"""Restoring: a local copy follows its changelog to the end, before the task runs.

The order matters. The older owner has been fenced, so what it had open is being aborted. The end is taken with open
transactions counted, and then committed records are read until everything before that end has been seen: whoever took
the end of the committed ones would stop too early, and lose the last commit of a dead owner. No progress is an alarm,
and never a reason to go on.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Final, TypeVar

from mainstem.broker import Batch, CopyProgress, TopicPartition
from mainstem.broker.kafka.copies.changelog import topic_id_of
from mainstem.broker.kafka.copies.copy import Copies, Copy, take_in
from mainstem.broker.kafka.copies.standby import Standbys
from mainstem.broker.kafka.fetcher import Fetchers
from mainstem.broker.kafka.reader import KafkaReader
from mainstem.broker.kafka.topics import Topics
from mainstem.telemetry import log

T = TypeVar("T")

ALARM_SECONDS: Final = 10.0
TOGETHER_RECORDS: Final = 32_000
"""Keys come in any order, so a transaction writes almost every page anew: the more records share that, the better."""
TURNS: Final = 2
"""So many copies are written at a time: one of them is in SQLite while Python is busy with the other."""


class Restorer:
    """Opens copies and brings them up to date."""

    def __init__(self, topics: Topics, fetchers: Fetchers, copies: Copies, standbys: Standbys) -> None:
        """``fetchers`` serve restoring alone, with a large buffer."""
        self._topics = topics
        self._fetchers = fetchers
        self._copies = copies
        self._turns = asyncio.Semaphore(TURNS)
        self._running: dict[tuple[str, int], tuple[Copy, int]] = {}
        self.standbys = standbys

    async def identity(self) -> str:
        """What the folder of the copies is called."""
        return await asyncio.to_thread(self._copies.identity)

    async def restore(self, group: str, at: TopicPartition) -> Copy:
        """The copy of a task that has just been fenced, at the end of its changelog."""
        task = at.partition
        standby = await self.standbys.hand_over(group, task)
        try:
            topic_id = await topic_id_of(self._topics, group)
            start, end = (await self._topics.bounds([at]))[at]
            copy = await self._opened(group, task, topic_id, start, end)
        except BaseException:
            if standby is not None:
                await asyncio.to_thread(standby.close)
            raise
        log.info("task %d of %r: its copy stands at %d of %d", task, group, copy.next, end)
        if copy.next < end:
            self._running[group, task] = copy, end
            try:
                await self._follow(copy, at, end)
            except BaseException:
                await asyncio.to_thread(copy.close)
                raise
            finally:
                del self._running[group, task]
        return copy

    async def _opened(self, group: str, task: int, topic_id: str, start: int, end: int) -> Copy:
        opening = asyncio.ensure_future(asyncio.to_thread(self._copies.open, group, task, topic_id, start, end))
        try:
            return await _to_its_end(opening)
        except asyncio.CancelledError:
            if opening.exception() is None:
                await asyncio.to_thread(opening.result().close)
            raise

    def progress(self) -> Iterable[CopyProgress]:
        """What is being restored, and how far that has come."""
        return [CopyProgress(*at, "restoring", copy.next, end) for at, (copy, end) in self._running.items()]

    async def _follow(self, copy: Copy, at: TopicPartition, end: int) -> None:
        first, loop = copy.next, asyncio.get_running_loop()
        told = began = loop.time()
        reader = KafkaReader(self._fetchers, {at: first}, lambda _: None)
        copy.hurry(much=True)
        try:
            while reader.position(at) < end:
                batches = _taken(reader)
                if batches:
                    async with self._turns:
                        await _to_its_end(asyncio.ensure_future(asyncio.to_thread(take_in, copy, batches)))
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
            copy.hurry(much=False)
        if copy.next < reader.position(at):
            # Only markers stood there.
            behind = reader.position(at)
            await _to_its_end(asyncio.ensure_future(asyncio.to_thread(copy.apply, {}, copy.next, behind, whole=False)))
        log.debug("restored %s[%d]: %d offsets in %.1f s", at.topic, at.partition, end - first, loop.time() - began)


def _taken(reader: KafkaReader) -> list[Batch]:
    """What is there, but not more than is to be written at once."""
    batches: list[Batch] = []
    records = 0
    while records < TOGETHER_RECORDS and (batch := reader.take()) is not None:
        batches.append(batch)
        records += len(batch)
    return batches


async def _to_its_end(working: "asyncio.Future[T]") -> T:
    """Wait for a thread, also when the task is taken away meanwhile: a copy that is in use cannot be let go."""
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        while not working.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([working])
        raise


async def _woken(reader: KafkaReader) -> bool:
    try:
        async with asyncio.timeout(ALARM_SECONDS):
            await reader.wait()
    except TimeoutError:
        return False
    return True
