"""A record as a plain consumer is given it."""

from collections.abc import Mapping

from msgspec import Struct


class Message(Struct, frozen=True, gc=False):
    """One record: where it stands, and its bytes. ``value`` None is a tombstone."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes]
