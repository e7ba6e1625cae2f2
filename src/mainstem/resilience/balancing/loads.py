"""Whom to give a call to: strategies that look at the calls under way."""

from collections.abc import Sequence
from typing import TypeAlias

from msgspec import Struct

from mainstem.errors import DefinitionError
from mainstem.resilience.balancing.backends import Backend, demand_some


class Load(Struct, frozen=True, array_like=True, gc=False):
    """How many calls of one backend are under way, how long the last took on average, and when it was chosen last."""

    active: int = 0
    response_ms: float = 0.0
    turn: int = 0


Loads: TypeAlias = dict[str, Load]
"""By name; who is not in it has none. Backends that come and go leave their load behind until it is over."""

_IDLE = Load()


class LeastConnections(Struct, frozen=True):
    """The one with the fewest calls under way for its weight; among equals the one that was chosen longest ago."""

    def choose(self, state: Loads | None, backends: Sequence[Backend], key: str = "") -> tuple[Loads, str]:  # noqa: ARG002 - as Strategy says
        """The least busy one, which has one call more now."""
        demand_some(backends)
        loads = state or {}

        def busy(each: Backend) -> tuple[float, int]:
            load = loads.get(each.name, _IDLE)
            return (load.active + 1) / each.weight, load.turn

        best = min(backends, key=busy)
        return _begun(loads, best.name), best.name

    def ended(self, state: Loads, name: str, elapsed_ms: float) -> Loads:
        """One call less."""
        return _ended(state, name, elapsed_ms)


class LeastResponseTime(Struct, frozen=True):
    """The one that will answer soonest: response time times the calls it would have under way, for its weight.

    The response time is a moving average in which the last call counts ``share``; a longer one than the average counts
    fully, so that a backend that turns slow is avoided at once and believed again slowly (Finagle's peak EWMA, by calls
    instead of time). One that was never called is tried first.
    """

    share: float = 0.1

    def __post_init__(self) -> None:
        """Refuse an average that never moves, with ``DefinitionError``."""
        if not 0 < self.share <= 1:
            raise DefinitionError(
                f"an average in which the last call counts {self.share}",
                why="it would never move, or overshoot",
                remedy="give share above 0 and at most 1",
            )

    def choose(self, state: Loads | None, backends: Sequence[Backend], key: str = "") -> tuple[Loads, str]:  # noqa: ARG002 - as Strategy says
        """The one that will answer soonest, which has one call more now."""
        demand_some(backends)
        loads = state or {}

        def soonest(each: Backend) -> tuple[float, float, int]:
            load = loads.get(each.name, _IDLE)
            busy = (load.active + 1) / each.weight
            return load.response_ms * busy, busy, load.turn

        best = min(backends, key=soonest)
        return _begun(loads, best.name), best.name

    def ended(self, state: Loads, name: str, elapsed_ms: float) -> Loads:
        """One call less, and what it took."""
        before_ms = state.get(name, _IDLE).response_ms
        # The first call has no average to be weighed against, and a slow one counts fully.
        peak = not before_ms or elapsed_ms > before_ms
        return _ended(state, name, elapsed_ms if peak else before_ms + self.share * (elapsed_ms - before_ms))


def _begun(loads: Loads, name: str) -> Loads:
    load = loads.get(name, _IDLE)
    turn = max((each.turn for each in loads.values()), default=0) + 1
    return {**loads, name: Load(load.active + 1, load.response_ms, turn)}


def _ended(loads: Loads, name: str, response_ms: float) -> Loads:
    load = loads.get(name, _IDLE)
    return {**loads, name: Load(max(0, load.active - 1), response_ms, load.turn)}
