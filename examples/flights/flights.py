"""The service ``flights``: replays what happened as domain events, and tells others what they need to know.

The replay is a service like any other. How far it has come is its memory, and a timer says when to go on; memory, timer
and the events of a step are committed together. So it can be killed at any moment, and goes on with nothing left out
and nothing told twice.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

from examples.flights.contracts import FlightStatus, Status
from examples.flights.happenings import (
    AnyHappening,
    Arrived,
    Cancelled,
    Departed,
    Diverted,
    ReplayOrdered,
    Scheduled,
)
from examples.flights.surroundings import DATA
from examples.flights.timetable import Timetable, read_timetable
from mainstem import Context, Service

STEP = 500


@dataclass(frozen=True)
class Progress:
    """How far a replay has come: the place in the timetable that is next, and what its times are reckoned from."""

    next: int
    speed: float
    began_ms: int

    def due_ms(self, elapsed: timedelta) -> int:
        """When something is to be told that happened so long after the beginning."""
        return self.began_ms + (round(elapsed.total_seconds() * 1_000 / self.speed) if self.speed else 0)


flights = Service("flights")
progress = flights.store("progress", Progress)
flights.provide(Timetable, lambda: read_timetable(DATA))


@flights.on(ReplayOrdered)
async def begin(order: ReplayOrdered, context: Context) -> None:
    """Ordering the same replay twice changes nothing."""
    if context.get(progress) is None:
        context.put(progress, Progress(next=0, speed=order.speed, began_ms=context.now_ms))
        context.wake("replay", after=0)


@flights.on_timer("replay")
async def replay(context: Context, timetable: Timetable) -> list[AnyHappening]:
    """Tell what is due by now, at most one step of it, and wake up for what comes next."""
    done = context.get(progress)
    assert done is not None
    start, now_ms = done.next, context.now_ms
    stop = start
    while stop < min(start + STEP, len(timetable)) and done.due_ms(timetable.elapsed(stop)) <= now_ms:
        stop += 1
    context.put(progress, replace(done, next=stop))
    if stop < len(timetable):
        context.wake("replay", at=max(now_ms, done.due_ms(timetable.elapsed(stop))))
    return timetable.happenings(start, stop)


STATUS: dict[type[AnyHappening], Status] = {
    Scheduled: "scheduled",
    Departed: "departed",
    Arrived: "arrived",
    Cancelled: "cancelled",
    Diverted: "diverted",
}


@flights.on(*STATUS)
async def announce(happening: AnyHappening) -> FlightStatus:
    """A domain event in, an integration event out: tail numbers, for one, are nobody else's business."""
    return FlightStatus(
        station=happening.station,
        flight_id=happening.flight_id,
        status=STATUS[type(happening)],
        at=happening.at,
        delay_minutes=happening.delay_minutes if isinstance(happening, Departed | Arrived) else None,
    )
