"""A processor in one incarnation of a task, and one run of it."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import cast

from mainstem.broker import Batch
from mainstem.delivery.context import Context, Effects, Gathered, Scope
from mainstem.delivery.lanes import lanes_ending
from mainstem.delivery.processor import Processor
from mainstem.errors import HandlerTimeout


class Handler:
    """A processor bound to its task."""

    __slots__ = ("_executor", "awaitable", "call", "name", "plain", "processor", "scope")

    def __init__(self, processor: Processor, scope: Scope, executor: Executor | None) -> None:
        """Plain functions run in ``executor``; without one they run in place, as a simulation wants it."""
        self.processor = processor
        self.name = processor.name
        self.call = processor.call
        self.awaitable = cast("Callable[[object, Context], Awaitable[object]]", processor.call)
        self.plain = processor.plain
        self.scope = scope
        self._executor = executor

    def context(self, batch: Batch, index: int, earlier: Gathered | None = None, attempt: int = 1) -> Context:
        """What one run is given."""
        return Context(self.scope, batch, index, earlier, attempt=attempt)

    async def run(self, event: object, context: Context) -> Effects | None:
        """Run it; returns what it has done. Raises what the handler raises."""
        try:
            if not self.plain:
                result = await self.awaitable(event, context)
            elif self._executor is None:
                result = self.call(event, context)
            else:
                result = await self._in_thread(event, context)
            if result is not None:
                context.publish_result(result)
        finally:
            effects = context.take_effects()
        return effects

    def alone(self, event: object) -> object:
        """What it is called with for one event."""
        return [event] if self.processor.batch else event

    async def _in_thread(self, event: object, context: Context) -> object:
        loop = asyncio.get_running_loop()
        began = loop.time()
        result = await loop.run_in_executor(self._executor, in_thread, self.call, event, context)
        limit = self.processor.timeout_seconds
        # A thread cannot be stopped: it has kept its lane until it returned, and what it did counts for nothing.
        if limit is not None and loop.time() - began > limit:
            raise HandlerTimeout(
                f"handler {self.name!r} took longer than {limit:g} s",
                where=f"{context.topic}[{context.partition}] offset {context.offset}, event {context.event_id}",
                why="a plain function runs in a thread, which cannot be stopped",
                remedy="raise timeout=, make it async def, or give the call inside a time-out of its own",
            )
        return result


def in_thread(call: Callable[[object, Context], object], event: object, context: Context) -> object:
    """Call a plain function in a worker thread."""
    try:
        return call(event, context)
    except (StopIteration, asyncio.CancelledError) as error:
        # A future cannot carry the first, and would take the second for its own end: nobody would ever hear of it.
        message = f"{type(error).__name__}: {error}"
        raise RuntimeError(message) from error


def failure_of(raised: Exception | asyncio.CancelledError, handler: str) -> Exception:
    """What a handler's policy is asked about. A cancellation is none when it ends the lanes, and goes on."""
    if isinstance(raised, Exception):
        return raised
    task = asyncio.current_task()
    if task is None or (task.cancelling() and lanes_ending()):
        raise raised
    if task.cancelling():
        while task.uncancel():
            pass
        return RuntimeError(f"handler {handler!r} was cancelled by itself, or by something it has started")
    return RuntimeError(f"handler {handler!r} awaited something that had been cancelled")
