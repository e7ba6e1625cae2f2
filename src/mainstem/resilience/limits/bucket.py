"""Limits that leak: token bucket, leaking bucket as a meter, leaking bucket as a queue.

All three are one piece of arithmetic. A bucket holds what was used lately, and what is in it leaks away at a steady
rate; the tokens of a token bucket are the room that is left in it. The meter of ITU-T I.371 ("generic cell rate
algorithm", continuous-state leaky bucket) decides the same. Levels are counted in parts of a request, as many as the
period has milliseconds, so that every number is whole and nothing is lost to rounding however long it runs.
"""

from msgspec import Struct
from msgspec.structs import force_setattr

from mainstem.errors import DefinitionError
from mainstem.options import Stated
from mainstem.resilience.limits.verdict import LARGEST, Verdict, demand_whole, refuse_cost


class Level(Struct, frozen=True, array_like=True, gc=False):
    """What is in a bucket at ``at_ms``: ``parts`` of a request, of which a request has as many as the period has ms."""

    parts: int
    at_ms: int


class _Leaking(Struct, frozen=True, kw_only=True):
    limit: int
    period_ms: int
    capacity: int = 0

    def __post_init__(self) -> None:
        """Refuse numbers that are no limit, with ``DefinitionError``."""
        if self.capacity == 0:
            force_setattr(self, "capacity", self.limit)
        name = f"a {type(self).__name__}"
        demand_whole(name, limit=self.limit, period_ms=self.period_ms, capacity=self.capacity)
        _demand_countable(name, self.capacity, self.period_ms)

    def step(self, state: Level | None, now_ms: int, cost: int = 1) -> tuple[Level, Verdict]:
        """Ask for ``cost`` at ``now_ms``: the state to keep, and the answer.

        A request that is not allowed changes nothing. Raises ``DefinitionError`` for a cost above the capacity.
        """
        return _pour(self, self.capacity, state, now_ms, cost)


class TokenBucket(_Leaking, frozen=True, kw_only=True, metaclass=Stated):
    """``limit`` requests per ``period_ms`` in the long run, and bursts of up to ``capacity`` (``limit`` unless given).

    It starts full of tokens and gains them steadily; each request takes as many as it costs. Any stretch of time t
    allows at most ``capacity + limit * t / period_ms``.
    """


class LeakingBucket(_Leaking, frozen=True, kw_only=True, metaclass=Stated):
    """The leaking bucket as a meter: requests fill it, and what does not fit is refused.

    It leaks ``limit`` per ``period_ms``, and holds ``capacity`` (``limit`` unless given).
    It decides as the token bucket of the same numbers does, and promises the same.
    """


class LeakingQueue(Struct, frozen=True, kw_only=True, metaclass=Stated):
    """The leaking bucket as a queue: what is allowed leaves one by one, ``limit`` per ``period_ms``, evenly spaced.

    At most ``places`` wait, not counting what is leaving; beyond that a request is refused. An answer says how long
    to hold the request back (``wait_ms``): the queue is that promise, nothing more, and first come is first served. A
    request that costs more takes as many turns, and leaves at the first of them.
    """

    limit: int
    period_ms: int
    places: int

    def __post_init__(self) -> None:
        """Refuse numbers that are no limit, with ``DefinitionError``."""
        demand_whole("a LeakingQueue", limit=self.limit, period_ms=self.period_ms, places=self.places)
        # Who leaves at once takes no place, so that there is room for one more than the queue has places.
        _demand_countable("a LeakingQueue", self.places + 1, self.period_ms)

    def step(self, state: Level | None, now_ms: int, cost: int = 1) -> tuple[Level, Verdict]:
        """Ask for ``cost`` turns at ``now_ms``: the state to keep, and the answer.

        ``remaining`` counts requests of cost 1. A request that is not allowed changes nothing. Raises
        ``DefinitionError`` for a cost above ``places + 1``.
        """
        after, verdict = _pour(self, self.places + 1, state, now_ms, cost)
        if not verdict.allowed:
            return after, verdict
        before = after.parts - cost * self.period_ms
        wait_ms = after.at_ms - now_ms - (-before // self.limit)
        return after, Verdict(True, verdict.remaining, 0, verdict.reset_after_ms, wait_ms)


def _pour(
    limit: "_Leaking | LeakingQueue", capacity: int, state: Level | None, now_ms: int, cost: int
) -> tuple[Level, Verdict]:
    """What all three do: let leak what has leaked, and pour in what is asked for, if it fits."""
    period_ms, rate = limit.period_ms, limit.limit
    if type(cost) is not int or not 0 < cost <= capacity:
        refuse_cost(limit, cost, capacity)
    if state is None:
        state = Level(0, now_ms)
    parts = state.parts
    # A clock that has gone back stands still until it has caught up; ``behind_ms`` is how long that takes.
    behind_ms = state.at_ms - now_ms
    if behind_ms < 0:
        parts += behind_ms * rate
        parts = max(parts, 0)
        behind_ms = 0
    filled = parts + cost * period_ms
    room = capacity * period_ms - filled
    if room < 0:
        remaining = (room + cost * period_ms) // period_ms
        return state, Verdict(False, remaining, behind_ms - room // rate, behind_ms - (-parts // rate))
    return Level(filled, now_ms + behind_ms), Verdict(True, room // period_ms, 0, behind_ms - (-filled // rate))


def _demand_countable(name: str, capacity: int, period_ms: int) -> None:
    if capacity * period_ms > LARGEST:
        raise DefinitionError(
            f"{name} for {capacity} at once and period_ms={period_ms}",
            why="their product is counted in, and it does not fit in 64 bits",
            remedy="state the rate for a shorter period",
        )
