"""Rate limits: values that decide over a state that the caller keeps."""

from typing import TYPE_CHECKING

from mainstem.doors import door

if TYPE_CHECKING:
    from mainstem.resilience.limits.bucket import LeakingBucket as LeakingBucket
    from mainstem.resilience.limits.bucket import LeakingQueue as LeakingQueue
    from mainstem.resilience.limits.bucket import Level as Level
    from mainstem.resilience.limits.bucket import TokenBucket as TokenBucket
    from mainstem.resilience.limits.keyed import KeyedLimit as KeyedLimit
    from mainstem.resilience.limits.limiter import RateLimiter as RateLimiter
    from mainstem.resilience.limits.log import SlidingLog as SlidingLog
    from mainstem.resilience.limits.verdict import RateLimit as RateLimit
    from mainstem.resilience.limits.verdict import Verdict as Verdict
    from mainstem.resilience.limits.window import Anchor as Anchor
    from mainstem.resilience.limits.window import Count as Count
    from mainstem.resilience.limits.window import Counts as Counts
    from mainstem.resilience.limits.window import FixedWindow as FixedWindow
    from mainstem.resilience.limits.window import SlidingCounter as SlidingCounter

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

__getattr__, __dir__ = door(
    __name__,
    {
        "bucket": ("LeakingBucket", "LeakingQueue", "Level", "TokenBucket"),
        "keyed": ("KeyedLimit",),
        "limiter": ("RateLimiter",),
        "log": ("SlidingLog",),
        "verdict": ("RateLimit", "Verdict"),
        "window": ("Anchor", "Count", "Counts", "FixedWindow", "SlidingCounter"),
    },
)
