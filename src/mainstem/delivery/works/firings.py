"""What runs in a lane when its time has come: a timer, a run of a schedule, an event that is published later."""

from collections.abc import Callable

from msgspec import Struct

from mainstem.delivery.context import Gathered, due_fact, firing_batch, no_effects
from mainstem.delivery.desk import Desk, Slot
from mainstem.delivery.schedules import CRON, take_run
from mainstem.state import Firing, Timer, schedules, timers


class TimerWork(Struct, eq=False):
    """A due timer: an event of its key, with an id of its own."""

    key: bytes | None
    desk: Desk
    timer: Timer
    done: Callable[[Timer], None]

    async def run(self) -> None:
        """Read the timer's row again; if it is still due, fire."""
        try:
            effects, ledger = no_effects(), self.desk.ledger
            # In one step, without an await: keyless events share their timers, and wait for no lane.
            firing = timers.begin(ledger.state.get, effects.write, self.timer)
            if effects.writes:
                ledger.absorb(effects)
            if firing is not None:
                await fire(self.desk, firing)
        finally:
            self.done(self.timer)


class FiringWork(Struct, eq=False):
    """A firing that an earlier owner has begun."""

    key: bytes | None
    desk: Desk
    firing: Firing

    async def run(self) -> None:
        """Go on with it, whether its timer is set again meanwhile or not."""
        await fire(self.desk, self.firing)


class ScheduleWork(Struct, eq=False):
    """The next run of a schedule is due. Its runs share a lane, so that one waits for the other."""

    key: bytes | None
    desk: Desk
    timer: Timer
    done: Callable[[Timer], None]

    async def run(self) -> None:
        """Begin the run, set the next, and handle what has begun; a run that was missed may be left out."""
        try:
            desk, effects = self.desk, no_effects()
            calendar = desk.later.schedules[self.timer.name.removeprefix(CRON)]
            firing = take_run(desk.ledger.state.get, effects, self.timer, calendar, desk.clock.now_ms())
            if effects.writes:
                desk.ledger.absorb(effects)
            if firing is not None:
                await fire(desk, firing)
        finally:
            self.done(self.timer)


async def fire(desk: Desk, firing: Firing) -> None:
    """Handle a firing; its effects and its end enter the books together."""
    gathered, timer = Gathered(), firing.timer
    at = Slot(firing_batch(desk.task, firing), 0)
    await desk.handle(desk.by_timer[timer.name], timer, at, gathered)
    timers.end(gathered.write, firing)
    desk.checkpoints.close(gathered)
    desk.ledger.absorb(gathered)


class PublicationWork(Struct, eq=False):
    """An event that was to be published later is due."""

    key: bytes | None
    desk: Desk
    timer: Timer
    done: Callable[[Timer], None]

    async def run(self) -> None:
        """Publish it, unless it was replaced or cancelled; its record and its end enter the books together."""
        try:
            effects, ledger = no_effects(), self.desk.ledger
            found = schedules.take(ledger.state.get, effects.write, self.timer)
            if found is not None:
                effects.facts.append(due_fact(found))
            if effects.writes:
                ledger.absorb(effects)
        finally:
            self.done(self.timer)
