"""The seam to logging, tracing and metrics.

Logging goes to the logger ``mainstem`` and nowhere else; the root logger belongs to the program. Tracing and metrics go
through the OpenTelemetry API, which is never loaded from here: a program that has an SDK has loaded it, and where
nobody has, there is nobody to tell. Without one the cost is a look into a dictionary.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from contextlib import AbstractContextManager
from typing import Final, Protocol

from mainstem.settings import LogLevel

log: Final = logging.getLogger("mainstem")
"""It has no handler of its own: where the program has none either, Python prints warnings, and no failure is silent."""


class EventLogger(logging.LoggerAdapter[logging.Logger]):
    """The logger of one event in one handler: both stand in every line, and as fields of the record.

    In the text, what is not a plain character is replaced by ``_``: an id may come from outside, and must not forge a
    line of its own. The fields ``event_id`` and ``handler`` have them as they are.
    """

    def __init__(self, event_id: str, handler: str) -> None:
        """Log about the event ``event_id`` while ``handler`` handles it."""
        super().__init__(log)
        self._fields = {"event_id": event_id, "handler": handler}
        self._suffix = _NOT_PLAIN.sub("_", f" [handler={handler} event={event_id}]")

    def process(self, msg: object, kwargs: MutableMapping[str, object]) -> tuple[str, MutableMapping[str, object]]:
        """Add the event and its handler to a line."""
        extra = kwargs.get("extra")
        kwargs["extra"] = {**extra, **self._fields} if isinstance(extra, dict) else self._fields
        return f"{msg}{self._suffix}", kwargs


_NOT_PLAIN: Final = re.compile(r"[^\w .:/@+=~\[\]-]")


def event_logger(event_id: str, handler: str) -> EventLogger:
    """The logger of the event ``event_id`` while ``handler`` handles it. Make it when something is to be logged."""
    return EventLogger(event_id, handler)


def configure_logging(level: LogLevel) -> None:
    """Show the lines of the logger ``mainstem`` from ``level`` up on standard error.

    For the command line only: inside another program, logging is that program's business. A second call replaces what
    the first one set up.
    """
    handler = logging.StreamHandler()
    handler.set_name("mainstem command line")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    for previous in [each for each in log.handlers if each.get_name() == handler.get_name()]:
        log.removeHandler(previous)
    log.addHandler(handler)
    log.setLevel(level.upper())


# --- tracing

Attribute = str | int | float | bool
"""What a span or a measurement may be labelled with."""


def traceparent_of_current_span() -> bytes | None:
    """The W3C ``traceparent`` of the span this code runs in, or None when it runs in none."""
    if "opentelemetry.trace" not in sys.modules:
        return None
    from opentelemetry import trace  # noqa: PLC0415 - loaded already, by the program

    span = trace.get_current_span().get_span_context()
    if not span.is_valid:
        return None
    return b"00-%032x-%016x-%02x" % (span.trace_id, span.span_id, span.trace_flags)


class EventSpans(Protocol):
    """Spans around handlers."""

    def handling(
        self, handler: str, event_type: str, event_id: str, traceparent: bytes | None
    ) -> AbstractContextManager[object]:
        """A span for one event in one handler, as a child of the span that published it.

        Enter and leave it inside the coroutine that runs the handler: the current span belongs to the context of a
        task. An exception that passes through is recorded.
        """
        ...


def event_spans() -> EventSpans | None:
    """What makes spans, or None when no OpenTelemetry SDK is configured. Ask once for a batch, not for each event."""
    if "opentelemetry.trace" not in sys.modules:
        return None
    from opentelemetry import trace  # noqa: PLC0415 - loaded already, by the program

    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return None
    return _RecordedSpans()


class _RecordedSpans:
    def handling(
        self, handler: str, event_type: str, event_id: str, traceparent: bytes | None
    ) -> AbstractContextManager[object]:
        from opentelemetry import trace  # noqa: PLC0415 - loaded already, by the program

        parent = None
        if traceparent is not None and (fields := _TRACEPARENT.fullmatch(traceparent)):
            trace_id, span_id, flags = (int(field, 16) for field in fields.groups())
            remote = trace.SpanContext(trace_id, span_id, is_remote=True, trace_flags=trace.TraceFlags(flags))
            parent = trace.set_span_in_context(trace.NonRecordingSpan(remote))
        return trace.get_tracer("mainstem").start_as_current_span(
            f"process {event_type}",
            context=parent,
            kind=trace.SpanKind.CONSUMER,
            attributes={
                "mainstem.handler": handler,
                "mainstem.event_type": event_type,
                "messaging.message.id": event_id,
            },
        )


_TRACEPARENT: Final = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


# --- metrics


class Counter:
    """A number that only grows. Add to it per batch or commit, never per event."""

    __slots__ = ("_counter", "_description", "_name", "_unit")

    def __init__(self, name: str, unit: str, description: str) -> None:
        """Declare the counter; it comes to life when somebody measures."""
        self._name, self._unit, self._description = name, unit, description
        self._counter: _Adds | None = None

    def add(self, amount: float, **attributes: Attribute) -> None:
        """Add ``amount``, labelled with ``attributes``; nothing happens where OpenTelemetry is not in use."""
        if self._counter is None:
            if "opentelemetry.metrics" not in sys.modules:
                return
            from opentelemetry import metrics  # noqa: PLC0415 - loaded already, by the program

            self._counter = metrics.get_meter("mainstem").create_counter(self._name, self._unit, self._description)
        self._counter.add(amount, attributes)


class Histogram:
    """How a measured amount is distributed. Record per batch or commit, never per event."""

    __slots__ = ("_description", "_histogram", "_name", "_unit")

    def __init__(self, name: str, unit: str, description: str) -> None:
        """Declare the histogram; it comes to life when somebody measures."""
        self._name, self._unit, self._description = name, unit, description
        self._histogram: _Records | None = None

    def record(self, amount: float, **attributes: Attribute) -> None:
        """Record ``amount``, labelled with ``attributes``; nothing happens where OpenTelemetry is not in use."""
        if self._histogram is None:
            if "opentelemetry.metrics" not in sys.modules:
                return
            from opentelemetry import metrics  # noqa: PLC0415 - loaded already, by the program

            meter = metrics.get_meter("mainstem")
            self._histogram = meter.create_histogram(self._name, self._unit, self._description)
        self._histogram.record(amount, attributes)


class _Adds(Protocol):
    def add(self, amount: float, attributes: dict[str, Attribute], /) -> None: ...


class _Records(Protocol):
    def record(self, amount: float, attributes: dict[str, Attribute], /) -> None: ...
