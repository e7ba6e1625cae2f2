"""Where something belongs in a trace."""

import sys
from typing import NamedTuple, Protocol


class Trace(NamedTuple):
    """A place in a trace, as the W3C headers ``traceparent`` and ``tracestate`` say it."""

    traceparent: bytes
    tracestate: bytes | None = None


def current_trace() -> Trace | None:
    """The span that this code runs in, or None when it runs in none."""
    if "opentelemetry.trace" not in sys.modules:
        return None
    from opentelemetry import trace  # noqa: PLC0415 - loaded already, by the program

    return trace_of(trace.get_current_span().get_span_context())


class SpanContext(Protocol):
    """What a span says of its place, as OpenTelemetry has it."""

    @property
    def is_valid(self) -> bool:
        """Whether it is a place at all."""
        ...

    @property
    def trace_id(self) -> int:
        """The trace, as a number of 128 bits."""
        ...

    @property
    def span_id(self) -> int:
        """The span, as a number of 64 bits."""
        ...

    @property
    def trace_flags(self) -> int:
        """Whether it is sampled, among others."""
        ...

    @property
    def trace_state(self) -> "_TraceState":
        """What vendors have added."""
        ...


class _TraceState(Protocol):
    def to_header(self) -> str: ...


def trace_of(span: SpanContext) -> Trace | None:
    """The place of a span; None for one that is nowhere."""
    if not span.is_valid:
        return None
    state = span.trace_state.to_header().encode()
    return Trace(b"00-%032x-%016x-%02x" % (span.trace_id, span.span_id, span.trace_flags), state or None)
