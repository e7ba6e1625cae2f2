"""One limit for each key, in memory."""

from collections.abc import Hashable
from typing import Generic, TypeVar

from mainstem.errors import DefinitionError
from mainstem.resilience.limits.verdict import RateLimit, Verdict, demand_whole

S = TypeVar("S")
K = TypeVar("K", bound=Hashable)


class KeyedLimit(Generic[K, S]):
    """The states of one limit, a key each, for as many ``keys`` as are stated: those that asked last.

    For one process and one thread. A key that is pushed out begins anew, so let ``keys`` be well above the number of
    keys that are busy within a period; ``forgotten`` counts those that were pushed out while their limit was still in
    use.
    """

    __slots__ = ("_keys", "_states", "forgotten", "limit")

    def __init__(self, limit: RateLimit[S], keys: int = 10_000) -> None:
        """Hold at most ``keys`` states of ``limit``. Raises ``DefinitionError`` for fewer than one."""
        demand_whole("a KeyedLimit", keys=keys)
        given: object = limit
        if not hasattr(given, "step"):
            raise DefinitionError(
                f"{given!r} is not a rate limit",
                why="how often something may happen, and within which time, is said by a value of its own",
                remedy="write one, such as TokenBucket(limit=100, period_ms=1_000)",
            )
        self.limit = limit
        self.forgotten = 0
        self._keys = keys
        # In the order of the last request; beside each state, when it is as if it had never been used.
        self._states: dict[K, tuple[S, int]] = {}

    def __len__(self) -> int:
        return len(self._states)

    def ask(self, key: K, now_ms: int, cost: int = 1) -> Verdict:
        """Ask for ``cost`` in the name of ``key``.

        Raises ``DefinitionError`` for a cost that could never be allowed.
        """
        held = self._states.pop(key, None)
        if held is None:
            state, verdict = self.limit.step(None, now_ms, cost)
            if len(self._states) >= self._keys:
                self._push_out(now_ms)
        else:
            try:
                state, verdict = self.limit.step(held[0], now_ms, cost)
            except BaseException:
                self._states[key] = held
                raise
        self._states[key] = state, now_ms + verdict.reset_after_ms
        return verdict

    def _push_out(self, now_ms: int) -> None:
        _, reset_ms = self._states.pop(next(iter(self._states)))
        self.forgotten += reset_ms > now_ms
