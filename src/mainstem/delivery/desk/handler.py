"""A processor in one incarnation of a task, and one run of it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from typing import Final, TypeAlias, cast

from mainstem.broker import Batch
from mainstem.delivery.context import Effects, Footing, Gathered, RunContext
from mainstem.delivery.lanes import lanes_ending
from mainstem.delivery.measures import Watch
from mainstem.delivery.processor import Processor
from mainstem.errors import DatabaseFailed, HandlerTimeout


class Handler:
    """A processor bound to its task.

    ``call`` and ``awaitable`` are the processor's function itself, unless somebody looks at the coming runs.
    """

    __slots__ = (
        "_executor",
        "_watch",
        "apart",
        "awaitable",
        "call",
        "footing",
        "limit",
        "name",
        "plain",
        "processor",
        "sieve",
        "was",
    )

    def __init__(self, processor: Processor, footing: Footing, executor: Executor | None, watch: Watch) -> None:
        """Plain functions run in ``executor``; without one they run in place, as a simulation wants it."""
        self.processor = processor
        self.name = processor.name
        self.plain = processor.plain
        self.sieve = processor.sieve
        self.limit = processor.limit
        self.was = processor.was
        fuse = processor.fuse
        gated = processor.sieve or processor.limit or processor.gives_way_ms is not None
        self.apart = bool(gated or (fuse and not fuse.kills))
        """Whether something is asked before each run, so that its events never take the short way."""
        self.footing = footing
        self._executor = executor
        self._watch = watch
        self.call: Callable[[object, RunContext], object] = processor.call
        self.awaitable = cast("Callable[[object, RunContext], Awaitable[object]]", processor.call)
        self.begin()

    def begin(self) -> None:
        """A batch begins, or the first of all: find out whether anybody looks at the coming runs."""
        self._look() if self._watch.begin() else self._look_away()

    def context(self, batch: Batch, index: int, earlier: Gathered | None = None, attempt: int = 1) -> RunContext:
        """What one run is given."""
        return RunContext(self.footing, batch, index, earlier, attempt=attempt)

    async def run(self, event: object, context: RunContext) -> Effects | None:
        """Run it; returns what it has done. Raises what the handler raises."""
        try:
            if not self.plain:
                result = await self.awaitable(event, context)
            elif self._executor is None:
                result = self.call(event, context)
            else:
                loop = asyncio.get_running_loop()
                result = await loop.run_in_executor(self._executor, in_thread, self.call, event, context)
            if result is not None:
                context.publish_result(result)
        finally:
            effects = context.take_effects()
        return effects

    def alone(self, event: object) -> object:
        """What it is called with for one event."""
        return [event] if self.processor.batch else event

    def together(self, batch: Batch, indexes: Sequence[int]) -> AbstractContextManager[None]:
        """Inside the block, a run is for all these events of a batch."""
        return self._watch.together(batch, indexes)

    def _look_away(self) -> None:
        self.call = self._within_limit if self.plain and self.processor.timeout_seconds else self.processor.call
        self.awaitable = cast("Callable[[object, RunContext], Awaitable[object]]", self.call)

    def _look(self) -> None:
        self.call, self.awaitable = self._shown, self._shown_awaitable

    def _shown(self, event: object, context: RunContext) -> None:
        """A run that somebody looks at; what it returns is published inside it, and so belongs to it."""
        with self._watch.run(context, self._count(event)):
            if not self._watch.looking:
                self._look_away()
            result = self._within_limit(event, context)
            if result is not None:
                context.publish_result(result)

    async def _shown_awaitable(self, event: object, context: RunContext) -> None:
        with self._watch.run(context, self._count(event)):
            if not self._watch.looking:
                self._look_away()
            result = await cast("Awaitable[object]", self.processor.call(event, context))
            if result is not None:
                context.publish_result(result)

    def _count(self, event: object) -> int | None:
        return len(event) if self.processor.batch and isinstance(event, list) else None

    def _within_limit(self, event: object, context: RunContext) -> object:
        clock, limit = self.footing.clock, self.processor.timeout_seconds
        began = clock.monotonic()
        result = self.processor.call(event, context)
        # A thread cannot be stopped: it has kept its lane until it returned, and what it did counts for nothing.
        if limit is not None and self._executor is not None and clock.monotonic() - began > limit:
            raise HandlerTimeout(
                f"handler {self.name!r} took longer than {limit:g} s",
                where=f"{context.topic}[{context.partition}] offset {context.offset}, event {context.event_id}",
                why="a plain function runs in a thread, which cannot be stopped",
                remedy="raise timeout=, make it async def, or give the call inside a time-out of its own",
            )
        return result


def in_thread(call: Callable[[object, RunContext], object], event: object, context: RunContext) -> object:
    """Call a plain function in a worker thread."""
    try:
        return call(event, context)
    except (StopIteration, asyncio.CancelledError) as error:
        # A future cannot carry the first, and would take the second for its own end: nobody would ever hear of it.
        message = f"{type(error).__name__}: {error}"
        raise RuntimeError(message) from error


Raised: TypeAlias = Exception | asyncio.CancelledError | SystemExit
RAISED: Final = (Exception, asyncio.CancelledError, SystemExit)
"""What a run may end with that is its own affair: a handler that exits must not take the others along."""


def failure_of(raised: Raised, handler: str) -> Exception:
    """What a handler's policy is asked about. A cancellation is none when it ends the lanes, and goes on.

    Neither is a store that cannot be read: trying again would not mend it, and the event is not to blame.
    """
    if isinstance(raised, DatabaseFailed):
        raise raised
    if isinstance(raised, Exception):
        return raised
    if isinstance(raised, SystemExit):
        return RuntimeError(f"handler {handler!r} wanted to end the process: SystemExit({raised.code!r})")
    task = asyncio.current_task()
    if task is None or (task.cancelling() and lanes_ending(raised)):
        raise raised
    if task.cancelling():
        while task.uncancel():
            pass
        return RuntimeError(f"handler {handler!r} was cancelled by itself, or by something it has started")
    return RuntimeError(f"handler {handler!r} awaited something that had been cancelled")
