"""Due timers: looks at the first row by due time, and sleeps until then."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeAlias

from msgspec import Struct

from mainstem.broker import TopicPartition
from mainstem.clock import Clock
from mainstem.delivery.context import TIMER_TOPIC, no_effects
from mainstem.delivery.desk import Desk, Routes
from mainstem.delivery.failures import RETRY, SWEEP, lane_of, place_at
from mainstem.delivery.gates import FORGET, ForgetWork
from mainstem.delivery.lanes import Work
from mainstem.delivery.schedules import is_schedule
from mainstem.delivery.works.firings import FiringWork, PublicationWork, ScheduleWork, TimerWork
from mainstem.delivery.works.halfway import LONGEST_SECONDS, Returning
from mainstem.delivery.works.works import RetryWork
from mainstem.errors import DefinitionError
from mainstem.state import TaskState, Timer, schedules, timers
from mainstem.telemetry import log

AT_ONCE = 500
"""So many are in flight at most: a million that are due must not lie in memory, or keep the events waiting."""
FOR_EVER = 2**63
LONGEST_SLEEP_SECONDS = 30.0
"""The wall clock may jump, so a sleeper looks at it now and then."""


class Waiting(Protocol):
    """A call that waits for its time."""

    def cancel(self) -> None:
        """Do not call."""


CallLater: TypeAlias = Callable[[float, Callable[[], object]], Waiting]
"""Calls after so many seconds."""


class Alarm:
    """Adds the works of due timers to the lanes of their keys."""

    def __init__(
        self, state: TaskState, clock: Clock, add: Callable[[Sequence[Work]], None], later: CallLater | None = None
    ) -> None:
        """Time passes as in the event loop, unless ``later`` knows better."""
        self._later = later or asyncio.get_running_loop().call_later
        self._state = state
        self._clock = clock
        self._add = add
        self._returning = Returning(add)
        self._patience: Waiting | None = None
        self._handle: Waiting | None = None
        self._next_ms: int | None = None
        self._firing: set[Timer] = set()
        self._full = False
        self._make: Callable[[Timer], Work] | None = None

    def begin(self, desk: Desk, routes: Routes) -> None:
        """Go on with what has begun, and wait for what is set. Raises DefinitionError when nobody handles it."""

        def make(timer: Timer) -> Work:
            return _work(timer, desk, routes, self._done)

        begun = timers.begun(self._state)
        _check_known({each.timer.name for each in begun} | set(timers.names(self._state)), desk)
        self._add([FiringWork(_firing_lane(each.timer, desk), desk, each) for each in begun])
        if desk.checkpoints.some:
            self._await_events(desk)
        self._make = make
        first = timers.next_due_ms(self._state)
        if first is not None:
            self.wake(first)

    def wake(self, due_ms: int) -> None:
        """A timer was set for this time."""
        if self._make is None or self._full or (self._next_ms is not None and self._next_ms <= due_ms):
            return
        self._next_ms = due_ms
        self._sleep()

    @property
    def awaits_events(self) -> bool:
        """Whether timers wait for events that an earlier owner has left halfway, and so for :meth:`read`."""
        return self._returning.some

    def read(self, at: TopicPartition, next_offset: int) -> None:
        """What a partition holds before this offset has been added to the lanes."""
        self._returning.read(at, next_offset)

    def stop(self) -> None:
        """Ring no more."""
        self._make = None
        for each in (self._handle, self._patience):
            if each is not None:
                each.cancel()

    def _await_events(self, desk: Desk) -> None:
        """What an earlier owner has left halfway keeps its lane again once it has been read; timers wait for that."""
        self._returning = returning = Returning(self._add, desk.checkpoints.halfway(), desk.ledger.progress)

        def give_up() -> None:
            if count := returning.give_up():
                log.warning(
                    "%s: timers go on without %d events of their keys that have made a checkpoint, and were not read "
                    "again in %g s",
                    desk.incarnation.name,
                    count,
                    LONGEST_SECONDS,
                )

        if returning.some:
            self._patience = self._later(LONGEST_SECONDS, give_up)

    def _sleep(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        assert self._next_ms is not None
        delay = min(max((self._next_ms - self._clock.now_ms()) / 1000, 0.0), LONGEST_SLEEP_SECONDS)
        self._handle = self._later(delay, self._ring)

    def _ring(self) -> None:
        make = self._make
        if make is None:
            return
        now = self._clock.now_ms()
        assert self._next_ms is not None
        if self._next_ms > now:
            self._sleep()
            return
        room = AT_ONCE - len(self._firing)
        fresh = [each for each in timers.due_until(self._state, now, AT_ONCE + 1) if each not in self._firing]
        self._firing.update(fresh[:room])
        self._returning.add([make(each) for each in fresh[:room]])
        self._full = len(fresh) > room
        self._next_ms = None if self._full else self._first_ms()
        if self._next_ms is not None:
            self._sleep()

    def _first_ms(self) -> int | None:
        """When the first one is due that is not in flight."""
        earliest = timers.due_until(self._state, FOR_EVER, len(self._firing) + 1)
        return next((each.due_ms for each in earliest if each not in self._firing), None)

    def _done(self, timer: Timer) -> None:
        """One is not in flight any more."""
        self._firing.discard(timer)
        if self._full:
            if len(self._firing) <= AT_ONCE // 2:
                self._full = False
                self.wake(timer.due_ms)
        elif self._make is not None and timers.is_due(self._state.get, timer):
            # Set anew for the same time while it was in flight, and so passed over when it was looked for.
            self.wake(timer.due_ms)


class SweepWork(Struct, eq=False):
    """Letters of a sequence that was dropped are to be deleted, as many as one commit takes."""

    key: bytes | None
    desk: Desk
    handler: str
    place: bytes
    timer: Timer
    done: Callable[[Timer], None]

    async def run(self) -> None:
        """Delete some, and wait until that is committed; the key's events may run before the next ones go."""
        desk, timer = self.desk, self.timer
        try:
            if timers.is_due(desk.ledger.state.get, timer):
                effects = no_effects()
                again_ms = max(desk.clock.now_ms(), timer.due_ms + 1)
                desk.parking.letters.sweep(effects, self.handler, self.place, again_ms)
                desk.ledger.absorb(effects)
                await desk.ledger.committed()
        finally:
            self.done(timer)


def _work(timer: Timer, desk: Desk, routes: Routes, done: Callable[[Timer], None]) -> Work:
    if timer.name == schedules.PUBLISH:
        return PublicationWork(schedules.owner_of(timer).lane, desk, timer, done)
    if is_schedule(timer.name):
        return ScheduleWork(_firing_lane(timer, desk), desk, timer, done)
    place = timer.key or b""
    if timer.name.startswith(SWEEP):
        return SweepWork(lane_of(place), desk, timer.name.removeprefix(SWEEP), place, timer, done)
    if timer.name == FORGET:
        return ForgetWork(lane_of(place), desk.doubles, desk.ledger, timer, done)
    if not timer.name.startswith(RETRY):
        return TimerWork(_firing_lane(timer, desk), desk, timer, done)
    return RetryWork(lane_of(place), desk, routes, timer.name.removeprefix(RETRY), place, timer, done)


def _firing_lane(timer: Timer, desk: Desk) -> bytes:
    """The lane of its key. A keyless one has that of the place where it would park; all runs of a schedule have one."""
    if is_schedule(timer.name):
        return timer.name.encode()
    # In any lane, of two that are due at the same moment, and so would park at the same place, one would be lost there.
    return lane_of(place_at(timer.key, f"{TIMER_TOPIC}:{timer.name}", desk.task, timer.due_ms))


def _check_known(names: Iterable[str], desk: Desk) -> None:
    for name in sorted(names):
        # A sequence keeps its name, also where only others than the handler of that name are still owed its events.
        if name not in desk.by_timer and name != FORGET and not name.startswith((RETRY, SWEEP)):
            raise DefinitionError(
                f"timers {name!r} are set, and nobody handles them",
                where=f"task {desk.task} of {desk.group!r}",
                why="the handler was renamed or removed while its timers were waiting",
                remedy=f"register one with on_timer({name!r}); or, if they are of no use any more, run: "
                f"mainstem retire {desk.group} HANDLER --timer {name} --yes, with the --dev or --broker "
                "of mainstem run",
            )
