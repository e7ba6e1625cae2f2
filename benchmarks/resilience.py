"""Nanoseconds for a decision: rate limits, breaker, ring, cache, balancing; beside the Python libraries for the same.

A step is the pure function alone. Holders have a clock and a lock, as the peers have; they are what is compared, but
for pyrate-limiter, which has a step too. CPU time, because the wall clock of a shared machine is another's as well.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from benchmarks.harness import Measurement, Report, Stopwatch, cpu_ratio, median_cpu_us
from benchmarks.peers import Peers, measured
from mainstem.clock import SystemClock
from mainstem.resilience import (
    Backend,
    BreakerRule,
    BreakerState,
    Cache,
    CircuitBreaker,
    FixedWindow,
    HashRing,
    KeyHash,
    LeakingQueue,
    LeastConnections,
    LeastResponseTime,
    Permit,
    RateLimit,
    RateLimiter,
    RingHash,
    RoundRobin,
    SlidingCounter,
    SlidingLog,
    Strategy,
    TokenBucket,
    Weighted,
)

S = TypeVar("S")
Loop = Callable[[int], None]

PACKAGES = (
    "aiobreaker==1.2.0",
    "cachetools==8.0.1",
    "interlock-cb==2.8.2",
    "limits==5.8.0",
    "purgatory==3.0.1",
    "pyrate-limiter==4.5.1",
    "uhashring==2.5",
)
MANY, FEW = 100_000_000, 1_000
KEYS = [f"customer-{number}" for number in range(1_000)]
TEN = [Backend(f"node-{number}") for number in range(10)]
RING = HashRing(TEN)

# Ours, and the peers that do the same.
AGAINST = {
    "token_bucket_step": ("pyrate_step",),
    "token_bucket": ("pyrate_limiter",),
    "fixed_window": ("limits_fixed_window",),
    "sliding_log": ("limits_sliding_log",),
    "sliding_counter": ("limits_sliding_counter",),
    "breaker": ("interlock", "aiobreaker", "purgatory"),
    "breaker_async": ("interlock_async", "aiobreaker_async", "purgatory_async"),
    "ring": ("uhashring", "uhashring_ketama"),
    "cache_lru": ("cachetools_lru",),
    "cache_lru_fits": ("cachetools_lru_fits",),
    "cache_ttl_fits": ("cachetools_ttl_fits",),
}


def keys(count: int) -> Iterator[str]:
    """So many keys."""
    for start in range(0, count, len(KEYS)):
        yield from KEYS[: count - start]


def good() -> None:
    """A call that succeeds."""


async def good_async() -> None:
    """The same, awaited."""


def steps(limit: RateLimit[S]) -> Loop:
    """The pure step of a limit, a request a millisecond."""

    def run(count: int) -> None:
        state, step = None, limit.step
        for now_ms in range(1_000_000, 1_000_000 + count):
            state, _ = step(state, now_ms)

    return run


def holder(limit: RateLimit[S]) -> Loop:
    """A limit with its clock and its lock, for one key."""
    limiter = RateLimiter(limit)

    def run(count: int) -> None:
        for _ in range(count):
            limiter.ask("key")

    return run


def breaker_steps(count: int) -> None:
    """Leave for a call, and its success."""
    rule, state = BreakerRule(), BreakerState()
    for now_ms in range(count):
        state, permit = rule.admit(state, now_ms)
        assert isinstance(permit, Permit)
        state = rule.ended(state, permit, now_ms, "succeeded")


def breaker(count: int) -> None:
    """Around plain code."""
    guard = CircuitBreaker()
    for _ in range(count):
        with guard.call():
            good()


def breaker_async(count: int) -> None:
    """Above an ``async def`` function."""
    guarded = CircuitBreaker()(good_async)

    async def run() -> None:
        for _ in range(count):
            await guarded()

    asyncio.run(run())


def ring(count: int) -> None:
    """Whom a key belongs to."""
    for key in keys(count):
        RING.owner(key)


def caching(cache: Cache[str, int]) -> Loop:
    """A read, and a write where it was not there. Nothing ages, and no clock is read."""

    def run(count: int) -> None:
        get, put = cache.get, cache.put
        for key in keys(count):
            if get(key, 0) is None:
                put(key, 1, 0)

    return run


def aging(cache: Cache[str, int]) -> Loop:
    """The same with the clock, as the peer does it."""
    clock = SystemClock()

    def run(count: int) -> None:
        get, put, read = cache.get, cache.put, clock.monotonic
        for key in keys(count):
            now_ms = int(read() * 1_000)
            if get(key, now_ms) is None:
                put(key, 1, now_ms)

    return run


def choices(strategy: Strategy[S], backends: Sequence[Backend] = TEN) -> Loop:
    """A choice among ten, and the end of its call."""

    def run(count: int) -> None:
        state = None
        for key in keys(count):
            state, name = strategy.choose(state, backends, key)
            state = strategy.ended(state, name, 1.0)

    return run


OURS: dict[str, Loop] = {
    "token_bucket_step": steps(TokenBucket(limit=MANY, period_ms=1_000)),
    "leaking_queue_step": steps(LeakingQueue(limit=MANY, period_ms=1_000, places=FEW)),
    "fixed_window_step": steps(FixedWindow(limit=MANY, period_ms=1_000)),
    "sliding_log_step": steps(SlidingLog(limit=FEW, period_ms=1_000)),
    "sliding_counter_step": steps(SlidingCounter(limit=MANY, period_ms=1_000)),
    "token_bucket": holder(TokenBucket(limit=MANY, period_ms=1_000)),
    "fixed_window": holder(FixedWindow(limit=MANY, period_ms=1_000)),
    "sliding_log": holder(SlidingLog(limit=FEW, period_ms=1_000)),
    "sliding_counter": holder(SlidingCounter(limit=MANY, period_ms=1_000)),
    "breaker_steps": breaker_steps,
    "breaker": breaker,
    "breaker_async": breaker_async,
    "ring": ring,
    "cache_lru": caching(Cache(500)),
    "cache_lru_fits": caching(Cache(2_000)),
    "cache_ttl_fits": aging(Cache(2_000, age_ms=3_600_000)),
    "round_robin": choices(RoundRobin()),
    "weighted": choices(Weighted()),
    "least_connections": choices(LeastConnections()),
    "least_response_time": choices(LeastResponseTime()),
    "key_hash": choices(KeyHash()),
    "ring_hash": choices(RingHash(RING)),
}


def ours(loop: Loop, count: int) -> Measurement:
    """One run of a loop of ours."""
    with Stopwatch() as watch:
        loop(count)
    return watch.measured(count)


def tell(turns: dict[str, list[Measurement]], report: Report) -> None:
    """Each figure of ours with its ratios, and behind it those of its peers."""
    for name in OURS:
        peers = [peer for peer in AGAINST.get(name, ()) if peer in turns]
        ratios = {peer: cpu_ratio(turns[name], turns[peer]) for peer in peers}
        report.add(name, median_cpu_us(turns[name]) * 1_000, "ns", **ratios)
        for peer in peers:
            report.add(peer, median_cpu_us(turns[peer]) * 1_000, "ns")


def main() -> None:
    """Run all, in turns."""
    cases = {name: partial(ours, loop) for name, loop in OURS.items()}
    turns = measured("a decision", 50_000, cases, AGAINST, partial(Peers, "resilience", "decisions.py", PACKAGES))
    report = Report("a decision, in ns of CPU time; a ratio of 2 is half the time of")
    tell(turns, report)
    report.show()


if __name__ == "__main__":
    main()
