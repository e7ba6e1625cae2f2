"""An OpenTelemetry SDK that keeps what it is told."""

from typing import TypeAlias

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

Labels: TypeAlias = dict[str, object]
Measurements: TypeAlias = dict[str, list[tuple[float, Labels]]]
"""By name, numbers with their labels; of a histogram, how many measurements there are."""


def keep_spans() -> InMemorySpanExporter:
    """Set an SDK that keeps spans; they are there once they have ended."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


class Measured:
    """An SDK that keeps measurements."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        metrics.set_meter_provider(MeterProvider(metric_readers=[self._reader]))

    def now(self) -> Measurements:
        """What was measured until now."""
        data = self._reader.get_metrics_data()
        scopes = [scope for each in (data.resource_metrics if data else ()) for scope in each.scope_metrics]
        found = [metric for scope in scopes for metric in scope.metrics]
        return {metric.name: [_number(point) for point in metric.data.data_points] for metric in found}


def _number(point: object) -> tuple[float, Labels]:
    value = getattr(point, "value", None)
    return getattr(point, "count", 0) if value is None else value, dict(getattr(point, "attributes", None) or {})


def by_group(measured: Measurements, name: str, group: str) -> dict[str, float]:
    """Numbers of one group, by what else they are labelled with."""
    found = {}
    for number, labels in measured.get(name, []):
        if labels.get("messaging.consumer.group.name") == group:
            rest = [str(value) for label, value in labels.items() if label != "messaging.consumer.group.name"]
            found[" ".join(rest)] = number
    return found
