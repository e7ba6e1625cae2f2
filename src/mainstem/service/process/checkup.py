"""Looking at the groups of a process, and asking the broker whether it is there.

Nothing is done unless somebody asks: how long a task has stood still is known from one look to the next, so whoever
wants to know looks every few seconds.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol

from mainstem.broker import CopyProgress
from mainstem.clock import Clock
from mainstem.delivery import Counters, Letters, Strain
from mainstem.service.process.report import GroupHealth, Health, TaskHealth

FRESH_SECONDS: Final = 1.0
"""The broker is asked no more often than that."""
PATIENCE_SECONDS: Final = 0.25
"""An answer to whoever looks waits no longer for the broker's: probes give up after a second."""
OLD_SECONDS: Final = 30.0
"""What the broker has said so long ago says nothing of now: nobody has looked since."""
ANEW_SECONDS: Final = 0.75
"""Whoever looks first after such a pause waits so long for a new answer."""
MOMENT_SECONDS: Final = 5.0
"""A group that has waited for no longer is worth no word: it does so whenever others come and go."""
ANSWER_SECONDS: Final = 5.0
"""A broker that has not answered for so long counts as gone."""


class Books(Protocol):
    """What a task has done, and what waits for its next commit."""

    counters: Counters
    events: int
    changed: bool


class Standing(Protocol):
    """A task that this process owns."""

    @property
    def ledger(self) -> Books | None:
        """Its books, once it has begun."""
        ...

    @property
    def in_flight(self) -> int:
        """Events that were read and are not finished."""
        ...

    @property
    def paused(self) -> Mapping[str, float]:
        """Why its inputs stand still, and for how many seconds; empty when they do not."""
        ...

    @property
    def strain(self) -> Strain:
        """What shows that it has too much to do."""
        ...

    @property
    def open_breakers(self) -> Mapping[str, float]:
        """The breakers of its handlers that are not closed, and for how many seconds."""
        ...


class Waiting(Protocol):
    """What a group waits for."""

    def longer_than(self, seconds: float) -> tuple[str, ...]:
        """What has been waited for at least so long, in words."""
        ...


class Group(Protocol):
    """A group that runs in this process."""

    @property
    def stands(self) -> bool:
        """Whether it has run everything that is assigned to it."""
        ...

    @property
    def draining(self) -> bool:
        """Whether it gives everything back."""
        ...

    @property
    def tasks(self) -> Mapping[int, Standing]:
        """Those that this process owns now."""
        ...

    @property
    def waits(self) -> Waiting:
        """What it waits for."""
        ...


class Backend(Protocol):
    """What the groups run on."""

    name: str

    def copies(self) -> Sequence[CopyProgress]:
        """The local copies that are being restored, or stand by."""
        ...


class Checkup:
    """Looks at groups, and remembers since when each task has stood still."""

    def __init__(
        self,
        broker: Backend,
        groups: Mapping[str, Group],
        reach: Callable[[], Awaitable[object]],
        clock: Clock,
        letters: Callable[[], Awaitable[Mapping[str, tuple[Letters, tuple[str, ...]]]]],
    ) -> None:
        """``reach`` asks the broker for something small, ``letters`` says what waits, and which alerts that is."""
        self._letters = letters
        self._broker = broker
        self._groups = groups
        self._clock = clock
        self._line = _Line(reach, clock)
        self._seen: dict[tuple[str, int], tuple[Standing, object, float]] = {}

    async def look(self, stuck_seconds: float) -> Health:
        """How things are now. A task that has stood still for ``stuck_seconds`` is stuck."""
        fault = await self._line.fault()
        letters = await self._letters()
        now = self._clock.monotonic()
        seen, self._seen = self._seen, {}
        groups = []
        for name, group in sorted(self._groups.items()):
            tasks = []
            for number, task in sorted(group.tasks.items()):
                mark = _mark(task)
                before, was, since = seen.get((name, number), (None, None, now))
                # While nobody can commit, standing still says nothing about the task.
                if mark is None or fault is not None or before is not task or was != mark:
                    since = now
                self._seen[name, number] = task, mark, since
                still = now - since
                paused, opened = _rounded(task.paused), _rounded(task.open_breakers)
                stuck = still >= stuck_seconds
                seconds = round(still, 3)
                tasks.append(TaskHealth(name, number, task.in_flight, seconds, stuck, paused, task.strain, opened))
            waits = group.waits.longer_than(MOMENT_SECONDS)
            found, alerts = letters.get(name, (Letters(), ()))
            groups.append(GroupHealth(name, group.stands, group.draining, tuple(tasks), waits, found, alerts))
        return Health.of(self._broker.name, fault, tuple(groups), tuple(self._broker.copies()))

    async def close(self) -> None:
        """Ask no more."""
        await self._line.close()


def _rounded(held: Mapping[str, float]) -> Mapping[str, float]:
    return {what: round(seconds, 3) for what, seconds in held.items()}


def _mark(task: Standing) -> object:
    """Something that differs whenever a task has got on; None when it has nothing to do, or waits on purpose."""
    books = task.ledger
    if books is None or task.paused or not (task.in_flight or books.events or books.changed):
        return None
    counters = books.counters
    return counters.commits, counters.handled, counters.failures, books.events, task.in_flight


class _Line:
    """The line to the broker: what it last said, and since when it has said nothing."""

    def __init__(self, reach: Callable[[], Awaitable[object]], clock: Clock) -> None:
        self._reach = reach
        self._clock = clock
        self._asking: asyncio.Task[None] | None = None
        self._asked = clock.monotonic() - FRESH_SECONDS
        self._answered = clock.monotonic()
        self._fault: str | None = None
        self._closed = False

    async def fault(self) -> str | None:
        """Why the broker does not answer; None when it does, or has done so a moment ago."""
        if self._asking is None and not self._closed and self._clock.monotonic() - self._asked >= FRESH_SECONDS:
            self._asked = self._clock.monotonic()
            self._asking = asyncio.create_task(self._ask())
        if self._asking is not None:
            await asyncio.wait([self._asking], timeout=ANEW_SECONDS if self._old else PATIENCE_SECONDS)
        if self._asking is None:
            return self._fault
        silent = self._clock.monotonic() - self._asked
        if self._fault is None and silent >= ANSWER_SECONDS:
            return f"it was asked {silent:.0f} s ago"
        return "it was asked just now, and for a while nobody has asked it before" if self._old else self._fault

    @property
    def _old(self) -> bool:
        """Whether the last answer is worth nothing any more."""
        return self._clock.monotonic() - self._answered >= OLD_SECONDS

    async def _ask(self) -> None:
        try:
            await self._reach()
            self._fault = None
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody can work with a broker that says so
            self._fault = str(error).partition("\n")[0]
        finally:
            self._asking = None
            self._answered = self._clock.monotonic()

    async def close(self) -> None:
        self._closed = True
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
