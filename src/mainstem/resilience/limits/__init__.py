"""Rate limits: values that decide over a state that the caller keeps."""

from mainstem.resilience.limits.bucket import LeakingBucket, LeakingQueue, Level, TokenBucket
from mainstem.resilience.limits.keyed import KeyedLimit
from mainstem.resilience.limits.limiter import RateLimiter
from mainstem.resilience.limits.log import SlidingLog
from mainstem.resilience.limits.verdict import RateLimit, Verdict
from mainstem.resilience.limits.window import Anchor, Count, Counts, FixedWindow, SlidingCounter

__all__ = [
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
]
