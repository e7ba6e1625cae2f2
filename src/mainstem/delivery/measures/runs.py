"""Runs of a handler, shown to whoever measures.

Each is in a span, where the program has an OpenTelemetry SDK that makes spans. Of each batch, one run is on the clock,
where there is one that measures: a clock around every run would cost more than many a run does.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from mainstem.broker import Batch
from mainstem.clock import Clock
from mainstem.delivery.context import TIMER_TOPIC, Context, RunContext
from mainstem.events import TRACEPARENT, TRACESTATE
from mainstem.telemetry import (
    ATTEMPT,
    BATCH_COUNT,
    GROUP,
    HANDLER,
    MESSAGE_ID,
    OFFSET,
    PARTITION,
    TOPIC,
    Histogram,
    Label,
    Labels,
    Spans,
    Trace,
    current_trace,
    event_spans,
    operation,
)

DURATION: Final = Histogram("messaging.process.duration", "s", "How long a handler took; of each batch, one run.")


def anybody_looks() -> bool:
    """Whether anybody wants to see runs of handlers. To be asked once for a batch, not for each event."""
    return DURATION.wanted or event_spans() is not None


class Watch:
    """Looks at the runs of one handler."""

    __slots__ = ("_clock", "_labels", "_links", "_spans", "_timing")

    def __init__(self, group: str, handler: str, clock: Clock) -> None:
        self._clock = clock
        self._labels: dict[str, Label] = {**operation("process", "process"), GROUP: group, HANDLER: handler}
        self._spans: Spans | None = None
        self._timing = False
        self._links: Sequence[Trace] = ()

    def begin(self) -> bool:
        """A batch begins: whether anybody looks."""
        self._spans = event_spans()
        self._timing = DURATION.wanted
        return self.looking

    @property
    def looking(self) -> bool:
        """Whether anybody looks at the next run."""
        return self._timing or self._spans is not None

    @contextmanager
    def together(self, batch: Batch, indexes: Sequence[int]) -> Iterator[None]:
        """Inside the block, a run is for all these events of a batch, and linked to where they come from."""
        if self._spans is not None:
            found = [(batch.header(TRACEPARENT, index), batch.header(TRACESTATE, index)) for index in indexes]
            self._links = list(dict.fromkeys(Trace(parent, state) for parent, state in found if parent is not None))
        try:
            yield
        finally:
            self._links = ()

    @contextmanager
    def run(self, context: RunContext, count: int | None) -> Iterator[None]:
        """One run; with a ``count``, for so many events at once."""
        spans, timing, self._timing = self._spans, self._timing, False
        labels = {**self._labels, TOPIC: context.topic}
        began = self._clock.monotonic()
        try:
            if spans is None:
                yield
                return
            cause = None if self._links else context.trace
            with spans.handling(context.topic, labels, cause, self._links) as describe:
                if describe is not None:
                    describe(_described(context, count))
                here = current_trace()
                if here is not None:
                    context.carry(here)
                yield
        finally:
            if timing:
                DURATION.record(self._clock.monotonic() - began, labels)


def _described(context: Context, count: int | None) -> Labels:
    described: dict[str, Label] = {PARTITION: str(context.partition), ATTEMPT: context.attempt}
    if count is not None:
        described[BATCH_COUNT] = count
        return described
    described[MESSAGE_ID] = context.event_id
    if not context.topic.startswith(f"{TIMER_TOPIC}:"):
        described[OFFSET] = context.offset
    return described
