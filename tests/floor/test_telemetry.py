"""Logging, tracing and metrics."""

import logging
import subprocess
import sys

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import Histogram as HistogramData
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, Sum
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from mainstem import telemetry

TRACEPARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(scope="module")
def exported() -> InMemorySpanExporter:
    """The spans that were finished. A process has one tracer provider, so the module has one too."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


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


def test_opentelemetry_is_never_loaded_from_here() -> None:
    """Without an SDK there is no span, no measurement, no module loaded."""
    program = """if True:
        import sys
        from mainstem import telemetry
        assert telemetry.traceparent_of_current_span() is None
        assert telemetry.event_spans() is None
        telemetry.Counter("c", "1", "").add(1)
        telemetry.Histogram("h", "s", "").record(1)
        sys.exit(any(name.partition(".")[0] == "opentelemetry" for name in sys.modules))
    """
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_handler_runs_in_a_span_below_the_publisher(exported: InMemorySpanExporter) -> None:
    """The span is a child of the event's traceparent, and what the handler publishes carries the span's own."""
    exported.clear()
    spans = telemetry.event_spans()
    assert spans is not None
    with spans.handling("billing.charge", "OrderPlaced", "e-1", TRACEPARENT):
        inside = telemetry.traceparent_of_current_span()
    (span,) = exported.get_finished_spans()
    assert inside is not None
    assert inside[:36] == TRACEPARENT[:36]
    assert inside != TRACEPARENT
    assert span.name == "process OrderPlaced"
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}".encode() in TRACEPARENT
    assert span.attributes is not None
    assert span.attributes["mainstem.handler"] == "billing.charge"


@pytest.mark.parametrize("traceparent", [None, b"", b"00-nonsense", b"ff" + TRACEPARENT[2:]])
def test_a_traceparent_that_cannot_be_read_begins_a_trace(
    exported: InMemorySpanExporter, traceparent: bytes | None
) -> None:
    """A foreign header is never a reason to fail."""
    exported.clear()
    spans = telemetry.event_spans()
    assert spans is not None
    with spans.handling("h", "T", "e", traceparent):
        pass
    assert exported.get_finished_spans()[0].parent is None


def test_a_failure_is_recorded_in_the_span(exported: InMemorySpanExporter) -> None:
    """An exception that passes through marks the span, and goes on."""
    exported.clear()
    spans = telemetry.event_spans()
    assert spans is not None
    with pytest.raises(ZeroDivisionError), spans.handling("h", "T", "e", None):
        _ = 1 / 0
    assert exported.get_finished_spans()[0].status.status_code is trace.StatusCode.ERROR


def test_measurements_reach_the_sdk() -> None:
    """Counters add up and histograms count, under their attributes."""
    reader = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider(metric_readers=[reader]))
    counter = telemetry.Counter("mainstem.events", "{event}", "Events handled")
    counter.add(2, group="billing")
    counter.add(3, group="billing")
    telemetry.Histogram("mainstem.commit", "s", "Time of a commit").record(0.5)
    data = reader.get_metrics_data()
    assert data is not None
    measured = {metric.name: metric.data for metric in data.resource_metrics[0].scope_metrics[0].metrics}
    events, commit = measured["mainstem.events"], measured["mainstem.commit"]
    assert isinstance(events, Sum)
    assert [(point.value, point.attributes) for point in events.data_points] == [(5, {"group": "billing"})]
    assert isinstance(commit, HistogramData)
    assert [(point.count, point.sum) for point in commit.data_points] == [(1, 0.5)]
