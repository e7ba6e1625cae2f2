"""Plain functions in worker threads, many events to a hop.

Handing one event to a thread and back costs more than most handlers do, so a thread is handed a stretch of events and
returns what it has finished by the next commit time. Events of one key stay in one stretch. While handlers are quick,
one thread does it all, because several would only take turns; when they wait, there are as many threads as lanes.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import NamedTuple

from msgspec import Struct

from mainstem.clock import Clock
from mainstem.delivery.context import Effects, Gathered, no_effects
from mainstem.delivery.desk import RAISED, Desk, Raised
from mainstem.delivery.lanes import Lanes, Work
from mainstem.delivery.works.works import BrokenWork, EventWork

SLOW_SECONDS = 0.0005
"""A handler that takes longer than this is taken to be waiting for something."""


class Finished(NamedTuple):
    """What a thread has done of its stretch: effects by event, in order, and what stopped it, if anything did."""

    effects: list[Effects]
    seconds: float
    broken: "Broken | None" = None


class Broken(NamedTuple):
    """What one of an event's handlers raised, and what those before it have done."""

    error: Exception
    before: Gathered


class Hops:
    """Runs events whose handlers are all plain."""

    def __init__(self, executor: Executor, lanes: Lanes, width: int, desk: Desk, seconds: float) -> None:
        """``width`` is how many threads there may be; a thread returns after about ``seconds``."""
        self._executor = executor
        self._lanes = lanes
        self._width = width
        self._desk = desk
        self._seconds = seconds
        self._slow = False
        self._open = 0
        self._idle = asyncio.Event()

    async def work_off(self, works: Sequence[EventWork]) -> None:
        """Hand these to threads, and return when that is done; what failed there may go on in its lane.

        Events of a key that is busy or parked go to the lanes at once; with a single lane all of them do then.
        """
        lanes = self._lanes
        parked = self._parked(works)
        if self._desk.breakers.open or (self._width == 1 and (lanes.in_flight or parked)):
            lanes.add(works)
            return
        free = lanes.claim({work.key for work in works if work.key is not None and work.key not in parked})
        mine = [work for work in works if work.key is None or work.key in free]
        if len(mine) < len(works):
            lanes.add([work for work in works if work.key is not None and work.key not in free])
        lanes.claimed(len(mine))
        self._spread(mine)
        while self._open:
            self._idle.clear()
            await self._idle.wait()

    def _parked(self, works: Sequence[EventWork]) -> set[bytes]:
        """The keys whose events have to be looked at one by one."""
        parking = self._desk.parking
        if not parking.some:
            return set()
        return {work.key for work in works if work.key is not None and parking.is_parked(work.key)}

    def _spread(self, works: Sequence[EventWork]) -> None:
        width = self._width if self._slow else 1
        stretches: list[list[EventWork]] = [[] for _ in range(width)]
        for number, work in enumerate(works):
            stretches[(number if work.key is None else hash(work.key)) % width].append(work)
        found = [Stretch(self, works) for works in stretches if works]
        self._open += len(found)
        self._lanes.add(found)

    async def hop(self, works: list[EventWork]) -> None:
        """Run one stretch to its end, or until it turns out that several threads are better."""
        desk, lanes, loop = self._desk, self._lanes, asyncio.get_running_loop()
        narrow = not self._slow
        while works and not (narrow and self._slow):
            finished = await loop.run_in_executor(self._executor, _run_some, works, desk.clock, self._seconds)
            desk.incarnation.check()
            for work, effects in zip(works, finished.effects, strict=False):
                desk.ledger.settle(work.intake, work.index, effects)
            count = len(finished.effects)
            if count and desk.breakers.some:
                for name in {handler.name for work in works[:count] for handler in work.handlers}:
                    desk.breakers.went_well(name)
            self._slow = finished.seconds / (count + (finished.broken is not None)) > SLOW_SECONDS
            works = self._release(works[:count], works[count:])
            lanes.finished(count)
            if finished.broken is not None:
                works = self._set_aside(works, finished.broken)
                if desk.breakers.open:
                    self._hand_over(works)
                    works = []
        self._spread(works)
        self._open -= 1
        if not self._open:
            self._idle.set()

    def _release(self, done: list[EventWork], works: list[EventWork]) -> list[EventWork]:
        """Free the lanes of keys that have nothing left to do."""
        left = {work.key for work in works}
        self._lanes.release({work.key for work in done if work.key is not None and work.key not in left})
        return works

    def _set_aside(self, works: list[EventWork], broken: Broken) -> list[EventWork]:
        """Let the first event, and with it the others of its key, go on in its lane; returns what is left."""
        first = works[0]
        again = BrokenWork(
            first.key, first.desk, first.intake, first.index, first.event, first.handlers, broken.before, broken.error
        )
        if self._width == 1:  # in a single lane everything comes behind it
            behind, left = works[1:], []
        else:
            its = [first.key is not None and each.key == first.key for each in works[1:]]
            behind = [each for each, mine in zip(works[1:], its, strict=True) if mine]
            left = [each for each, mine in zip(works[1:], its, strict=True) if not mine]
        self._hand_over([again, *behind])
        return left

    def _hand_over(self, works: Sequence[Work]) -> None:
        """Let events go on in the lanes of their keys, which they hold already."""
        self._lanes.release({work.key for work in works if work.key is not None}, works)
        self._lanes.finished(len(works))


class Stretch(Struct, gc=False, eq=False):
    """Events that are handed to one thread, as a work that takes a lane."""

    hops: Hops
    works: list[EventWork]
    key: bytes | None = None

    async def run(self) -> None:
        """Run them all."""
        await self.hops.hop(self.works)


def plain_events(works: Sequence[Work]) -> list[EventWork]:
    """The works, if all are events whose handlers are plain functions without a time-out; else none."""
    events = [each for each in works if isinstance(each, EventWork)]
    handlers = {handler for each in events for handler in each.handlers}
    if len(events) < len(works) or any(h.processor.timeout_seconds or not h.plain for h in handlers):
        return []
    return events


def _run_some(works: list[EventWork], clock: Clock, seconds: float) -> Finished:
    """In a thread: run handlers until time is up, the stretch ends or one raises."""
    began = clock.monotonic()
    effects: list[Effects] = []
    earlier = Gathered()
    for work in works:
        done = no_effects()
        for number, handler in enumerate(work.handlers):
            context = handler.context(work.intake.batch, work.index, earlier)
            try:
                result = handler.call(work.event, context)
                if result is not None:
                    context.publish_result(result)
            except RAISED as error:  # its policy decides
                context.take_effects()
                return Finished(effects, clock.monotonic() - began, _broken(work, number, error, done))
            part = context.take_effects()
            if part is not None:
                done.take_in(part)
                earlier.writes.update(part.writes)
        effects.append(done)
        if clock.monotonic() - began > seconds:
            break
    return Finished(effects, clock.monotonic() - began)


def _broken(work: EventWork, number: int, error: Raised, done: Effects) -> Broken:
    through = [(each.name, work.intake.batch, work.index) for each in work.handlers[:number]]
    failure = error if isinstance(error, Exception) else RuntimeError(f"{type(error).__name__}: {error}")
    return Broken(failure, Gathered(done.facts, done.writes, done.wake_ms, through=through))
