"""The seam to logging, tracing and metrics.

Logging goes to the logger ``mainstem`` and nowhere else; the root logger belongs to the program. Tracing and metrics go
through the OpenTelemetry API, which is never loaded from here: a program that has an SDK has loaded it, and where
nobody has, there is nobody to tell. Without one the cost is a look into a dictionary.

Names follow OpenTelemetry's semantic conventions for messaging, as of :data:`SCHEMA`; what these do not know begins
with ``mainstem``.
"""

import logging
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Final, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from mainstem.settings import LogLevel

log: Final = logging.getLogger("mainstem")
"""It has no handler of its own: where the program has none either, Python prints warnings, and no failure is silent."""


class EventLogger(logging.LoggerAdapter[logging.Logger]):
    """The logger of one event in one handler: both stand in every line, and as fields of the record.

    In the text, what is not a plain character is replaced by ``_``: an id may come from outside, and must not forge a
    line of its own. The fields ``event_id`` and ``handler`` have them as they are. Where there is a trace, its id
    stands there as well, and in the field ``trace_id``.
    """

    def __init__(self, event_id: str, handler: str, trace: "Trace | None" = None) -> None:
        """Log about the event ``event_id`` while ``handler`` handles it."""
        super().__init__(log)
        self._fields = {"event_id": event_id, "handler": handler}
        text = f" [handler={handler} event={event_id}]"
        if trace is not None and (found := _TRACEPARENT.fullmatch(trace.traceparent)):
            self._fields["trace_id"] = found[1].decode()
            text = f"{text[:-1]} trace={self._fields['trace_id']}]"
        self._suffix = _NOT_PLAIN.sub("_", text)

    def process(self, msg: object, kwargs: MutableMapping[str, object]) -> tuple[str, MutableMapping[str, object]]:
        """Add the event and its handler to a line."""
        extra = kwargs.get("extra")
        kwargs["extra"] = {**extra, **self._fields} if isinstance(extra, dict) else self._fields
        return f"{msg}{self._suffix}", kwargs


_NOT_PLAIN: Final = re.compile(r"[^\w .:/@+=~\[\]-]")
_TRACEPARENT: Final = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


def event_logger(event_id: str, handler: str, trace: "Trace | None" = None) -> EventLogger:
    """The logger of the event ``event_id`` while ``handler`` handles it. Make it when something is to be logged."""
    return EventLogger(event_id, handler, trace)


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


# --- what spans and measurements are labelled with

Label: TypeAlias = str | int | float | bool
Labels: TypeAlias = Mapping[str, Label]

SCHEMA: Final = "https://opentelemetry.io/schemas/1.44.0"
SYSTEM: Final = "messaging.system"
OPERATION: Final = "messaging.operation.name"
OPERATION_TYPE: Final = "messaging.operation.type"
GROUP: Final = "messaging.consumer.group.name"
TOPIC: Final = "messaging.destination.name"
PARTITION: Final = "messaging.destination.partition.id"
MESSAGE_ID: Final = "messaging.message.id"
BATCH_COUNT: Final = "messaging.batch.message_count"
ERROR_TYPE: Final = "error.type"
HANDLER: Final = "mainstem.handler"
OFFSET: Final = "mainstem.offset"
ATTEMPT: Final = "mainstem.attempt"


def operation(name: str, kind: str) -> dict[str, Label]:
    """The labels of one of our operations; ``kind`` is its type in the conventions."""
    return {SYSTEM: "mainstem", OPERATION: name, OPERATION_TYPE: kind}


# --- tracing


class Trace(NamedTuple):
    """A place in a trace, as the W3C headers ``traceparent`` and ``tracestate`` say it."""

    traceparent: bytes
    tracestate: bytes | None = None


def current_trace() -> Trace | None:
    """The span that this code runs in, or None when it runs in none."""
    if "opentelemetry.trace" not in sys.modules:
        return None
    from opentelemetry import trace  # noqa: PLC0415 - loaded already, by the program

    return _trace_of(trace.get_current_span().get_span_context())


class _SpanContext(Protocol):
    @property
    def is_valid(self) -> bool: ...
    @property
    def trace_id(self) -> int: ...
    @property
    def span_id(self) -> int: ...
    @property
    def trace_flags(self) -> int: ...
    @property
    def trace_state(self) -> "_TraceState": ...


class _TraceState(Protocol):
    def to_header(self) -> str: ...


def _trace_of(span: _SpanContext) -> Trace | None:
    if not span.is_valid:
        return None
    state = span.trace_state.to_header().encode()
    return Trace(b"00-%032x-%016x-%02x" % (span.trace_id, span.span_id, span.trace_flags), state or None)


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
    def get_span_context(self) -> _SpanContext: ...
    def is_recording(self) -> bool: ...
    def set_attributes(self, attributes: Labels, /) -> None: ...
    def record_exception(self, exception: BaseException, /) -> None: ...
    def update_name(self, name: str, /) -> None: ...
    def end(self) -> None: ...


class _Sending:
    def __init__(self, span: _Span, failed: Callable[[str], None]) -> None:
        self._span = span
        self._failed = failed
        self.trace = _trace_of(span.get_span_context())

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


# --- metrics

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""The buckets that the conventions advise for durations."""
Reading: TypeAlias = tuple[float, Labels]
"""What a gauge says, and of what."""


class _Adds(Protocol):
    def add(self, amount: float, attributes: Labels, /) -> None: ...


class _Records(Protocol):
    def record(self, amount: float, attributes: Labels, /) -> None: ...


Listener: TypeAlias = Callable[[str, float, Labels], None]
"""Hears a counter's or a histogram's name, an amount and labels, beside an SDK or without one; called by any thread."""
_listeners: list[Listener] = []
INSTRUMENTS: Final[dict[str, "_Instrument[object]"]] = {}
"""Everything that can be measured in this process, by name."""


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Inside the block, ``listener`` hears what is measured. Gauges say nothing by themselves; ask them."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


_I_co = TypeVar("_I_co", covariant=True)


class _Instrument(ABC, Generic[_I_co]):
    """Something that is measured. It is declared once, and comes to life when a program measures."""

    def __init__(self, name: str, unit: str, description: str) -> None:
        """``unit`` is a UCUM one."""
        self.name, self.unit, self.description = name, unit, description
        self._provider: object = None
        self._made: _I_co | None = None
        INSTRUMENTS[name] = self

    @property
    def wanted(self) -> bool:
        """Whether anybody measures."""
        return bool(_listeners) or self._living() is not None

    def _living(self) -> _I_co | None:
        if "opentelemetry.metrics" not in sys.modules:
            return None
        from opentelemetry import metrics  # noqa: PLC0415 - loaded already, by the program

        provider = metrics.get_meter_provider()
        if provider is not self._provider:
            self._provider = provider
            # What the API brings along itself measures nothing.
            silent = type(provider).__module__.startswith("opentelemetry.metrics")
            self._made = None if silent else self._make()
        return self._made

    @abstractmethod
    def _make(self) -> _I_co:
        """Bring it to life, with the SDK that there is now."""


class Counter(_Instrument[_Adds]):
    """A number that only grows, as long as the process lives. Add to it per batch or commit, never per event."""

    def add(self, amount: float, attributes: Labels) -> None:
        """Add ``amount``, labelled; nothing happens where nobody measures."""
        for each in _listeners:
            each(self.name, amount, attributes)
        counter = self._living()
        if counter is not None:
            counter.add(amount, attributes)

    def _make(self) -> _Adds:
        from opentelemetry import metrics  # noqa: PLC0415 - loaded already, by the program

        meter = metrics.get_meter("mainstem", schema_url=SCHEMA)
        return meter.create_counter(self.name, self.unit, self.description)


class Histogram(_Instrument[_Records]):
    """How durations in seconds are distributed. Record per batch or commit, never per event."""

    def record(self, amount: float, attributes: Labels) -> None:
        """Record ``amount``, labelled; nothing happens where nobody measures."""
        for each in _listeners:
            each(self.name, amount, attributes)
        histogram = self._living()
        if histogram is not None:
            histogram.record(amount, attributes)

    def _make(self) -> _Records:
        from opentelemetry import metrics  # noqa: PLC0415 - loaded already, by the program

        meter = metrics.get_meter("mainstem", schema_url=SCHEMA)
        return meter.create_histogram(
            self.name, self.unit, self.description, explicit_bucket_boundaries_advisory=list(SECONDS)
        )


class Gauge(_Instrument[object]):
    """How things stand, told when a program collects its measurements."""

    def __init__(self, name: str, unit: str, description: str) -> None:
        super().__init__(name, unit, description)
        self._sources: list[Callable[[], Iterable[Reading]]] = []

    @contextmanager
    def told_by(self, source: Callable[[], Iterable[Reading]]) -> Iterator[None]:
        """Inside the block, ask ``source``; it is called by whatever thread collects."""
        self._sources.append(source)
        self._living()
        try:
            yield
        finally:
            self._sources.remove(source)

    def readings(self) -> list[Reading]:
        """What it says now."""
        return [each for source in self._sources.copy() for each in source()]

    def _make(self) -> object:
        from opentelemetry import metrics  # noqa: PLC0415 - loaded already, by the program

        def observe(_options: metrics.CallbackOptions) -> Iterable[metrics.Observation]:
            return [metrics.Observation(*each) for each in self.readings()]

        meter = metrics.get_meter("mainstem", schema_url=SCHEMA)
        return meter.create_observable_gauge(self.name, [observe], self.unit, self.description)
