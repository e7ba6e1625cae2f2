"""The clients of Kafka block, and answer late or never: how they are called here, and what their errors mean."""

from mainstem.broker.kafka.calls.background import background
from mainstem.broker.kafka.calls.meanings import (
    AWAY,
    FENCES,
    NO_LEADER,
    STARTING,
    STRANGERS,
    UNKNOWN_TOPIC,
    failure,
    kafka_error,
    translated,
    unknown_topic,
)
from mainstem.broker.kafka.calls.questions import FIRST_PATIENCE_SECONDS, RETRY_SECONDS, Asking, Coordinators, answered
from mainstem.broker.kafka.calls.threads import Calls

__all__ = [
    "AWAY",
    "FENCES",
    "FIRST_PATIENCE_SECONDS",
    "NO_LEADER",
    "RETRY_SECONDS",
    "STARTING",
    "STRANGERS",
    "UNKNOWN_TOPIC",
    "Asking",
    "Calls",
    "Coordinators",
    "answered",
    "background",
    "failure",
    "kafka_error",
    "translated",
    "unknown_topic",
]
