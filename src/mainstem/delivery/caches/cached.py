"""The values of a cache, by the key of the event: looked up, put, and written to the other system.

A key that waits to be written has a timer; while its writing fails it is parked, and has none. What is kept for it then
counts, however old it is: the other system does not know it yet.
"""

from typing import Final, Generic, TypeVar, cast

from mainstem.delivery.caches.waiting import TaskCache
from mainstem.delivery.context import Context, RunContext, Store

V = TypeVar("V")

WRITE: Final = "$write:"
"""A timer whose name begins so: a value of the cache named behind it is to be written."""
WRITER: Final = ".write"
"""What ends the name of the handler that does so."""


class Cached(Generic[V]):
    """One cache. ``behind_ms`` None: what is put is written before the handler goes on."""

    __slots__ = ("_behind_ms", "handler", "store", "timer")

    def __init__(self, store: Store[V], behind_ms: int | None) -> None:
        self.store = store
        self.timer = WRITE + store.name
        self.handler = store.name + WRITER
        self._behind_ms = behind_ms

    async def get(self, context: Context) -> V | None:
        """The value of the event's key: the one that is kept, or what is loaded, which is kept then."""
        run, task = self._opened(context)
        if self._waits(run, task):
            return run.kept(self.store)
        found = context.get(self.store)
        if found is None and task.bound.load is not None:
            found = cast("V | None", await task.bound.load(_text(run)))
            if found is not None:
                context.put(self.store, found)
        return found

    async def put(self, context: Context, value: V) -> None:
        """Keep a value, and write it: now, or soon."""
        run, task = self._opened(context)
        if self._let_wait(run, task):
            context.put(self.store, value)
            return
        # Checked before anybody else hears of it.
        self.store.pack(value, 0)
        await self._write(run, task, value)
        context.put(self.store, value)

    async def delete(self, context: Context) -> None:
        """Forget a value, here and in the other system: now, or soon."""
        run, task = self._opened(context)
        if not self._let_wait(run, task):
            await self._write(run, task, None)
        context.delete(self.store)

    def forget(self, context: Context) -> bool:
        """Let the next look load it anew; False when it is still to be written, and so stays."""
        run, task = self._opened(context)
        if self._waits(run, task):
            return False
        context.delete(self.store)
        return True

    async def flush(self, context: Context) -> None:
        """Write what is kept for the key of a timer, once that is committed."""
        # It only reads, so it need not wait where the handlers that use the store do.
        run = cast("RunContext", context)
        task = cast("TaskCache", run.beside(self.store))
        assert run.key is not None, "a timer of a cache has a key"
        await task.committed(self.store.name, run.key)
        await self._write(run, task, run.kept(self.store))
        task.is_written()

    def _opened(self, context: Context) -> tuple[RunContext, TaskCache]:
        run = cast("RunContext", context)
        run.check(self.store)
        return run, cast("TaskCache", run.beside(self.store))

    def _let_wait(self, run: RunContext, task: TaskCache) -> bool:
        """Whether it is enough to keep what is put: the key waits to be written, now or already."""
        if self._behind_ms is None:
            return False
        if self._waits(run, task):
            return True
        if task.is_full():
            return False
        run.wake(self.timer, after=self._behind_ms / 1_000)
        task.begins_to_wait()
        return True

    def _waits(self, run: RunContext, task: TaskCache) -> bool:
        if self._behind_ms is None or run.key is None:
            return False
        return run.is_set(self.timer) or task.is_parked(run.key)

    async def _write(self, run: RunContext, task: TaskCache, value: V | None) -> None:
        if task.bound.write is not None:
            await task.bound.write(_text(run), value)


def _text(run: RunContext) -> str:
    assert run.key is not None
    return run.key.decode(errors="surrogateescape")
