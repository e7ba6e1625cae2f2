"""Standbys: copies of tasks that another machine runs, kept close behind their changelogs.

A standby takes in what is committed, in small portions, and nobody reads it before it is the owner's. It gives way at
once: to the owner in its own process, which goes on with the copy as it is, and to another process of its folder,
which asks for the lock. Whatever goes wrong with a standby ends that one alone, and it begins again when the group is
looked at next.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from mainstem.broker import CopyProgress, TopicPartition, changelog_of
from mainstem.broker.kafka.copies.changelog import topic_id_of
from mainstem.broker.kafka.copies.copy import Copies, Copy, take_in
from mainstem.broker.kafka.fetcher import Fetchers
from mainstem.broker.kafka.reader import KafkaReader
from mainstem.broker.kafka.topics import Topics
from mainstem.telemetry import log

PACE_SECONDS: Final = 0.2
"""A standby that is close behind takes in no more often than that what the owner has committed."""
CLOSE_RECORDS: Final = 4_000
LOOK_SECONDS: Final = 0.05
"""Every so often it is looked whether another process of this folder needs a copy."""
WHOLE_SECONDS: Final = 600.0
"""So often a copy is noted to be whole, also one for which nothing comes: what has not been for long is not trusted."""
AGAIN_SECONDS: Final = 1.0


class Standbys:
    """The tasks that this process follows."""

    def __init__(self, topics: Topics, fetchers: Fetchers, copies: Copies) -> None:
        """``fetchers`` serve standbys alone, with a small buffer for each."""
        self.topics = topics
        self.fetchers = fetchers
        self.copies = copies
        self.turn = asyncio.Semaphore(1)
        """One at a time is written to: what is run here goes before what may be run here."""
        self._followed: dict[tuple[str, int], _Standby] = {}
        self._looking: asyncio.TimerHandle | None = None

    def tasks(self, group: str) -> frozenset[int]:
        """The tasks of a group that are followed."""
        return frozenset(task for of, task in self._followed if of == group)

    async def follow(self, group: str, wanted: Callable[[], frozenset[int]]) -> None:
        """Follow these tasks of a group and no others; ``wanted`` is asked when it is known what is there.

        A changelog that has been made anew is followed from its start.
        """
        topic_id = await topic_id_of(self.topics, group)
        for (of, task), each in list(self._followed.items()):
            if of == group and (task not in wanted() or each.topic_id != topic_id or each.over):
                await self._drop(of, task)
        for task in wanted() - self.tasks(group):
            self._followed[group, task] = _Standby(self, group, task, topic_id)
        if self._looking is None:
            self._look()

    async def hand_over(self, group: str, task: int) -> Copy | None:
        """Follow a task no more. Its copy is left open for whoever owns the task in this process now."""
        standby = self._followed.pop((group, task), None)
        return None if standby is None else await standby.hand_over()

    def progress(self) -> Iterable[CopyProgress]:
        """How far the standbys have come."""
        return [found for each in self._followed.values() if (found := each.progress()) is not None]

    async def follow_none(self, group: str) -> None:
        """Follow no task of a group any more."""
        for task in self.tasks(group):
            await self._drop(group, task)

    async def _drop(self, group: str, task: int) -> None:
        standby = self._followed.pop((group, task), None)
        if standby is not None:
            await standby.stop()

    def _look(self) -> None:
        for standby in self._followed.values():
            standby.give_way()
        loop = asyncio.get_running_loop()
        self._looking = loop.call_later(LOOK_SECONDS, self._look) if self._followed else None


class _Standby:
    """Follows one task."""

    def __init__(self, all_of_them: Standbys, group: str, task: int, topic_id: str) -> None:
        self._of = all_of_them
        self._group, self._task = group, task
        self._at = TopicPartition(changelog_of(group), task)
        self.topic_id = topic_id
        self.over = False
        self._copy: Copy | None = None
        self._reader: KafkaReader | None = None
        self._stopped = asyncio.Event()
        self._kept = False
        self._asking = False
        self._whole_at = 0.0
        self._running = asyncio.create_task(self._run(), name=f"standby of {self._at.topic}[{task}]")

    def give_way(self) -> None:
        """End, when another process needs the copy."""
        if self._copy is not None and not self._stopped.is_set() and self._copy.asked:
            log.info("standby of task %d of %r: gives way to another process of this machine", self._task, self._group)
            self._end()

    async def hand_over(self) -> Copy | None:
        """End, and leave the copy open."""
        self._kept = True
        await self.stop()
        return self._copy

    async def stop(self) -> None:
        """End; what is just being written is written."""
        self._end()
        await asyncio.wait([self._running])

    def progress(self) -> CopyProgress | None:
        """How far it has come; None before it has begun."""
        if self._copy is None or self._reader is None or self.over:
            return None
        read = self._reader.position(self._at) + self._reader.lag().get(self._at, 0)
        return CopyProgress(self._group, self._task, "standby", self._copy.next, max(self._copy.next, read))

    def _end(self) -> None:
        self._stopped.set()
        if self._reader is not None:
            self._reader.notify()
        if self._asking:
            self._running.cancel()

    async def _run(self) -> None:
        try:
            start, end = await self._bounds()
            if not self._stopped.is_set():
                self._copy = await asyncio.to_thread(
                    self._of.copies.standby, self._group, self._task, self.topic_id, start, end
                )
            if self._copy is not None:
                log.info("standby of task %d of %r: %d of %d", self._task, self._group, self._copy.next, end)
                await self._keep_up(self._copy)
        except Exception as error:  # noqa: BLE001 - it is not needed, so nothing else is to suffer
            log.warning("standby of task %d of %r: ends, and begins again: %s", self._task, self._group, error)
        finally:
            self.over = True
            if self._copy is not None and not self._kept:
                await asyncio.to_thread(self._copy.close)

    async def _keep_up(self, copy: Copy) -> None:
        reader = self._reader = KafkaReader(self._of.fetchers, {self._at: copy.next}, lambda _: None)
        try:
            while not self._stopped.is_set():
                batch = reader.take()
                if batch is None:
                    await self._note_whole(copy)
                    with suppress(TimeoutError):
                        async with asyncio.timeout(WHOLE_SECONDS):
                            await reader.wait()
                    continue
                async with self._of.turn:
                    if not self._stopped.is_set():
                        await asyncio.to_thread(take_in, copy, [batch])
                if reader.lag().get(self._at, 0) < CLOSE_RECORDS:
                    await self._note_whole(copy)
                    with suppress(TimeoutError):
                        async with asyncio.timeout(PACE_SECONDS):
                            await self._stopped.wait()
        finally:
            reader.close()

    async def _note_whole(self, copy: Copy) -> None:
        """Ask where the changelog ends: that nothing comes may also mean that nobody can be reached."""
        now = asyncio.get_running_loop().time()
        if now >= self._whole_at and not self._stopped.is_set():
            _, end = await self._bounds()
            self._whole_at = now + (WHOLE_SECONDS if copy.next >= end else AGAIN_SECONDS)
            if copy.next >= end:
                await asyncio.to_thread(copy.apply, {}, copy.next, copy.next, whole=True)

    async def _bounds(self) -> tuple[int, int]:
        self._asking = True
        try:
            return (await self._of.topics.bounds([self._at]))[self._at]
        finally:
            self._asking = False
