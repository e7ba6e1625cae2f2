"""Spans around runs of handlers, and around what is published from outside."""

import sys
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Protocol

from mainstem.telemetry.labels import BATCH_COUNT, ERROR_TYPE, SCHEMA, TOPIC, Labels, operation
from mainstem.telemetry.trace import SpanContext, Trace, trace_of


class Sending(Protocol):
    """The span of events that are published from outside a handler; they carry its ``trace``."""

    trace: Trace | None

    def over(self, counts: Mapping[str, int], error: BaseException | None = None) -> None:
        """They are durable, so many by topic, or it has failed."""
        ...


class Spans:
    """Makes spans, with the SDK that the program has configured."""

    def __init__(self) -> None:
        from opentelemetry import context, trace  # noqa: PLC0415 - loaded already, by the program
        from opentelemetry.trace.propagation import tracecontext  # noqa: PLC0415 - a part of it

        self.provider = trace.get_tracer_provider()
        self._tracer = self.provider.get_tracer("mainstem", schema_url=SCHEMA)
        self._trace = trace
        self._nowhere = context.Context()
        self._extract = tracecontext.TraceContextTextMapPropagator().extract

    @contextmanager
    def handling(
        self, topic: str, labels: Labels, cause: Trace | None, links: Iterable[Trace] = ()
    ) -> "Generator[Callable[[Labels], None] | None]":
        """A span around one run of a handler: a child of ``cause``, or the beginning of a trace.

        Gives what adds attributes to it, or None when it is not recorded. Enter and leave it in the coroutine or the
        thread that runs the handler: the current span belongs to its context. An error that passes through is told.
        """
        trace = self._trace
        # Where there is no cause, nowhere: not the span in which somebody happens to have started the service.
        parent = self._nowhere if cause is None else self._extract(_headers(cause), self._nowhere)
        others = [trace.get_current_span(self._extract(_headers(each), self._nowhere)) for each in links]
        with self._tracer.start_as_current_span(
            f"process {topic}",
            context=parent,
            kind=trace.SpanKind.CONSUMER,
            attributes=labels,
            links=[trace.Link(found) for each in others if (found := each.get_span_context()).is_valid],
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield span.set_attributes if span.is_recording() else None
            except BaseException as error:
                _fail(span, error, partial(span.set_status, trace.StatusCode.ERROR))
                raise

    def sending(self) -> Sending:
        """A span below the current one, for what is published now; it ends when that is durable, wherever that is."""
        kind = self._trace.SpanKind.PRODUCER
        span = self._tracer.start_span("send", kind=kind, attributes=operation("send", "send"))
        return _Sending(span, partial(span.set_status, self._trace.StatusCode.ERROR))


class _Span(Protocol):
    def get_span_context(self) -> SpanContext: ...
    def is_recording(self) -> bool: ...
    def set_attributes(self, attributes: Labels, /) -> None: ...
    def record_exception(self, exception: BaseException, /) -> None: ...
    def update_name(self, name: str, /) -> None: ...
    def end(self) -> None: ...


class _Sending:
    def __init__(self, span: _Span, failed: Callable[[str], None]) -> None:
        self._span = span
        self._failed = failed
        self.trace = trace_of(span.get_span_context())

    def over(self, counts: Mapping[str, int], error: BaseException | None = None) -> None:
        span = self._span
        if span.is_recording():
            span.set_attributes({BATCH_COUNT: sum(counts.values())})
            if len(counts) == 1:
                [topic] = counts
                span.update_name(f"send {topic}")
                span.set_attributes({TOPIC: topic})
            if error is not None:
                _fail(span, error, self._failed)
        span.end()


def _fail(span: _Span, error: BaseException, failed: Callable[[str], None]) -> None:
    """Tell an error, also one whose text cannot be had."""
    if not span.is_recording():
        return
    name = type(error).__qualname__
    span.set_attributes({ERROR_TYPE: name})
    with suppress(Exception):
        span.record_exception(error)
        name = f"{name}: {error}"
    failed(name)


def event_spans() -> Spans | None:
    """What makes spans, or None when no OpenTelemetry SDK is configured. Ask once for a batch, not for each event."""
    global _spans  # noqa: PLW0603 - a process has one provider
    if "opentelemetry.trace" not in sys.modules:
        return None
    from opentelemetry import trace  # noqa: PLC0415 - loaded already, by the program

    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider | trace.NoOpTracerProvider):
        return None
    if _spans is None or _spans.provider is not provider:
        _spans = Spans()
    return _spans


_spans: Spans | None = None


def _headers(cause: Trace) -> dict[str, str]:
    state = {} if cause.tracestate is None else {"tracestate": cause.tracestate.decode(errors="replace")}
    return {"traceparent": cause.traceparent.decode(errors="replace"), **state}
