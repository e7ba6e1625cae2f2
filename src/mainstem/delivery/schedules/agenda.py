"""What waits for its time in a task, as whoever looks from outside sees it."""

from collections.abc import Iterator

from msgspec import Struct

from mainstem.delivery.context import Fact, due_fact
from mainstem.delivery.schedules.calendar import CRON
from mainstem.delivery.schedules.recurring import Standing, run_of, standings
from mainstem.state import Owner, TaskState, schedules, timers

_OF_THE_RUNTIME = "$"


class Upcoming(Struct, frozen=True):
    """An event that waits to be published, or, without a ``fact``, a timer that a handler has set for its key."""

    due_ms: int
    owner: Owner
    fact: Fact | None


class NextRun(Struct, frozen=True):
    """The schedule of a handler: what is known of it, which run comes next, and when that begins."""

    handler: str
    standing: Standing
    run_ms: int | None
    due_ms: int | None


def upcoming(state: TaskState) -> Iterator[Upcoming]:
    """What waits for its time, earliest first, without what the runtime has set for itself."""
    for timer in timers.walk_due(state):
        if timer.name == schedules.PUBLISH:
            found = schedules.look(state.get, timer)
            if found is not None:
                yield Upcoming(found.due_ms, found.owner, due_fact(found))
        elif not timer.name.startswith(_OF_THE_RUNTIME):
            yield Upcoming(timer.due_ms, Owner(timer.name, timer.key), None)


def next_by_calendar(state: TaskState) -> Iterator[NextRun]:
    """The schedules of a task, by handler."""
    for handler, standing in standings(state):
        timer = next(timers.named(state, CRON + handler), None)
        run_ms = None if timer is None else run_of(state.get, timer)
        yield NextRun(handler, standing, run_ms, None if timer is None else timer.due_ms)
