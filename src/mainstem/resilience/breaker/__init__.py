"""Circuit breaker: a rule over a state that the caller keeps, and the breaker of one process."""

from mainstem.resilience.breaker.circuit import CircuitBreaker
from mainstem.resilience.breaker.outcomes import CallsWindow, LastCalls, LastSlices, Slice, Tally, TimeWindow
from mainstem.resilience.breaker.rule import (
    Admission,
    BreakerRule,
    BreakerState,
    Ending,
    Mode,
    Permit,
    Phase,
    Refusal,
)

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
