"""A cache that knows how to find out: many who ask for one thing at once ask the other side once."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from mainstem.clock import Clock, SystemClock
from mainstem.resilience.cache import Cache

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class LoadingCache(Generic[K, V]):
    """``await cache.get(key)``: the value that is kept, or what ``load`` finds, which is kept then.

    While one load of a key is under way, whoever asks for the key waits for it ("single flight"). A load that fails
    is not kept: all who wait for it get its error, and the next who asks tries again. Who is cancelled does not take
    the others along; when nobody is left who waits, the load is cancelled too. For one event loop.
    """

    __slots__ = ("_cache", "_clock", "_load", "_loads")

    def __init__(
        self,
        load: Callable[[K], Awaitable[V]],
        *,
        size: int,
        age_ms: int | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Keep at most ``size`` values, each for at most ``age_ms``. Raises ``DefinitionError`` as ``Cache`` does."""
        # A value is kept in a tuple, so that None may be one.
        self._cache: Cache[K, tuple[V]] = Cache(size, age_ms=age_ms)
        self._clock = clock or SystemClock()
        self._load = load
        # The loads under way, and how many wait for each.
        self._loads: dict[K, tuple[asyncio.Task[V], int]] = {}

    async def get(self, key: K) -> V:
        """The value of ``key``. Raises what ``load`` raises."""
        found = self._cache.get(key, self._now_ms())
        if found is not None:
            return found[0]
        task, waiting = self._loads.get(key) or (asyncio.ensure_future(self._loaded(key)), 0)
        self._loads[key] = task, waiting + 1
        try:
            return await asyncio.shield(task)
        finally:
            held = self._loads.get(key)
            # Unless it was discarded meanwhile, and another load of the same key is under way.
            if held is not None and held[0] is task:
                if held[1] == 1:
                    del self._loads[key]
                    task.cancel()
                else:
                    self._loads[key] = task, held[1] - 1

    def discard(self, key: K) -> None:
        """Forget the value of ``key``, because it has changed: what is being loaded is not kept either."""
        self._cache.discard(key)
        self._loads.pop(key, None)

    async def _loaded(self, key: K) -> V:
        value = await self._load(key)
        held = self._loads.get(key)
        if held is not None and held[0] is asyncio.current_task():
            self._cache.put(key, (value,), self._now_ms())
        return value

    def _now_ms(self) -> int:
        return int(self._clock.monotonic() * 1_000)
