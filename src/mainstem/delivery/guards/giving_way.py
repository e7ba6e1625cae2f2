"""Who gives way when a task is behind: handlers and groups that can wait, so that the others catch up.

How far behind a task is, is how old the events are that it reads. A handler that gives way has its events put aside,
in order and in the task's store, as if its key were parked; a group that gives way reads no more. Nothing is lost.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final, Protocol

from msgspec import Struct

from mainstem.broker import Batch
from mainstem.calendar import written
from mainstem.clock import Clock
from mainstem.delivery.guards.pauses import Pauses
from mainstem.telemetry import log

LOOK_SECONDS: Final = 1.0
"""So often a task to which somebody gives way looks how far behind it is, while it has something to do."""
STILL_SECONDS: Final = 10.0
"""A task that has read and begun nothing for so long, though it has something to do, hangs, and is not behind."""
GIVES_WAY: Final = "it gives way"
"""Stands where other parked sequences have what went wrong."""
AGAIN_MS: Final = 10_000
LATEST_AGAIN_MS: Final = 3_600_000


class Waiter(Struct, eq=False):
    """Somebody who gives way to a task while it is more than ``after_ms`` behind, until it is half as far."""

    after_ms: int
    begin: Callable[[int], None]
    end: Callable[[], None]
    waits: bool = False


class Load(Protocol):
    """What a task has to do."""

    @property
    def next_ms(self) -> int | None:
        """When the event was made that is to begin next; None when none waits for a lane."""
        ...

    @property
    def held(self) -> bool:
        """Whether its inputs stand still, for whatever reason: nobody helps it then by giving way."""
        ...

    @property
    def resting(self) -> bool:
        """Whether there is nothing to be read, and nothing is under way."""
        ...


class Lateness:
    """Sees how far behind a task is, for those who give way to it: how old the events are that it reads and begins.

    One that hangs for long says nothing about the others, and does not count.
    """

    __slots__ = ("_clock", "_handle", "_load", "_oldest_ms", "_still_since", "_waiters")

    def __init__(self, clock: Clock, waiters: Iterable[Waiter], load: Load) -> None:
        self._clock = clock
        self._waiters = list(waiters)
        self._load = load
        self._oldest_ms: int | None = None
        self._still_since: float | None = None
        self._handle: asyncio.TimerHandle | None = None

    def read(self, batch: Batch) -> None:
        """A batch of an input was read."""
        if not len(batch):
            return
        first_ms = batch.timestamps[0]
        self._oldest_ms = first_ms if self._oldest_ms is None else min(self._oldest_ms, first_ms)
        self._begin(self._clock.now_ms() - first_ms)
        if self._handle is None:
            self._look_later()

    def close(self) -> None:
        """The task is over."""
        if self._handle is not None:
            self._handle.cancel()

    def _look_later(self) -> None:
        self._handle = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        self._handle = None
        behind_ms = self._behind_ms()
        if behind_ms is not None:
            self._begin(behind_ms)
            self._end(behind_ms)
        self._oldest_ms = None
        if not self._load.resting or any(each.waits for each in self._waiters):
            self._look_later()

    def _begin(self, behind_ms: int) -> None:
        for each in self._waiters:
            if not each.waits and behind_ms > each.after_ms:
                each.waits = True
                each.begin(behind_ms)

    def _end(self, behind_ms: int) -> None:
        for each in self._waiters:
            if each.waits and behind_ms * 2 <= each.after_ms:
                each.waits = False
                each.end()

    def _behind_ms(self) -> int | None:
        """How far behind it is; None where it has read and begun nothing for a while, because it has enough to do."""
        found = [each for each in (self._oldest_ms, self._load.next_ms) if each is not None]
        if self._load.held or self._load.resting or found:
            self._still_since = None
            return self._clock.now_ms() - min(found) if found and not self._load.held else 0
        now = self._clock.monotonic()
        if self._still_since is None:
            self._still_since = now
        return 0 if now - self._still_since >= STILL_SECONDS else None


class GivingWay:
    """Which handlers of a task give way, and which do so now."""

    __slots__ = ("_after_ms", "_chance", "_clock", "_counts", "_name", "_since")

    def __init__(self, name: str, clock: Clock, chance: Callable[[], float], after_ms: Mapping[str, int]) -> None:
        """``after_ms`` says by handler how far behind the task is then; ``name`` stands in the log."""
        self._name = name
        self._clock = clock
        self._chance = chance
        self._after_ms = after_ms
        self._since: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    @property
    def some(self) -> bool:
        """Whether any handler gives way now."""
        return bool(self._since)

    @property
    def standing(self) -> Mapping[str, float]:
        """The handlers that give way now, and for how many seconds."""
        now = self._clock.monotonic()
        return {handler: now - since for handler, since in self._since.items()}

    def waiters(self) -> list[Waiter]:
        """Who is to be told that the task is behind."""
        return [
            Waiter(after_ms, partial(self._begin, handler), partial(self._end, handler))
            for handler, after_ms in self._after_ms.items()
        ]

    def puts_aside(self, handler: str) -> bool:
        """Whether the events of a handler are put aside now; that is counted."""
        if handler not in self._since:
            return False
        self._counts[handler] = self._counts.get(handler, 0) + 1
        return True

    def again_ms(self, timestamp_ms: int) -> int:
        """When an event is to be looked at again: the older, the later, so that those that wait long cost little."""
        now = self._clock.now_ms()
        wait_ms = min(max((now - timestamp_ms) // 2, AGAIN_MS), LATEST_AGAIN_MS)
        return now + round(wait_ms * (0.75 + self._chance() / 2))

    def _begin(self, handler: str, behind_ms: int) -> None:
        self._since[handler] = self._clock.monotonic()
        log.warning(
            "%s: %s gives way, and its events wait: what is read is %s old", self._name, handler, _said(behind_ms)
        )

    def _end(self, handler: str) -> None:
        seconds = self._clock.monotonic() - self._since.pop(handler)
        count = self._counts.pop(handler, 0)
        log.warning(
            "%s: %s goes on after %.1f s: %d events were put aside, and follow", self._name, handler, seconds, count
        )


class RightOfWay:
    """Which groups of a service give way to which in this process: the sooner one does so, the less it matters."""

    def __init__(self, gives_way_ms: Mapping[str, int | None] | None = None) -> None:
        """How far behind another one is when a group gives way, by group; None for one that never does."""
        self._after_ms = dict(gives_way_ms or {})
        self._pauses: dict[str, set[Pauses]] = {}
        self._late: dict[Pauses, dict[str, str]] = {}

    def join(self, group: str, pauses: Pauses) -> list[Waiter]:
        """A task of this group runs; who is to be told that it is behind."""
        self._pauses.setdefault(group, set()).add(pauses)
        for waiting in self._late.values():
            if group in waiting:
                pauses.hold(waiting[group], keep=True)
        mine = self._after_ms.get(group)
        return [
            Waiter(after_ms, partial(self._hold, other, group, pauses), partial(self._release, other, pauses))
            for other, after_ms in self._after_ms.items()
            if after_ms is not None and other != group and (mine is None or after_ms < mine)
        ]

    def leave(self, group: str, pauses: Pauses) -> None:
        """It is over: it does not wait, and nobody waits for it."""
        self._pauses.get(group, set()).discard(pauses)
        for other in list(self._late.get(pauses, {})):
            self._release(other, pauses)

    def _hold(self, other: str, group: str, late: Pauses, behind_ms: int) -> None:
        reason = self._late.setdefault(late, {})[other] = f"it gives way to {group!r}"
        for each in self._pauses.get(other, ()):
            each.hold(reason, f"that is {_said(behind_ms)} behind", keep=True)

    def _release(self, other: str, late: Pauses) -> None:
        reason = self._late[late].pop(other)
        if not self._late[late]:
            del self._late[late]
        if not any(waiting.get(other) == reason for waiting in self._late.values()):
            for each in self._pauses.get(other, ()):
                each.release(reason)


def _said(length_ms: int) -> str:
    return written(length_ms // 1_000 * 1_000)
