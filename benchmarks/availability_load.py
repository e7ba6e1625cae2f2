"""The load of the measurement of availability: events at a steady rate, and when each was accepted and answered."""

import asyncio
import contextlib
import time
from array import array
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

import msgspec

from benchmarks.availability_service import Answered, Asked
from mainstem import Service
from mainstem.broker import TopicPartition, read
from mainstem.clock import SystemClock
from mainstem.errors import MainstemError
from mainstem.identifiers import Identifiers
from mainstem.service import Backend, connected
from mainstem.settings import Settings

GROUP = "answering"
KEYS = 100
TICK_SECONDS = 0.01
ACCEPTED_SECONDS = 5.0
"""A publish must be acknowledged in this time."""
HANDLED_SECONDS = 1.0
"""An event must be handled, and its answer readable, in this time from when it was due to be published."""
_number_of = msgspec.json.Decoder(Answered).decode


@dataclass(frozen=True)
class Lost:
    """Seconds of a stretch of time: those whose publishes were not accepted, and those whose events were late."""

    publishing: float
    handling: float
    longest: float
    """The longest wait of an event that was handled at all."""
    unaccepted: int
    never: int
    """Events that were accepted, and are not handled to this moment."""


class Load:
    """Publishes at a rate, and notes times by number, on the monotonic clock; zero where it has not happened."""

    def __init__(self, rate: float, together: bool = False) -> None:  # noqa: FBT001, FBT002 - stated once
        """With ``together`` what is due at a tick goes in one call, as a busy service would do it."""
        self.rate = rate
        self.due = array("d")
        self.accepted = array("d")
        self.handled = array("d")
        self.refused = 0
        self._together = together
        self._running: set[asyncio.Task[None]] = set()
        self._going = True
        self._broker: Backend | None = None
        self._began, self._sent = 0.0, 0

    def count_due(self, since: float) -> int:
        """The number of the first event that was due then or later."""
        return bisect_left(self.due, since)

    def lost(self, since: float, until: float) -> Lost:
        """What was lost of the events that were due in this stretch; it must have ended some seconds ago."""
        numbers = range(self.count_due(since), self.count_due(until))
        unaccepted = [n for n in numbers if not 0 < self.accepted[n] - self.due[n] <= ACCEPTED_SECONDS]
        late = [n for n in numbers if not 0 < self.handled[n] - self.due[n] <= HANDLED_SECONDS]
        waits = [self.handled[n] - self.due[n] for n in numbers if self.handled[n]]
        never = [n for n in numbers if self.accepted[n] and not self.handled[n]]
        return Lost(
            len(unaccepted) / self.rate, len(late) / self.rate, max(waits, default=0.0), len(unaccepted), len(never)
        )

    def calm(self, seconds: float) -> bool:
        """Whether everything that was due in the last so many seconds, up to one ago, was handled in time."""
        now = time.monotonic()
        found = self.lost(now - seconds - HANDLED_SECONDS, now - HANDLED_SECONDS)
        return not (found.publishing or found.handling)

    async def shared(self, workers: int) -> bool:
        """Whether so many workers own a task each: whoever came in the place of a dead one has his again."""
        if self._broker is None:
            return False
        group = (await self._broker.admin.groups([GROUP]))[GROUP]
        return None not in group.owners and len(set(group.owners)) == workers == len(group.members)

    @property
    def backlog(self) -> int:
        """Events that were accepted and are not handled."""
        return self.handled.count(0.0) - self.accepted.count(0.0)

    def set_rate(self, rate: float) -> None:
        """From now on so many events a second."""
        self.rate, self._began, self._sent = rate, time.monotonic(), 0

    def stop(self) -> None:
        """Publish no more."""
        self._going = False

    async def publish(self, source: Service) -> None:
        """Publish what is due, tick by tick, until it is stopped; late ticks are made up for."""
        self.set_rate(self.rate)
        while self._going:
            count = int((time.monotonic() - self._began) * self.rate) - self._sent
            numbers = range(len(self.due), len(self.due) + count)
            now = time.monotonic()
            self.due.extend([now] * count)
            self.accepted.extend([0.0] * count)
            self.handled.extend([0.0] * count)
            self._sent += count
            for some in [numbers] if self._together and count else [range(n, n + 1) for n in numbers]:
                task = asyncio.create_task(self._publish(source, some))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
            await asyncio.sleep(TICK_SECONDS)
        await asyncio.gather(*self._running)

    async def _publish(self, source: Service, numbers: Sequence[int]) -> None:
        try:
            async with asyncio.timeout(ACCEPTED_SECONDS):
                await source.publish(*(Asked(f"k-{n % KEYS}", n, "x" * 200) for n in numbers))
        except (TimeoutError, MainstemError):
            self.refused += len(numbers)
            return
        now = time.monotonic()
        for number in numbers:
            self.accepted[number] = now

    async def observe(self, broker: Backend) -> None:
        """Read the answers, as whoever waits for them would."""
        self._broker = broker
        described = (await broker.admin.topics(["answered"]))["answered"]
        ends: dict[TopicPartition, int] = {at: end for at, (_, end) in described.bounds.items()}
        async with aclosing(read(broker.log, ends)) as batches:
            async for batch in batches:
                now = time.monotonic()
                for value in batch.values:
                    number = _number_of(value or b"").number
                    if number < len(self.handled) and not self.handled[number]:
                        self.handled[number] = now


@asynccontextmanager
async def loaded(broker: str, rate: float, *, together: bool = False) -> AsyncIterator[Load]:
    """Inside the block events are published and answers read."""
    load, clock = Load(rate, together), SystemClock()
    source = Service("source", publishes=(Asked,))
    async with (
        connected(broker, clock, Identifiers(clock)) as backend,
        connected(broker, clock, Identifiers(clock)) as other,
        source.running(broker=backend, consume=False, settings=Settings()),
    ):
        observing = asyncio.create_task(load.observe(other))
        publishing = asyncio.create_task(load.publish(source))
        try:
            yield load
            for each in (observing, publishing):
                if each.done():
                    each.result()
        finally:
            load.stop()
            await asyncio.wait([publishing], timeout=2 * ACCEPTED_SECONDS)
            observing.cancel()
            await asyncio.gather(observing, return_exceptions=True)


async def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for a condition, but no longer than so; whether it came to hold."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.1)
            return True
    return False
