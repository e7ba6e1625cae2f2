"""The settings of a topic: from a specification to what the cluster keeps, and back."""

from collections.abc import Mapping
from typing import Final

from confluent_kafka.admin import ConfigEntry

from mainstem.broker import TopicSpec

ENVELOPE_BYTES: Final = 48_588
"""What a batch of one record has beside key and value: ``max.message.bytes`` is that of the whole batch."""

MIN_INSYNC: Final = "min.insync.replicas"
_RETENTION, _CLEANUP, _SIZE, _KEPT = "retention.ms", "cleanup.policy", "max.message.bytes", "retention.bytes"
SEGMENT_BYTES: Final = (1 << 20, 1 << 30)
"""The least and the most that a segment may have; only whole segments leave."""
SEGMENTS: Final = 8
"""A topic that is kept by its size has so many of them in each partition."""


def config_of(spec: TopicSpec) -> dict[str, str]:
    """What a topic is to be set to."""
    retention = "-1" if spec.retention_ms is None else str(spec.retention_ms)
    cleanup = "delete"
    if spec.compact:
        forever = spec.retention_ms is None and spec.retention_bytes is None
        cleanup = "compact" if forever else "compact,delete"
    least, most = SEGMENT_BYTES
    segment = most if spec.retention_bytes is None else spec.retention_bytes // SEGMENTS
    return {
        _KEPT: "-1" if spec.retention_bytes is None else str(spec.retention_bytes),
        "segment.bytes": str(min(most, max(least, segment, spec.record_bytes_max + ENVELOPE_BYTES))),
        _RETENTION: retention,
        _CLEANUP: cleanup,
        _SIZE: str(spec.record_bytes_max + ENVELOPE_BYTES),
        # Event time may lie in the future; by default more than an hour of it is refused.
        "message.timestamp.after.max.ms": str(2**63 - 1),
    }


def spec_of(name: str, partitions: int, config: Mapping[str, ConfigEntry]) -> TopicSpec:
    """What its settings say of a topic."""
    values = {key: entry.value or "" for key, entry in config.items()}
    retention, kept = int(values[_RETENTION]), int(values[_KEPT])
    return TopicSpec(
        name,
        partitions,
        None if retention < 0 else retention,
        "compact" in values[_CLEANUP],
        max(0, int(values[_SIZE]) - ENVELOPE_BYTES),
        None if kept < 0 else kept,
    )
