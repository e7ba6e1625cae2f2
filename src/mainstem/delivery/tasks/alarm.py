"""Due timers: looks at the first row by due time, and sleeps until then."""

import asyncio
from collections.abc import Callable, Sequence

from mainstem.clock import Clock
from mainstem.delivery.failures import RETRY, lane_of
from mainstem.delivery.lanes import Work
from mainstem.delivery.tasks.desk import Desk
from mainstem.delivery.tasks.routes import Routes
from mainstem.delivery.tasks.works import RetryWork, TimerWork
from mainstem.errors import DefinitionError
from mainstem.state import TaskState, Timer, timers

AT_ONCE = 500
LONGEST_SLEEP_SECONDS = 30.0
"""The wall clock may jump, so a sleeper looks at it now and then."""


class Alarm:
    """Adds the works of due timers to the lanes of their keys."""

    def __init__(self, state: TaskState, clock: Clock, add: Callable[[Sequence[Work]], None]) -> None:
        self._state = state
        self._clock = clock
        self._add = add
        self._handle: asyncio.TimerHandle | None = None
        self._next_ms: int | None = None
        self._firing: set[Timer] = set()
        self._make: Callable[[Timer], Work] | None = None

    def begin(self, desk: Desk, routes: Routes) -> None:
        """Start waiting for what is set. Raises DefinitionError for timers that nobody handles."""

        def make(timer: Timer) -> Work:
            return _work(timer, desk, routes, self._firing)

        _check_known(self._state, desk)
        self._make = make
        first = timers.next_due_ms(self._state)
        if first is not None:
            self.wake(first)

    def wake(self, due_ms: int) -> None:
        """A timer was set for this time."""
        if self._make is None or (self._next_ms is not None and self._next_ms <= due_ms):
            return
        self._next_ms = due_ms
        self._sleep()

    def stop(self) -> None:
        """Ring no more."""
        self._make = None
        if self._handle is not None:
            self._handle.cancel()

    def _sleep(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        assert self._next_ms is not None
        delay = min(max((self._next_ms - self._clock.now_ms()) / 1000, 0.0), LONGEST_SLEEP_SECONDS)
        self._handle = asyncio.get_running_loop().call_later(delay, self._ring)

    def _ring(self) -> None:
        make = self._make
        if make is None:
            return
        now = self._clock.now_ms()
        assert self._next_ms is not None
        if self._next_ms > now:
            self._sleep()
            return
        found = timers.due_until(self._state, now, AT_ONCE + len(self._firing))
        due = [each for each in found if each not in self._firing][:AT_ONCE]
        self._firing.update(due)
        self._add([make(each) for each in due])
        self._next_ms = self._after(now, more=len(due) == AT_ONCE)
        if self._next_ms is not None:
            self._sleep()

    def _after(self, now_ms: int, *, more: bool) -> int | None:
        """When to look next: soon while due rows are being worked off, else when the next one is due."""
        if more or self._firing:
            return now_ms + 1 if more else now_ms + 50
        return timers.next_due_ms(self._state)


def _work(timer: Timer, desk: Desk, routes: Routes, firing: set[Timer]) -> Work:
    if not timer.name.startswith(RETRY):
        return TimerWork(timer.key, desk, timer, firing)
    place = timer.key or b""
    handler = desk.handlers[timer.name.removeprefix(RETRY)]
    return RetryWork(lane_of(place), desk, routes, handler, place, timer, firing)


def _check_known(state: TaskState, desk: Desk) -> None:
    for name in timers.names(state):
        known = name.removeprefix(RETRY) in desk.handlers if name.startswith(RETRY) else name in desk.by_timer
        if not known:
            raise DefinitionError(
                f"timers {name!r} are set, and nobody handles them",
                where=f"task {desk.task} of {desk.group!r}",
                why="the handler was renamed or removed while its timers were waiting",
                remedy=f"register one with on_timer({name!r}); or, if they are of no use any more, run: "
                f"mainstem retire {desk.group} HANDLER --timer {name}",
            )
