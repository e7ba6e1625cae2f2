"""The limit that remembers every request: sliding window log."""

from bisect import bisect_right

from msgspec import Struct

from mainstem.options import Stated
from mainstem.resilience.limits.verdict import Verdict, demand_whole, refuse_cost


class SlidingLog(Struct, frozen=True, kw_only=True, metaclass=Stated):
    """At most ``limit`` in any stretch of ``period_ms``, exactly.

    The window at time t goes from t - ``period_ms``, not included, to t. The state is the times of what was allowed,
    one for each unit of cost, so at most ``limit`` numbers: exact, and the dearest in memory and time. For large
    limits take ``SlidingCounter``.
    """

    limit: int
    period_ms: int

    def __post_init__(self) -> None:
        """Refuse numbers that are no limit, with ``DefinitionError``."""
        demand_whole("a SlidingLog", limit=self.limit, period_ms=self.period_ms)

    def step(self, state: tuple[int, ...] | None, now_ms: int, cost: int = 1) -> tuple[tuple[int, ...], Verdict]:
        """Ask for ``cost`` at ``now_ms``: the state to keep, and the answer.

        A request that is not allowed changes nothing. Raises ``DefinitionError`` for a cost above the limit.
        """
        limit, period_ms = self.limit, self.period_ms
        if type(cost) is not int or not 0 < cost <= limit:
            refuse_cost(self, cost, limit)
        times = state or ()
        asked_ms = now_ms
        if times and now_ms < times[-1]:
            now_ms = times[-1]
        gone = bisect_right(times, now_ms - period_ms) if times and times[0] <= now_ms - period_ms else 0
        used = len(times) - gone
        remaining = limit - used - cost
        if remaining < 0:
            # So many of the oldest have to leave, the last of them when it is a whole period old.
            last_ms = times[gone - remaining - 1]
            retry_ms = last_ms + period_ms - asked_ms
            return times, Verdict(False, limit - used, retry_ms, times[-1] + period_ms - asked_ms)
        added = (now_ms,) if cost == 1 else (now_ms,) * cost
        after = (times[gone:] if gone else times) + added
        return after, Verdict(True, remaining, 0, now_ms + period_ms - asked_ms)
