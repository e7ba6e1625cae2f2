"""A processor in one incarnation of a task, and one run of it."""

import asyncio
from collections.abc import Awaitable
from concurrent.futures import Executor
from typing import cast

from mainstem.broker import Batch
from mainstem.delivery.context import Context, Effects, Scope, Writes
from mainstem.delivery.processor import Processor
from mainstem.errors import HandlerTimeout


class Handler:
    """A processor bound to its task."""

    __slots__ = ("_executor", "call", "name", "plain", "processor", "scope")

    def __init__(self, processor: Processor, scope: Scope, executor: Executor | None) -> None:
        """Plain functions run in ``executor``; without one they run in place, as a simulation wants it."""
        self.processor = processor
        self.name = processor.name
        self.call = processor.call
        self.plain = processor.plain
        self.scope = scope
        self._executor = executor

    def context(self, batch: Batch, index: int, earlier: Writes | None = None, attempt: int = 1) -> Context:
        """What one run is given."""
        return Context(self.scope, batch, index, earlier, attempt=attempt)

    async def run(self, event: object, context: Context) -> Effects | None:
        """Run it; returns what it has done. Raises what the handler raises."""
        if not self.plain:
            result = await cast("Awaitable[object]", self.call(event, context))
        elif self._executor is None:
            result = self.call(event, context)
        else:
            result = await self._in_thread(event, context)
        if result is not None:
            context.publish_result(result)
        return context.take_effects()

    async def _in_thread(self, event: object, context: Context) -> object:
        loop = asyncio.get_running_loop()
        began = loop.time()
        result = await loop.run_in_executor(self._executor, self.call, event, context)
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
