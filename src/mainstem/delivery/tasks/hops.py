"""Plain functions in worker threads, many events to a hop.

Handing one event to a thread and back costs more than most handlers do, so a thread is handed a stretch of events and
returns what it has finished by the next commit time. Events of one key stay in one stretch. While handlers are quick,
one thread does it all, because several would only take turns; when they wait, there are as many threads as lanes.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import NamedTuple

from mainstem.clock import Clock
from mainstem.delivery.context import Effects, Writes, no_effects
from mainstem.delivery.lanes import Lanes, Work
from mainstem.delivery.tasks.desk import Desk, Place
from mainstem.delivery.tasks.works import EventWork

SLOW_SECONDS = 0.0005
"""A handler that takes longer than this is taken to be waiting for something."""


class Finished(NamedTuple):
    """What a thread has done of its stretch: effects by event, in order, and what stopped it, if anything did."""

    effects: list[Effects]
    seconds: float
    broken: "Broken | None" = None


class Broken(NamedTuple):
    """An event that stopped a stretch: which of its handlers raised, what, and what those before it have done."""

    handler: int
    error: Exception
    before: Effects


class Hops:
    """Runs events whose handlers are all plain."""

    def __init__(self, executor: Executor, lanes: Lanes, width: int, desk: Desk, seconds: float) -> None:
        """``width`` is how many threads there may be; a thread returns after about ``seconds``."""
        self._executor = executor
        self._lanes = lanes
        self._width = width
        self._desk = desk
        self._seconds = seconds
        self._event_seconds = 0.0
        self._stretches: set[asyncio.Task[None]] = set()

    def add(self, works: Sequence[EventWork]) -> None:
        """Begin with these; they count as in flight in the lanes. Events of a key that is busy go there."""
        lanes = self._lanes
        claims: dict[bytes | None, bool] = {None: True}
        mine: list[EventWork] = []
        for work in works:
            key = work.key
            if key not in claims:
                claims[key] = key is None or lanes.claim(key)
            if claims[key]:
                mine.append(work)
            else:
                lanes.add((work,))
        lanes.claimed(len(mine))
        width = self._width if self._event_seconds > SLOW_SECONDS else 1
        stretches: list[list[EventWork]] = [[] for _ in range(width)]
        for number, work in enumerate(mine):
            stretches[(number if work.key is None else hash(work.key)) % width].append(work)
        for stretch in stretches:
            if stretch:
                task = asyncio.get_running_loop().create_task(self._work_off(stretch))
                self._stretches.add(task)
                task.add_done_callback(self._stretches.discard)

    async def stop(self) -> None:
        """Abandon what is not finished; a thread that is in a handler stays there until it returns."""
        stretches = list(self._stretches)
        for each in stretches:
            each.cancel()
        await asyncio.gather(*stretches, return_exceptions=True)

    async def _work_off(self, works: list[EventWork]) -> None:
        try:
            await self._hop(works)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - handed on: the task ends with it
            self._lanes.failed(error)

    async def _hop(self, works: list[EventWork]) -> None:
        desk, lanes, loop = self._desk, self._lanes, asyncio.get_running_loop()
        keys = {work.key for work in works if work.key is not None}
        done = 0
        while done < len(works) and desk.plain_sailing:
            finished = await loop.run_in_executor(self._executor, _run_some, works[done:], desk.clock, self._seconds)
            desk.incarnation.check()
            for work, effects in zip(works[done:], finished.effects, strict=False):
                desk.ledger.settle(work.intake, work.index, effects)
            count = len(finished.effects)
            if finished.broken is not None:
                await self._recover(works[done + count], finished.broken)
                count += 1
            self._event_seconds = finished.seconds / count
            lanes.finished(count)
            done += count
        # Something is parked: from here on each event has to be looked at on its own.
        for work in works[done:]:
            await work.run()
            lanes.finished(1)
        for key in keys:
            lanes.release(key)

    async def _recover(self, work: EventWork, broken: Broken) -> None:
        """One event failed in the thread: go on with it here, as its handlers' policies say."""
        desk, at = self._desk, Place(work.intake.batch, work.index)
        effects = broken.before
        error: Exception | None = broken.error
        for handler in work.handlers[broken.handler :]:
            effects.take_in(await desk.handle(handler, work.event, at, effects.writes, error))
            error = None
        desk.ledger.settle(work.intake, work.index, effects)


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
    earlier: Writes = {}
    for work in works:
        done = no_effects()
        for number, handler in enumerate(work.handlers):
            context = handler.context(work.intake.batch, work.index, earlier)
            try:
                result = handler.call(work.event, context)
                if result is not None:
                    context.publish_result(result)
            except Exception as error:  # noqa: BLE001 - whatever a handler raises, its policy decides
                return Finished(effects, clock.monotonic() - began, Broken(number, error, done))
            part = context.take_effects()
            if part is not None:
                done.take_in(part)
                earlier.update(part.writes)
        effects.append(done)
        if clock.monotonic() - began > seconds:
            break
    return Finished(effects, clock.monotonic() - began)
