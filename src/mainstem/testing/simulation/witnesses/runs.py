"""The runs of the handlers of one worker: what each is about, what happens to it, and how it ends."""

import asyncio
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, NamedTuple, cast

from msgspec.structs import replace

from mainstem.clock import ManualClock
from mainstem.delivery import Context, Processor
from mainstem.testing.faults import Function
from mainstem.testing.simulation.havoc import Havoc, Outcome
from mainstem.testing.simulation.process import PROCESS, end_if_over
from mainstem.testing.simulation.trace import Trace
from mainstem.testing.simulation.witnesses.audit import audit

_UNTROUBLED: Final = Outcome(0.0, None)


class OpenRun(NamedTuple):
    """One run of a handler that has not ended."""

    about: str
    task: "asyncio.Task[object] | None"


class Runs:
    """Watches handlers, and lets happen to them what is to happen."""

    def __init__(
        self,
        havoc: Havoc,
        trace: Trace,
        clock: ManualClock,
        troubled: Mapping[tuple[str, str], Function],
        audited: bool,  # noqa: FBT001 - one of five things that are what they are
    ) -> None:
        """``troubled`` are the handlers that are to go wrong themselves, by group and name."""
        self.open: dict[int, OpenRun] = {}
        self._havoc = havoc
        self._trace = trace
        self._clock = clock
        self._troubled = troubled
        self._audited = audited
        self._count = 0

    def around(self, group: str, processor: Processor) -> Processor:
        """Put the watch around a handler."""
        havoc, inner = self._havoc, processor.call
        function = self._troubled.get((group, processor.name))
        # Of several events in one call, a handler's context knows the place of the first alone.
        audited = self._audited and not processor.batch

        async def call(event: object, context: Context) -> object:
            with self._watched(processor.name, context):
                havoc.reach("handler.begin")
                await _may_go_on(0.0)
                outcome = _UNTROUBLED if function is None else havoc.befall(function)
                await _may_go_on(outcome.delay_seconds)
                result = await cast("Awaitable[object]", inner(event, context))
                if outcome.late is not None:
                    raise outcome.late
                havoc.reach("handler.end")
                await _may_go_on(0.0)
                if audited:
                    audit(group, context)
                return result

        def call_now(event: object, context: Context) -> object:
            with self._watched(processor.name, context):
                havoc.reach("handler.begin")
                end_if_over()
                outcome = _UNTROUBLED if function is None else havoc.befall(function)
                end_if_over()
                self._clock.advance(outcome.delay_seconds)
                result = inner(event, context)
                if outcome.late is not None:
                    raise outcome.late
                havoc.reach("handler.end")
                end_if_over()
                if audited:
                    audit(group, context)
                return result

        return replace(processor, call=call_now if processor.plain else call)

    @contextmanager
    def _watched(self, handler: str, context: Context) -> Iterator[None]:
        place = context.topic, context.partition, context.offset
        about = f"{handler} for {place[0]}[{place[1]}] offset {place[2]}"
        if context.attempt > 1:
            about += f", attempt {context.attempt}"
        number = self._count = self._count + 1
        self.open[number] = OpenRun(about, asyncio.current_task())
        self._trace.note("handler begins", about, place)
        try:
            yield
        except BaseException as error:
            self._trace.note("handler ends", f"{about}: raised {type(error).__name__}: {error}", place)
            raise
        else:
            self._trace.note("handler ends", f"{about}: done", place)
        finally:
            self.open.pop(number, None)


async def _may_go_on(delay_seconds: float) -> None:
    """Wait, for ever in a process that has ended, and until it goes on in one that stands still."""
    process = PROCESS.get()
    if delay_seconds or (process is not None and (process.stalled or not process.alive)):
        await asyncio.sleep(delay_seconds)
