"""Handlers that run by the calendar: the next run of each is a timer of the one task that owns it.

Beside the timer there is a row that tells what has become of it, for whoever looks, and that it is paused. A schedule
whose next run is no run of the schedule as it is declared now has been changed, and begins anew; one that nobody
declares any more is forgotten.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from mainstem.delivery.context import Effects, Look, no_effects, schedule_tag
from mainstem.delivery.schedules.calendar import CRON, Calendar, is_schedule
from mainstem.state import Firing, TaskState, Timer, timers
from mainstem.telemetry import log

STANDING_STORE: Final = "$schedules"
SCHEDULES_TASK: Final = 0
"""The task that owns the schedules of a group; there is always one."""
_RUN_BYTES: Final = 8


class Standing(Struct, frozen=True, array_like=True):
    """A schedule as it was declared at the last start, and what has become of it. Times are wall-clock milliseconds.

    ``last_ms`` is the last run by the calendar, or by hand, and ``began_ms`` when it began; ``left_out`` counts runs
    that were missed and not made up for. ``paused_ms`` None: it is not paused.
    """

    cron: str
    zone: str
    jitter_ms: int
    missed: str
    runs: int = 0
    last_ms: int | None = None
    began_ms: int | None = None
    left_out: int = 0
    left_out_ms: int | None = None
    paused_ms: int | None = None
    paused_by: str = ""
    reason: str = ""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Standing).decode


def standing_of(read: Look, handler: str) -> Standing | None:
    """What is known of the schedule of a handler."""
    row = read(STANDING_STORE, handler.encode())
    return None if row is None else _decode(row)


def standings(state: TaskState) -> Iterator[tuple[str, Standing]]:
    """The schedules that a task knows, by handler."""
    for key, row in state.walk(STANDING_STORE):
        yield key.decode(), _decode(row)


def write_standing(effects: Effects, handler: str, standing: Standing | None) -> None:
    """Note what has become of a schedule; None forgets it."""
    effects.write(STANDING_STORE, handler.encode(), None if standing is None else _encode(standing))


def next_runs(state: TaskState, mine: Mapping[str, Calendar], now_ms: int) -> Effects:
    """What is to be set and forgotten so that a task has the next runs of its schedules, and no others.

    ``mine`` are the schedules it owns, by handler.
    """
    effects = no_effects()
    read = effects.over(state.get)
    known = {name.removeprefix(CRON): timers.named(state, name) for name in timers.names(state) if is_schedule(name)}
    due = {name: next(iter(found)) for name, found in known.items()}
    told = dict(standings(state))
    for handler, calendar in mine.items():
        names = (handler, *calendar.was)
        before = next((due.pop(name) for name in names if name in due), None)
        standing = _declared(calendar, next((told[name] for name in names if name in told), None))
        if standing != standing_of(read, handler):
            write_standing(effects, handler, standing)
        run_ms = None if before is None else run_of(read, before)
        kept = run_ms is not None and calendar.recurring.cron.is_run(run_ms)
        if before is not None and not _is_next(calendar, before, run_ms, kept=kept):
            timers.cancel(read, effects.write, before.name, None)
            before = None
        if before is None and standing.paused_ms is None:
            set_next(effects, read, calendar, run_ms if run_ms and kept else calendar.recurring.cron.next_after(now_ms))
    for timer in due.values():
        log.info("nobody declares the schedule of %r here any more; it is forgotten", timer.name.removeprefix(CRON))
        timers.cancel(read, effects.write, timer.name, None)
    for name in told.keys() - mine.keys():
        write_standing(effects, name, None)
    _follow(state, effects, {CRON + old: it.timer for new, it in mine.items() for old in (new, *it.was)})
    return effects


def _declared(calendar: Calendar, before: Standing | None) -> Standing:
    """What is known of a schedule, with what is declared of it now."""
    it = calendar.recurring
    declared = it.cron.text, it.cron.zone_name, it.jitter_ms, str(it.missed)
    if before is None:
        return Standing(*declared)
    cron, zone, jitter_ms, missed = declared
    return msgspec.structs.replace(before, cron=cron, zone=zone, jitter_ms=jitter_ms, missed=missed)


def _is_next(calendar: Calendar, timer: Timer, run_ms: int | None, *, kept: bool) -> bool:
    """Whether the timer is the next run as the schedule is declared now."""
    return kept and run_ms is not None and timer.name == calendar.timer and timer.due_ms == calendar.due_ms(run_ms)


def run_of(read: Look, timer: Timer) -> int:
    """Which run a timer is: it is due somewhat later where there is a jitter."""
    tag = timers.tag_of(read, timer)
    return int.from_bytes(tag, "big") if len(tag) == _RUN_BYTES else timer.due_ms


def set_next(effects: Effects, read: Look, calendar: Calendar, run_ms: int) -> None:
    """Let a run be the next one."""
    due_ms = calendar.due_ms(run_ms)
    tag = b"" if due_ms == run_ms else run_ms.to_bytes(_RUN_BYTES, "big")
    timers.put(read, effects.write, Timer(due_ms, calendar.timer, None), tag)
    effects.wake_at(due_ms)


def _follow(state: TaskState, effects: Effects, names: Mapping[str, str]) -> None:
    """Give runs that have begun to the name that their handler has now, or to nobody."""
    for firing in timers.begun(state):
        timer = firing.timer
        if not is_schedule(timer.name) or names.get(timer.name) == timer.name:
            continue
        timers.end(effects.write, firing)
        if timer.name in names:
            timers.go_on(effects.write, Firing(firing.tag, timer._replace(name=names[timer.name])))


def take_run(look: Look, effects: Effects, timer: Timer, calendar: Calendar, now_ms: int) -> Firing | None:
    """Begin the run that was found to be due, and set the next; None when it was missed, or is not set any more."""
    read = effects.over(look)
    if not timers.is_due(read, timer):
        return None
    due_run_ms = run_of(read, timer)
    run_ms, next_ms, left_out = calendar.decide(due_run_ms, timer.due_ms, now_ms)
    timers.cancel(read, effects.write, timer.name, None)
    firing = None if run_ms is None else begin_run(effects, read, calendar, run_ms, now_ms)
    set_next(effects, read, calendar, next_ms)
    if left_out:
        standing = standing_of(read, calendar.handler) or _declared(calendar, None)
        left_out_in_all = standing.left_out + left_out
        write_standing(
            effects,
            calendar.handler,
            msgspec.structs.replace(standing, left_out=left_out_in_all, left_out_ms=due_run_ms),
        )
        missed = calendar.recurring.missed
        log.warning("%s: %d runs were missed and are left out; missed=%r", calendar.handler, left_out, missed)
    return firing


def begin_run(
    effects: Effects, read: Look, calendar: Calendar, run_ms: int, now_ms: int, event_id: str | None = None
) -> Firing:
    """Note that a run begins now; one by hand has an id of its own."""
    standing = standing_of(read, calendar.handler) or _declared(calendar, None)
    told = msgspec.structs.replace(standing, runs=standing.runs + 1, last_ms=run_ms, began_ms=now_ms)
    write_standing(effects, calendar.handler, told)
    tag = schedule_tag(event_id or calendar.run_id(run_ms))
    return timers.go_on(effects.write, Firing(tag, Timer(run_ms, calendar.timer, None)))
