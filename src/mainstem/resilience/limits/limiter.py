"""A limit that stands before calls: it reads the clock, and waits."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Hashable
from contextlib import asynccontextmanager
from threading import Lock
from typing import Generic, ParamSpec, TypeVar

from mainstem.clock import Clock, SystemClock
from mainstem.errors import LimitExceeded
from mainstem.resilience.calls import guarding
from mainstem.resilience.limits.keyed import KeyedLimit
from mainstem.resilience.limits.verdict import RateLimit, Verdict

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")


class RateLimiter(Generic[S]):
    """A rate limit for the calls of one process, one for all of them or one for each key.

    ``limiter.ask(key)`` answers at once, in any thread. ``async with limiter.paced(key)`` waits for its turn.
    ``@limiter`` makes an ``async def`` function raise ``LimitExceeded`` when it is called too often. Both wait as
    long as a ``LeakingQueue`` says.

    Time is the clock's ``monotonic()``, so that windows by the clock begin with the process's own time.
    """

    __slots__ = ("_clock", "_keyed", "_lock", "_turns")

    def __init__(self, limit: RateLimit[S], *, keys: int = 10_000, clock: Clock | None = None) -> None:
        """Keep the states of at most ``keys`` keys. Raises ``DefinitionError`` for fewer than one."""
        self._keyed: KeyedLimit[Hashable, S] = KeyedLimit(limit, keys)
        self._clock = clock or SystemClock()
        self._lock = Lock()
        # Who waits, by key: a lock that hands over in the order of asking, and how many hold or want it.
        self._turns: dict[Hashable, tuple[asyncio.Lock, int]] = {}

    def ask(self, key: Hashable = None, cost: int = 1) -> Verdict:
        """Ask for ``cost`` now. Raises ``DefinitionError`` for a cost that could never be allowed."""
        with self._lock:
            return self._keyed.ask(key, int(self._clock.monotonic() * 1_000), cost)

    def demand(self, key: Hashable = None, cost: int = 1) -> Verdict:
        """The same, but raise ``LimitExceeded``, with the time after which to try again, instead of saying no."""
        verdict = self.ask(key, cost)
        if not verdict.allowed:
            raise LimitExceeded(
                f"a request of cost {cost} is over the limit" + ("" if key is None else f" of {key!r}"),
                where=repr(self._keyed.limit),
                why="as much as the limit allows was asked for already",
                remedy=f"try again after {verdict.retry_after_ms / 1_000:g} s, or wait with paced()",
                retry_after_seconds=verdict.retry_after_ms / 1_000,
            )
        return verdict

    @asynccontextmanager
    async def paced(self, key: Hashable = None, cost: int = 1) -> AsyncIterator[Verdict]:
        """Wait until the limit allows ``cost``, then go on.

        Who waits for one key goes in the order of asking, whatever it costs, so that small requests never starve a
        large one; ``ask`` does not wait, and may be quicker. Waiting has no end of its own: give it a time-out. Full
        queues (``LeakingQueue``) are waited for as well.
        """
        lock, wanted = self._turns.get(key) or (asyncio.Lock(), 0)
        self._turns[key] = lock, wanted + 1
        try:
            async with lock:
                while not (verdict := self.ask(key, cost)).allowed:  # noqa: ASYNC110 - only time frees a limit
                    await asyncio.sleep(verdict.retry_after_ms / 1_000)
        finally:
            _, wanted = self._turns.pop(key)
            if wanted > 1:
                self._turns[key] = lock, wanted - 1
        if verdict.wait_ms:
            await asyncio.sleep(verdict.wait_ms / 1_000)
        yield verdict

    def __call__(self, function: Callable[P, Awaitable[R]]) -> Callable[P, Coroutine[object, object, R]]:
        """A function that first asks for one, for everybody who calls it; raises ``LimitExceeded`` otherwise."""

        async def call(*args: P.args, **kwargs: P.kwargs) -> R:
            verdict = self.demand()
            if verdict.wait_ms:
                await asyncio.sleep(verdict.wait_ms / 1_000)
            return await function(*args, **kwargs)

        return guarding(function, call)
