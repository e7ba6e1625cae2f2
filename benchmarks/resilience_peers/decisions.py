"""The peers, in an environment of their own: reads ``case count`` line by line, prints wall and CPU seconds for each.

Imports nothing of Mainstem. A case is a loop of its own, so that no call is measured that a user would not make.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator

import aiobreaker
import cachetools
import interlock
import limits
import limits.storage
import limits.strategies
import purgatory
import pyrate_limiter
import uhashring
from pyrate_limiter.limiter_factory import create_token_bucket_limiter

MANY, FEW = 100_000_000, 1_000
KEYS = [f"customer-{number}" for number in range(1_000)]


def keys(count: int) -> Iterator[str]:
    """So many keys."""
    for start in range(0, count, len(KEYS)):
        yield from KEYS[: count - start]


def good() -> None:
    """A call that succeeds."""


async def good_async() -> None:
    """The same, awaited."""


def of_limits(strategy: type[limits.strategies.RateLimiter], amount: int) -> Callable[[int], None]:
    """A strategy of limits, in memory, for one key."""
    limiter, item = strategy(limits.storage.MemoryStorage()), limits.RateLimitItemPerSecond(amount)

    def run(count: int) -> None:
        for _ in range(count):
            limiter.hit(item, "key")

    return run


def pyrate_step(count: int) -> None:
    """The pure step of pyrate-limiter's token bucket."""
    bucket, rates = pyrate_limiter.TokenBucket(), [pyrate_limiter.Rate(MANY, 1_000)]
    state, step = bucket.initial(rates), bucket.step
    for now_ms in range(1_000_000, 1_000_000 + count):
        state, _ = step(rates, state, now_ms, 1)


PYRATE = create_token_bucket_limiter(MANY)


def pyrate_limiter_(count: int) -> None:
    """Its limiter, with its clock and its lock."""
    for _ in range(count):
        PYRATE.try_acquire("key", blocking=False)


INTERLOCK = interlock.CircuitBreaker(name="bank")
AIOBREAKER = aiobreaker.CircuitBreaker()
PURGATORY = purgatory.SyncCircuitBreakerFactory()
PURGATORY_ASYNC = purgatory.AsyncCircuitBreakerFactory()


def interlock_sync(count: int) -> None:
    """Its quickest form for plain code."""
    for _ in range(count):
        INTERLOCK.call_sync(good)


def aiobreaker_sync(count: int) -> None:
    """The only form for plain code."""
    for _ in range(count):
        AIOBREAKER.call(good)


def purgatory_sync(count: int) -> None:
    """The breaker is looked up for each call, as its guide does."""
    for _ in range(count):
        with PURGATORY.get_breaker("bank"):
            good()


def awaited(function: Callable[[], object]) -> Callable[[int], None]:
    """So many calls of an ``async def`` function, one after the other."""

    async def run(count: int) -> None:
        for _ in range(count):
            await function()  # type: ignore[misc]

    return lambda count: asyncio.run(run(count))


RING = uhashring.HashRing([f"node-{number}" for number in range(10)], hash_fn="ketama")
RING_OWN = uhashring.HashRing([f"node-{number}" for number in range(10)])


def of_ring(ring: uhashring.HashRing) -> Callable[[int], None]:
    """Whom a key belongs to."""

    def run(count: int) -> None:
        owner = ring.get_node
        for key in keys(count):
            owner(key)

    return run


def of_cache(cache: cachetools.Cache) -> Callable[[int], None]:
    """A read, and a write where it was not there: half of the keys have room."""

    def run(count: int) -> None:
        get = cache.get
        for key in keys(count):
            if get(key) is None:
                cache[key] = 1

    return run


CASES: dict[str, Callable[[int], None]] = {
    "limits_fixed_window": of_limits(limits.strategies.FixedWindowRateLimiter, MANY),
    "limits_sliding_log": of_limits(limits.strategies.MovingWindowRateLimiter, FEW),
    "limits_sliding_counter": of_limits(limits.strategies.SlidingWindowCounterRateLimiter, MANY),
    "pyrate_step": pyrate_step,
    "pyrate_limiter": pyrate_limiter_,
    "interlock": interlock_sync,
    "aiobreaker": aiobreaker_sync,
    "purgatory": purgatory_sync,
    "interlock_async": awaited(INTERLOCK(good_async)),
    "aiobreaker_async": awaited(AIOBREAKER(good_async)),
    "purgatory_async": awaited(PURGATORY_ASYNC("bank")(good_async)),
    "uhashring": of_ring(RING_OWN),
    "uhashring_ketama": of_ring(RING),
    "cachetools_lru": of_cache(cachetools.LRUCache(500)),
    "cachetools_lru_fits": of_cache(cachetools.LRUCache(2_000)),
    "cachetools_ttl_fits": of_cache(cachetools.TTLCache(2_000, 3_600)),
}

for line in sys.stdin:
    name, count = line.split()
    wall, cpu = time.perf_counter(), time.process_time()
    CASES[name](int(count))
    print(time.perf_counter() - wall, time.process_time() - cpu, flush=True)
