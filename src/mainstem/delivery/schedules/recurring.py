"""Handlers that run by the calendar: the next run of each is a timer of the one task that owns it.

Nothing else is remembered. So a schedule whose next run is no run of the schedule as it is declared now has been
changed, and begins anew; one that nobody declares any more is forgotten.
"""

from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from mainstem.delivery.context import Effects, no_effects, schedule_tag
from mainstem.delivery.schedules.cron import Cron
from mainstem.state import Firing, TaskState, Timer, timers
from mainstem.telemetry import log

CRON: Final = "$cron:"
"""A timer whose name begins so is the next run of the handler named behind it."""

Missed: TypeAlias = Literal["skip", "once", "all"]
SCHEDULES_TASK: Final = 0
"""The task that owns the schedules of a group; there is always one."""
LATE_MS: Final = 60_000
"""A run that begins so much later than it was due has been missed."""


class Recurring(Struct, frozen=True):
    """When a handler runs, and what becomes of the runs for which nobody was there."""

    cron: Cron
    missed: Missed = "once"

    def decide(self, due_ms: int, now_ms: int) -> tuple[int | None, int]:
        """Which run is made now, if any, and when the next one is due."""
        if self.missed == "all" or now_ms - due_ms < LATE_MS:
            return due_ms, self.cron.next_after(due_ms)
        run_ms = self.cron.last_until(now_ms, due_ms) if self.missed == "once" else None
        return run_ms, self.cron.next_after(now_ms)


def is_schedule(timer: str) -> bool:
    """Whether a timer of this name is the next run of a schedule."""
    return timer.startswith(CRON)


def next_runs(state: TaskState, mine: Mapping[str, tuple[tuple[str, ...], Recurring]], now_ms: int) -> Effects:
    """What is to be set and forgotten so that a task has the next runs of its schedules, and no others.

    ``mine`` are the schedules it owns, by handler, with the names that the handler had before.
    """
    effects = no_effects()
    read = effects.over(state.get)
    known = {name.removeprefix(CRON): timers.named(state, name) for name in timers.names(state) if is_schedule(name)}
    due = {name: next(iter(found)) for name, found in known.items()}
    for handler, (was, recurring) in mine.items():
        before = next((due.pop(name) for name in (handler, *was) if name in due), None)
        if before is not None and before.name == CRON + handler and recurring.cron.is_run(before.due_ms):
            continue
        if before is not None:
            timers.cancel(read, effects.write, before.name, None)
        kept = before is not None and recurring.cron.is_run(before.due_ms)
        next_ms = before.due_ms if before is not None and kept else recurring.cron.next_after(now_ms)
        timers.put(read, effects.write, Timer(next_ms, CRON + handler, None))
        effects.wake_at(next_ms)
    for timer in due.values():
        log.info("nobody declares the schedule of %r here any more; it is forgotten", timer.name.removeprefix(CRON))
        timers.cancel(read, effects.write, timer.name, None)
    _follow(state, effects, {CRON + old: CRON + new for new, (was, _) in mine.items() for old in (new, *was)})
    return effects


def _follow(state: TaskState, effects: Effects, names: Mapping[str, str]) -> None:
    """Give runs that have begun to the name that their handler has now, or to nobody."""
    for firing in timers.begun(state):
        timer = firing.timer
        if not is_schedule(timer.name) or names.get(timer.name) == timer.name:
            continue
        timers.end(effects.write, firing)
        if timer.name in names:
            timers.go_on(effects.write, Firing(firing.tag, timer._replace(name=names[timer.name])))


def take_run(
    look: Callable[[str, bytes], bytes | None],
    effects: Effects,
    timer: Timer,
    recurring: Recurring,
    identify: Callable[[int], str],
    now_ms: int,
) -> Firing | None:
    """Begin the run that was found to be due, and set the next; None when it has been missed, or is not set any more.

    ``identify`` gives a run its id by its time.
    """
    read = effects.over(look)
    if not timers.is_due(read, timer):
        return None
    run_ms, next_ms = recurring.decide(timer.due_ms, now_ms)
    firing = None
    if run_ms is not None:
        run = timer._replace(due_ms=run_ms)
        timers.put(read, effects.write, run, schedule_tag(identify(run_ms)))
        firing = timers.begin(read, effects.write, run)
    timers.put(read, effects.write, timer._replace(due_ms=next_ms))
    effects.wake_at(next_ms)
    if run_ms != timer.due_ms:
        log.warning("%s was not there when its run was due; missed=%r", timer.name.removeprefix(CRON), recurring.missed)
    return firing
