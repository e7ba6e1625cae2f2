"""A cache as it is declared: a store, and the functions that load and write what it keeps of another system."""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from mainstem.calendar import Duration, milliseconds, seconds
from mainstem.delivery import Cached, Context, Registration, Retry, Source, Store
from mainstem.errors import DefinitionError
from mainstem.service.handlers import DEFAULT_RETRY, Handlers

V = TypeVar("V")
F = TypeVar("F", bound=Callable[..., Awaitable[object]])

WAITING_MOST = 10_000


class StoreCache(Handlers, Generic[V]):
    """What another system knows, kept by event key in a store: it survives, and moves with the key.

    ``service.include(cache)`` lets handlers use it, with ``await cache.get(context)`` and ``await
    cache.put(context, value)``. A value counts for ``expire_after``. Without ``behind``, what is put is written before
    the handler goes on. With it, it is written so much later, after the commit, once for all that was put meanwhile,
    and at least once; when ``most`` keys of a task wait for that, as dead letters too, what is put is written at once
    again.
    """

    def __init__(
        self,
        name: str,
        value_type: type[V],
        *,
        expire_after: Duration | None = None,
        behind: Duration | None = None,
        most: int = WAITING_MOST,
        version: int = 1,
    ) -> None:
        super().__init__()
        behind_ms = None if behind is None else milliseconds(behind)
        if most < 1 or (behind_ms is not None and behind_ms < 0):
            raise DefinitionError(
                f"the cache {name!r} has behind={behind!r}, most={most}",
                why="a value is written some time after it was put, and some keys may wait for that",
                remedy='write behind="5s", and most from 1, or leave them out',
            )
        store = self.store(name, value_type, version=version, expire_after=expire_after)
        self._cached = Cached(store, behind_ms)
        self._behind = behind_ms is not None
        self._source = Source(name, most if self._behind else 0)
        self._sources.append(self._source)

    @property
    def values(self) -> Store[V]:
        """The store that has the values, for tests that look into it: ``world.value(cache.values, key)``."""
        return self._cached.store

    def loader(self) -> Callable[[F], F]:
        """Let an ``async def load(key, ...)`` find what is not kept; None is nothing, and is not kept.

        The key is the event's, as text. What else it takes is found by annotation, among what the service provides.
        """

        def register(function: F) -> F:
            self._check_open()
            self._source.load = function
            return function

        return register

    def writer(self, *, retry: Retry = DEFAULT_RETRY, timeout: Duration | None = None) -> Callable[[F], F]:
        """Let an ``async def write(key, value, ...)`` tell the other system; None means that the value was deleted.

        ``retry`` and ``timeout`` count for what is written behind: that is a handler of its own, called
        ``NAME.write``. What is written at once is a part of the handler that puts it.
        """

        def register(function: F) -> F:
            self._check_open()
            self._source.write = function
            if self._behind:
                self._register(
                    Registration(
                        function=self._flush,
                        name=self._cached.handler,
                        timer=self._cached.timer,
                        stores=frozenset(),
                        retry=retry,
                        timeout_seconds=None if timeout is None else seconds(timeout),
                    )
                )
            return function

        return register

    async def get(self, context: Context) -> V | None:
        """The value of the event's key: the one that is kept, or what is loaded, which is kept then.

        Raises what loading raises; for one key one load is under way at a time.
        """
        return await self._cached.get(context)

    async def put(self, context: Context, value: V) -> None:
        """Keep a value for the event's key, and write it: now, and raise what that raises; or behind."""
        await self._cached.put(context, value)

    async def delete(self, context: Context) -> None:
        """Forget the value, and tell the other system: now, and raise what that raises; or behind."""
        await self._cached.delete(context)

    def forget(self, context: Context) -> bool:
        """Let the next look load it anew; False when it is still to be written, and so is kept."""
        return self._cached.forget(context)

    async def _flush(self, context: Context) -> None:
        await self._cached.flush(context)
