"""Plays a recording: hands out a step, waits until all of it is done, lets due timers ring, and goes on."""

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Final

from mainstem.delivery import Runnable
from mainstem.service.replay.clock import EventClock
from mainstem.service.replay.recording import GRAIN_MS, Recording

TURNS: Final = 50
"""So many turns of the event loop are given to handlers that do not wait, before it is looked less often."""
LOOK_SECONDS: Final = 0.001


class Player:
    """Drives one replay."""

    def __init__(self, recording: Recording, clock: EventClock, tasks: Callable[[], list[Runnable]]) -> None:
        """``tasks`` are those that run now."""
        self._recording = recording
        self._clock = clock
        self._tasks = tasks
        self.stopped: str | None = None
        """Why it did not come to the end, if it did not."""

    async def play(self, end_ms: int) -> None:
        """Play everything, and then the time up to ``end_ms``."""
        await self._quiet()
        while self.stopped is None:
            head_ms = await self._recording.look_ahead()
            if head_ms is None:
                break
            await self._pass_time(head_ms)
            last_ms = self._recording.hand_out(max(head_ms, self._clock.now_ms()) + GRAIN_MS)
            self._clock.move_to(last_ms)
            await self._quiet()
        if self.stopped is None:
            await self._pass_time(end_ms)

    async def _pass_time(self, until_ms: int) -> None:
        """Let timers ring in the order of their times."""
        while (due := self._clock.next_ms()) is not None and due <= until_ms:
            self._clock.move_to(due)
            self._clock.ring()
            await self._quiet()
        self._clock.move_to(until_ms)

    async def _quiet(self) -> None:
        """Wait until everything that was handed out is done."""
        await asyncio.sleep(0)
        for turn in count():
            await asyncio.sleep(0 if turn < TURNS else LOOK_SECONDS)
            if self._is_quiet():
                return

    def _is_quiet(self) -> bool:
        tasks = self._tasks()
        for each in tasks:
            if each.paused and not each.in_flight:
                self.stopped = f"the inputs stand still: {', '.join(each.paused)}"
                return True
        return all(reader.idle for reader in self._recording.readers) and not any(each.in_flight for each in tasks)
