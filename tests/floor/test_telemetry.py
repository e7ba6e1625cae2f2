"""Logging, tracing and metrics."""

import logging
import subprocess
import sys

import pytest
from opentelemetry import trace
from opentelemetry.metrics import NoOpMeterProvider, set_meter_provider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from mainstem import telemetry
from mainstem.telemetry import Trace
from tests.sdk import Measured

TRACEPARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_event_and_handler_stand_in_every_line(caplog: pytest.LogCaptureFixture) -> None:
    """In the text for people, and as fields for machines; with arguments and without."""
    logger = telemetry.event_logger("e-1", "billing.charge")
    logger.warning("charged %d cents", 42, extra={"bank": "b"})
    logger.warning("100% sure")
    first, second = caplog.records
    assert first.getMessage() == "charged 42 cents [handler=billing.charge event=e-1]"
    assert second.getMessage() == "100% sure [handler=billing.charge event=e-1]"
    assert (vars(first)["event_id"], vars(first)["handler"], vars(first)["bank"]) == ("e-1", "billing.charge", "b")
    assert first.name == "mainstem"


def test_an_id_from_outside_cannot_forge_a_line(caplog: pytest.LogCaptureFixture) -> None:
    """Line breaks and format characters of a foreign id do not reach the text."""
    telemetry.event_logger("e\n2026 ERROR all lost %s", "h").warning("seen %s", "it")
    assert caplog.messages == ["seen it [handler=h event=e_2026 ERROR all lost _s]"]


def test_the_command_line_logs_once_and_leaves_the_root_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """Setting logging up twice gives one line each time, at the level asked for, through our logger only."""
    root_handlers = list(logging.getLogger().handlers)
    handlers = list(telemetry.log.handlers)
    try:
        telemetry.configure_logging("debug")
        telemetry.configure_logging("info")
        telemetry.log.info("shown")
        telemetry.log.debug("not shown")
        lines = capsys.readouterr().err.splitlines()
        assert [line.split()[-1] for line in lines] == ["shown"]
        assert logging.getLogger().handlers == root_handlers
    finally:
        telemetry.log.handlers[:] = handlers
        telemetry.log.setLevel(logging.NOTSET)


def test_a_failure_is_not_silent_in_a_program_without_logging() -> None:
    """A warning reaches standard error also where nobody has set logging up."""
    program = "from mainstem import telemetry; telemetry.log.warning('a handler has failed')"
    completed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert completed.stderr.strip() == "a handler has failed"


def test_the_trace_stands_in_the_line(caplog: pytest.LogCaptureFixture) -> None:
    """A line leads to its trace; what is no trace context is left out."""
    telemetry.event_logger("e-1", "h", Trace(TRACEPARENT)).warning("here")
    telemetry.event_logger("e-1", "h", Trace(b"00-nonsense")).warning("there")
    assert caplog.messages == [
        "here [handler=h event=e-1 trace=0af7651916cd43dd8448eb211c80319c]",
        "there [handler=h event=e-1]",
    ]
    assert vars(caplog.records[0])["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert "trace_id" not in vars(caplog.records[1])


def test_opentelemetry_is_never_loaded_from_here() -> None:
    """Without an SDK there is no span, no measurement, no module loaded."""
    program = """if True:
        import sys
        from mainstem import telemetry
        assert telemetry.current_trace() is None
        assert telemetry.event_spans() is None
        counter = telemetry.Counter("c", "1", "")
        counter.add(1, {})
        assert not counter.wanted
        telemetry.Histogram("h", "s", "").record(1, {})
        with telemetry.Gauge("g", "1", "").told_by(lambda: 1 / 0):
            pass
        sys.exit(any(name.partition(".")[0] == "opentelemetry" for name in sys.modules))
    """
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_an_api_without_an_sdk_makes_no_spans_and_measures_nothing() -> None:
    """Libraries load the API for themselves; that alone must cost a handler nothing, nor must a provider of nothing."""
    counter = telemetry.Counter("c", "1", "")
    assert telemetry.event_spans() is None
    assert not counter.wanted
    trace.set_tracer_provider(trace.NoOpTracerProvider())
    set_meter_provider(NoOpMeterProvider())
    assert telemetry.event_spans() is None
    assert not counter.wanted


def spans() -> telemetry.Spans:
    """Those of the SDK that the test has configured."""
    found = telemetry.event_spans()
    assert found is not None
    return found


def test_a_handler_runs_in_a_span_below_the_publisher(exported: InMemorySpanExporter) -> None:
    """The span is a child of the event's trace context, of which it keeps what other vendors have written there."""
    with spans().handling("orders", {"mainstem.handler": "charge"}, Trace(TRACEPARENT, b"vendor=1")) as describe:
        assert describe is not None
        describe({"messaging.message.id": "e-1"})
        inside = telemetry.current_trace()
    (span,) = exported.get_finished_spans()
    assert inside is not None
    assert inside.traceparent[:36] == TRACEPARENT[:36]
    assert inside.traceparent != TRACEPARENT
    assert inside.tracestate == b"vendor=1"
    assert (span.name, span.kind) == ("process orders", trace.SpanKind.CONSUMER)
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}".encode() in TRACEPARENT
    assert span.attributes == {"mainstem.handler": "charge", "messaging.message.id": "e-1"}


@pytest.mark.parametrize("traceparent", [None, b"", b"00-nonsense", b"ff" + TRACEPARENT[2:], b"\xff"])
def test_a_traceparent_that_cannot_be_read_begins_a_trace(
    exported: InMemorySpanExporter, traceparent: bytes | None
) -> None:
    """A foreign header is never a reason to fail; nor does a span hang below the one the service was started in."""
    cause = None if traceparent is None else Trace(traceparent)
    tracer = trace.get_tracer("a program")
    with tracer.start_as_current_span("main"), spans().handling("orders", {}, cause, links=[Trace(b"nonsense")]):
        pass
    assert exported.get_finished_spans()[0].parent is None
    assert exported.get_finished_spans()[0].links == ()


def test_a_span_links_to_what_it_is_about(exported: InMemorySpanExporter) -> None:
    """Many events at once have no one parent."""
    with spans().handling("orders", {}, None, links=[Trace(TRACEPARENT)]):
        pass
    (span,) = exported.get_finished_spans()
    assert [f"{each.context.span_id:016x}".encode() for each in span.links] == [TRACEPARENT[36:52]]


def test_who_is_not_sampled_is_not_described() -> None:
    """The attributes of a span that nobody records need not be worked out; what is published carries its trace."""
    trace.set_tracer_provider(TracerProvider(sampler=ALWAYS_OFF))
    with spans().handling("orders", {}, Trace(TRACEPARENT)) as describe:
        inside = telemetry.current_trace()
    assert describe is None
    assert inside is not None
    assert inside.traceparent[:36] == TRACEPARENT[:36]
    assert inside.traceparent.endswith(b"-00")


class Unspeakable(Exception):
    """One whose text cannot be had."""

    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("error", "told"), [(KeyError("who"), "KeyError: 'who'"), (Unspeakable(), "Unspeakable")], ids=["plain", "mute"]
)
def test_a_failure_is_recorded_in_the_span(exported: InMemorySpanExporter, error: Exception, told: str) -> None:
    """An exception that passes through marks the span, and goes on, also one that cannot be told."""
    with pytest.raises(type(error)), spans().handling("orders", {}, None):
        raise error
    (span,) = exported.get_finished_spans()
    assert (span.status.status_code, span.status.description) == (trace.StatusCode.ERROR, told)
    assert (span.attributes or {})["error.type"] == type(error).__qualname__


def test_measurements_reach_the_sdk(measured: Measured) -> None:
    """Counters add up, histograms count, and gauges are told while there is somebody to tell, under their labels."""
    counter = telemetry.Counter("mainstem.events", "{event}", "Events handled")
    counter.add(2, {"group": "billing"})
    counter.add(3, {"group": "billing"})
    telemetry.Histogram("mainstem.commit", "s", "Time of a commit").record(0.5, {})
    gauge = telemetry.Gauge("mainstem.lag", "{record}", "Records to go")
    with gauge.told_by(lambda: [(7, {"group": "billing"})]), gauge.told_by(lambda: [(8, {"group": "mail"})]):
        assert measured.now() == {
            "mainstem.events": [(5, {"group": "billing"})],
            "mainstem.commit": [(1, {})],
            "mainstem.lag": [(7, {"group": "billing"}), (8, {"group": "mail"})],
        }
    assert "mainstem.lag" not in measured.now()


def test_an_sdk_may_come_later() -> None:
    """What was measured before there was an SDK is lost, and nothing else."""
    counter = telemetry.Counter("mainstem.events", "{event}", "Events handled")
    counter.add(1, {})
    measured = Measured()
    counter.add(2, {})
    assert measured.now() == {"mainstem.events": [(2, {})]}
