"""Pure step functions against failure: time and chance are arguments, and what needs a store is in delivery.

What stands around a call (``CircuitBreaker``, ``Bulkhead`` and so on) is a thin holder of one state for one process. It
takes a clock, and loads when it is asked for: a service that uses none of this pays for a backoff alone.
"""

from typing import TYPE_CHECKING

from mainstem.doors import door

if TYPE_CHECKING:
    from mainstem.resilience.attempts import Attempts as Attempts
    from mainstem.resilience.attempts import Retrying as Retrying
    from mainstem.resilience.backoff import Backoff as Backoff
    from mainstem.resilience.backoff import Growth as Growth
    from mainstem.resilience.backoff import Jitter as Jitter
    from mainstem.resilience.balancing import Backend as Backend
    from mainstem.resilience.balancing import Balancer as Balancer
    from mainstem.resilience.balancing import HashRing as HashRing
    from mainstem.resilience.balancing import HealthRule as HealthRule
    from mainstem.resilience.balancing import KeyHash as KeyHash
    from mainstem.resilience.balancing import LeastConnections as LeastConnections
    from mainstem.resilience.balancing import LeastResponseTime as LeastResponseTime
    from mainstem.resilience.balancing import Load as Load
    from mainstem.resilience.balancing import Loads as Loads
    from mainstem.resilience.balancing import Mark as Mark
    from mainstem.resilience.balancing import RingHash as RingHash
    from mainstem.resilience.balancing import RoundRobin as RoundRobin
    from mainstem.resilience.balancing import Session as Session
    from mainstem.resilience.balancing import Sticky as Sticky
    from mainstem.resilience.balancing import Strategy as Strategy
    from mainstem.resilience.balancing import Weighted as Weighted
    from mainstem.resilience.breaker import Admission as Admission
    from mainstem.resilience.breaker import BreakerRule as BreakerRule
    from mainstem.resilience.breaker import BreakerState as BreakerState
    from mainstem.resilience.breaker import CallsWindow as CallsWindow
    from mainstem.resilience.breaker import CircuitBreaker as CircuitBreaker
    from mainstem.resilience.breaker import Ending as Ending
    from mainstem.resilience.breaker import LastCalls as LastCalls
    from mainstem.resilience.breaker import LastSlices as LastSlices
    from mainstem.resilience.breaker import Mode as Mode
    from mainstem.resilience.breaker import Permit as Permit
    from mainstem.resilience.breaker import Phase as Phase
    from mainstem.resilience.breaker import Refusal as Refusal
    from mainstem.resilience.breaker import Slice as Slice
    from mainstem.resilience.breaker import Tally as Tally
    from mainstem.resilience.breaker import TimeWindow as TimeWindow
    from mainstem.resilience.budget import BudgetState as BudgetState
    from mainstem.resilience.budget import RetryBudget as RetryBudget
    from mainstem.resilience.bulkhead import Bulkhead as Bulkhead
    from mainstem.resilience.bulkhead import BulkheadRule as BulkheadRule
    from mainstem.resilience.bulkhead import BulkheadState as BulkheadState
    from mainstem.resilience.bulkhead import Entry as Entry
    from mainstem.resilience.cache import Cache as Cache
    from mainstem.resilience.cache import CacheCounts as CacheCounts
    from mainstem.resilience.fallback import Fallback as Fallback
    from mainstem.resilience.limits import Anchor as Anchor
    from mainstem.resilience.limits import Count as Count
    from mainstem.resilience.limits import Counts as Counts
    from mainstem.resilience.limits import FixedWindow as FixedWindow
    from mainstem.resilience.limits import KeyedLimit as KeyedLimit
    from mainstem.resilience.limits import LeakingBucket as LeakingBucket
    from mainstem.resilience.limits import LeakingQueue as LeakingQueue
    from mainstem.resilience.limits import Level as Level
    from mainstem.resilience.limits import RateLimit as RateLimit
    from mainstem.resilience.limits import RateLimiter as RateLimiter
    from mainstem.resilience.limits import SlidingCounter as SlidingCounter
    from mainstem.resilience.limits import SlidingLog as SlidingLog
    from mainstem.resilience.limits import TokenBucket as TokenBucket
    from mainstem.resilience.limits import Verdict as Verdict
    from mainstem.resilience.loading import LoadingCache as LoadingCache
    from mainstem.resilience.timelimit import Deadline as Deadline
    from mainstem.resilience.timelimit import TimeLimit as TimeLimit

__all__ = [
    "Admission",
    "Anchor",
    "Attempts",
    "Backend",
    "Backoff",
    "Balancer",
    "BreakerRule",
    "BreakerState",
    "BudgetState",
    "Bulkhead",
    "BulkheadRule",
    "BulkheadState",
    "Cache",
    "CacheCounts",
    "CallsWindow",
    "CircuitBreaker",
    "Count",
    "Counts",
    "Deadline",
    "Ending",
    "Entry",
    "Fallback",
    "FixedWindow",
    "Growth",
    "HashRing",
    "HealthRule",
    "Jitter",
    "KeyHash",
    "KeyedLimit",
    "LastCalls",
    "LastSlices",
    "LeakingBucket",
    "LeakingQueue",
    "LeastConnections",
    "LeastResponseTime",
    "Level",
    "Load",
    "LoadingCache",
    "Loads",
    "Mark",
    "Mode",
    "Permit",
    "Phase",
    "RateLimit",
    "RateLimiter",
    "Refusal",
    "RetryBudget",
    "Retrying",
    "RingHash",
    "RoundRobin",
    "Session",
    "Slice",
    "SlidingCounter",
    "SlidingLog",
    "Sticky",
    "Strategy",
    "Tally",
    "TimeLimit",
    "TimeWindow",
    "TokenBucket",
    "Verdict",
    "Weighted",
]

__getattr__, __dir__ = door(
    __name__,
    {
        "attempts": ("Attempts", "Retrying"),
        "backoff": ("Backoff", "Growth", "Jitter"),
        "balancing": (
            "Backend",
            "Balancer",
            "HashRing",
            "HealthRule",
            "KeyHash",
            "LeastConnections",
            "LeastResponseTime",
            "Load",
            "Loads",
            "Mark",
            "RingHash",
            "RoundRobin",
            "Session",
            "Sticky",
            "Strategy",
            "Weighted",
        ),
        "breaker": (
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
        ),
        "budget": ("BudgetState", "RetryBudget"),
        "bulkhead": ("Bulkhead", "BulkheadRule", "BulkheadState", "Entry"),
        "cache": ("Cache", "CacheCounts"),
        "fallback": ("Fallback",),
        "limits": (
            "Anchor",
            "Count",
            "Counts",
            "FixedWindow",
            "KeyedLimit",
            "LeakingBucket",
            "LeakingQueue",
            "Level",
            "RateLimit",
            "RateLimiter",
            "SlidingCounter",
            "SlidingLog",
            "TokenBucket",
            "Verdict",
        ),
        "loading": ("LoadingCache",),
        "timelimit": ("Deadline", "TimeLimit"),
    },
)
