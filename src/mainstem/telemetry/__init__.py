"""The seam to logging, tracing and metrics.

Logging goes to one logger. Tracing and metrics go through the OpenTelemetry API, which is never loaded from here: a
program that has an SDK has loaded it, and where nobody has, there is nobody to tell. Without one the cost is a look
into a dictionary.
"""

from mainstem.telemetry.instruments import INSTRUMENTS, SECONDS, Counter, Gauge, Histogram, Reading, heard_by
from mainstem.telemetry.labels import (
    ATTEMPT,
    BATCH_COUNT,
    ERROR_TYPE,
    GROUP,
    HANDLER,
    MESSAGE_ID,
    OFFSET,
    PARTITION,
    TOPIC,
    Label,
    Labels,
    operation,
)
from mainstem.telemetry.logger import EventLogger, configure_logging, event_logger, log
from mainstem.telemetry.spans import Sending, Spans, event_spans
from mainstem.telemetry.trace import Trace, current_trace

__all__ = [
    "ATTEMPT",
    "BATCH_COUNT",
    "ERROR_TYPE",
    "GROUP",
    "HANDLER",
    "INSTRUMENTS",
    "MESSAGE_ID",
    "OFFSET",
    "PARTITION",
    "SECONDS",
    "TOPIC",
    "Counter",
    "EventLogger",
    "Gauge",
    "Histogram",
    "Label",
    "Labels",
    "Reading",
    "Sending",
    "Spans",
    "Trace",
    "configure_logging",
    "current_trace",
    "event_logger",
    "event_spans",
    "heard_by",
    "log",
    "operation",
]
