"""Limits that count in windows of time: fixed window, sliding window counter."""

from typing import Literal, get_args

from msgspec import Struct

from mainstem.errors import DefinitionError
from mainstem.options import Stated
from mainstem.resilience.limits.verdict import LARGEST, Verdict, demand_whole, refuse_cost

Anchor = Literal["clock", "first_hit"]


class Count(Struct, frozen=True, array_like=True, gc=False):
    """What was allowed in the window that began at ``start_ms``."""

    start_ms: int
    used: int


class FixedWindow(Struct, frozen=True, kw_only=True, metaclass=Stated):
    """At most ``limit`` in each window of ``period_ms``.

    Windows follow one another from time zero, so that all keys and all workers agree on them; with
    ``anchor="first_hit"`` a window begins with the first request that is allowed after the last one has ended. A
    stretch as long as the period may see twice the limit, around the end of a window: cheap, and no more than that.
    """

    limit: int
    period_ms: int
    anchor: Anchor = "clock"

    def __post_init__(self) -> None:
        """Refuse numbers that are no limit, with ``DefinitionError``."""
        demand_whole("a FixedWindow", limit=self.limit, period_ms=self.period_ms)
        if self.anchor not in get_args(Anchor):
            raise DefinitionError(
                f"a FixedWindow with anchor={self.anchor!r}",
                why="a window begins by the clock, or with its first request",
                remedy=f"give one of {', '.join(get_args(Anchor))}",
            )

    def step(self, state: Count | None, now_ms: int, cost: int = 1) -> tuple[Count, Verdict]:
        """Ask for ``cost`` at ``now_ms``: the state to keep, and the answer.

        A request that is not allowed changes nothing. Raises ``DefinitionError`` for a cost above the limit.
        """
        limit, period_ms = self.limit, self.period_ms
        if type(cost) is not int or not 0 < cost <= limit:
            refuse_cost(self, cost, limit)
        if state is None or now_ms >= state.start_ms + period_ms:
            start_ms = now_ms - now_ms % period_ms if self.anchor == "clock" else now_ms
            used = 0
        else:
            start_ms, used = state.start_ms, state.used
        left_ms = start_ms + period_ms - now_ms
        remaining = limit - used - cost
        if remaining < 0 and state is not None:
            return state, Verdict(False, limit - used, left_ms, left_ms)
        return Count(start_ms, used + cost), Verdict(True, remaining, 0, left_ms)


class Counts(Struct, frozen=True, array_like=True, gc=False):
    """What was allowed in the window that began at ``start_ms`` and in the one before, until ``at_ms``."""

    start_ms: int
    used: int
    before: int
    at_ms: int


class SlidingCounter(Struct, frozen=True, kw_only=True, metaclass=Stated):
    """About ``limit`` in any stretch of ``period_ms``, for two numbers of memory.

    It counts in windows that follow one another from time zero, and takes what the window before has allowed to be
    spread evenly: that part of it counts which the sliding window still covers. No part of a request is rounded away.
    No window allows more than ``limit``; a stretch across two may see up to twice as much, less one, when all of the
    first came at its end.
    """

    limit: int
    period_ms: int

    def __post_init__(self) -> None:
        """Refuse numbers that are no limit, with ``DefinitionError``."""
        demand_whole("a SlidingCounter", limit=self.limit, period_ms=self.period_ms)
        if self.limit * self.period_ms > LARGEST:
            raise DefinitionError(
                f"a SlidingCounter with limit={self.limit} and period_ms={self.period_ms}",
                why="their product is counted in, and it does not fit in 64 bits",
                remedy="state the limit for a shorter period",
            )

    def step(self, state: Counts | None, now_ms: int, cost: int = 1) -> tuple[Counts, Verdict]:
        """Ask for ``cost`` at ``now_ms``: the state to keep, and the answer.

        A request that is not allowed changes nothing. Raises ``DefinitionError`` for a cost above the limit.
        """
        limit, period_ms = self.limit, self.period_ms
        if type(cost) is not int or not 0 < cost <= limit:
            refuse_cost(self, cost, limit)
        behind_ms = 0
        if state is not None and now_ms < state.at_ms:
            behind_ms = state.at_ms - now_ms
            now_ms = state.at_ms
        past_ms = now_ms % period_ms
        start_ms = now_ms - past_ms
        used, before = _rolled(state, start_ms, period_ms)
        # In parts of a request, as many as the period has milliseconds.
        room = (limit - used) * period_ms - before * (period_ms - past_ms)
        after = room - cost * period_ms
        if after < 0 and state is not None:
            retry_ms = behind_ms + self._fits_after(used, before, past_ms, cost)
            reset_ms = behind_ms + period_ms - past_ms + (period_ms if used else 0)
            return state, Verdict(False, max(0, room) // period_ms, retry_ms, reset_ms)
        verdict = Verdict(True, after // period_ms, 0, behind_ms + 2 * period_ms - past_ms)
        return Counts(start_ms, used + cost, before, now_ms), verdict

    def _fits_after(self, used: int, before: int, past_ms: int, cost: int) -> int:
        """From ``past_ms`` into this window, how long until ``cost`` fits."""
        period_ms = self.period_ms
        spare = self.limit - used - cost
        if spare >= 0:
            return period_ms - spare * period_ms // before - past_ms
        # Not in this window, whose own requests are too many. In the next one nothing is used, and what is used now is
        # what was before.
        spare = self.limit - cost
        if spare >= used:
            return period_ms - past_ms
        return 2 * period_ms - spare * period_ms // used - past_ms


def _rolled(state: Counts | None, start_ms: int, period_ms: int) -> tuple[int, int]:
    """What is used in the window that begins at ``start_ms``, and in the one before."""
    if state is None:
        return 0, 0
    if state.start_ms == start_ms:
        return state.used, state.before
    return 0, state.used if state.start_ms == start_ms - period_ms else 0
