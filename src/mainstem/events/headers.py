"""Writing the envelope: CloudEvents attributes as record headers, and only those that say something.

Headers cost more than decoding. What all events of a type have in common is one mapping, made once, which a log may
store once for a batch. Of the rest an event has its id, and what differs from what a reader takes for granted: the
correlation id is the id, the time is the record's, the version is 1.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from msgspec import Struct

from mainstem.events.attributes import (
    CE_CAUSATIONID,
    CE_CORRELATIONID,
    CE_EVENTVERSION,
    CE_ID,
    CE_KIND,
    CE_SOURCE,
    CE_SPECVERSION,
    CE_SUBJECT,
    CE_TIME,
    CE_TYPE,
    CONTENT_TYPE,
    PREFIX,
    TRACEPARENT,
    TRACESTATE,
    check_name,
    format_time,
    from_milliseconds,
    header_of,
)
from mainstem.events.declaration import Declaration
from mainstem.events.statements import EventFormat

JSON_CONTENT: Final = b"application/json"
FORMAT_CONTENT: Final[Mapping[EventFormat, bytes]] = {
    "json": JSON_CONTENT,
    "avro": b"application/avro",
    "protobuf": b"application/protobuf",
}
"""The content type of a payload, by its format."""


def common_headers(declaration: Declaration, source: str) -> dict[str, bytes]:
    """The headers that all events of a type have in common; make them once, and pass on the same mapping.

    ``source`` is a stable URI reference of the publishing service, such as ``/loyalty``. A topic without envelope has
    no headers at all.
    """
    if not declaration.envelope:
        return {}
    headers = {
        CE_SPECVERSION: b"1.0",
        CE_TYPE: declaration.wire_name.encode(),
        CE_SOURCE: source.encode(),
        CONTENT_TYPE: FORMAT_CONTENT[declaration.format],
    }
    if declaration.kind is not None:
        headers[CE_KIND] = declaration.kind.encode()
    if declaration.version > 1:
        headers[CE_EVENTVERSION] = b"%d" % declaration.version
    return headers


def lineage(
    correlation: bytes | None,
    causation: bytes | None = None,
    traceparent: bytes | None = None,
    tracestate: bytes | None = None,
) -> dict[str, bytes]:
    """The headers that say where events come from, without what is None; made once for all outputs of an event."""
    headers = {}
    if correlation is not None:
        headers[CE_CORRELATIONID] = correlation
    if causation is not None:
        headers[CE_CAUSATIONID] = causation
    if traceparent is not None:
        headers[TRACEPARENT] = traceparent
    if tracestate is not None:
        headers[TRACESTATE] = tracestate
    return headers


def own_headers(event_id: bytes, inherited: Mapping[str, bytes]) -> dict[str, bytes]:
    """The headers of one event alone: its id, its lineage, and the attributes stated for it."""
    return {CE_ID: event_id, **inherited} if inherited else {CE_ID: event_id}


class Attributes(Struct, frozen=True):
    """What a publisher may say about an event beside its payload.

    ``subject`` is what the event is about, within its source. ``time`` is when it happened, with a time zone.
    ``extensions`` are further CloudEvents attributes, by name without prefix. ``correlation_id`` is what the event
    belongs to, where no event has caused it.
    """

    subject: str | None = None
    time: datetime | None = None
    extensions: Mapping[str, str] | None = None
    correlation_id: str | None = None

    def headers(self, timestamp_ms: int) -> dict[str, bytes]:
        """What is stated, as headers; a time only when ``timestamp_ms``, the record's, does not say the same.

        Raises ``EventRefused`` for a time without a zone, for an extension whose name is not allowed, and for what is
        no text; only an extension's may be empty.
        """
        headers = {}
        if self.correlation_id is not None:
            headers[CE_CORRELATIONID] = header_of("correlation_id", self.correlation_id)
        if self.subject is not None:
            headers[CE_SUBJECT] = header_of("subject", self.subject)
        if self.time is not None and self.time != from_milliseconds(timestamp_ms):
            headers[CE_TIME] = format_time(self.time).encode()
        for name, text in (self.extensions or {}).items():
            check_name(name)
            headers[PREFIX + name] = header_of(name, text, empty=True)
        return headers
