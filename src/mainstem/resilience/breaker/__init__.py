"""Circuit breaker: a rule over a state that the caller keeps, and the breaker of one process."""

from typing import TYPE_CHECKING

from mainstem.doors import door

if TYPE_CHECKING:
    from mainstem.resilience.breaker.circuit import CircuitBreaker as CircuitBreaker
    from mainstem.resilience.breaker.outcomes import CallsWindow as CallsWindow
    from mainstem.resilience.breaker.outcomes import LastCalls as LastCalls
    from mainstem.resilience.breaker.outcomes import LastSlices as LastSlices
    from mainstem.resilience.breaker.outcomes import Slice as Slice
    from mainstem.resilience.breaker.outcomes import Tally as Tally
    from mainstem.resilience.breaker.outcomes import TimeWindow as TimeWindow
    from mainstem.resilience.breaker.rule import Admission as Admission
    from mainstem.resilience.breaker.rule import BreakerRule as BreakerRule
    from mainstem.resilience.breaker.rule import BreakerState as BreakerState
    from mainstem.resilience.breaker.rule import Ending as Ending
    from mainstem.resilience.breaker.rule import Mode as Mode
    from mainstem.resilience.breaker.rule import Permit as Permit
    from mainstem.resilience.breaker.rule import Phase as Phase
    from mainstem.resilience.breaker.rule import Refusal as Refusal

__all__ = [
    "Admission",
    "BreakerRule",
    "BreakerState",
    "CallsWindow",
    "CircuitBreaker",
    "Ending",
    "LastCalls",
    "LastSlices",
    "Mode",
    "Permit",
    "Phase",
    "Refusal",
    "Slice",
    "Tally",
    "TimeWindow",
]

__getattr__, __dir__ = door(
    __name__,
    {
        "circuit": ("CircuitBreaker",),
        "outcomes": ("CallsWindow", "LastCalls", "LastSlices", "Slice", "Tally", "TimeWindow"),
        "rule": (
            "Admission",
            "BreakerRule",
            "BreakerState",
            "Ending",
            "Mode",
            "Permit",
            "Phase",
            "Refusal",
        ),
    },
)
