"""Writing the envelope: CloudEvents attributes as record headers, and only those that say something.

Headers cost more than decoding. What all events of a type have in common is one mapping, made once, which a log may
store once for a batch. Of the rest an event has its id, and what differs from what a reader takes for granted: the
correlation id is the id, the time is the record's, the version is 1.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

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
)
from mainstem.events.declaration import Declaration
from mainstem.events.envelope import Envelope

JSON_CONTENT: Final = b"application/json"
NO_LINEAGE: Final[Mapping[str, bytes]] = {}


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
        CONTENT_TYPE: JSON_CONTENT,
    }
    if declaration.kind is not None:
        headers[CE_KIND] = declaration.kind.encode()
    if declaration.version > 1:
        headers[CE_EVENTVERSION] = b"%d" % declaration.version
    return headers


def lineage_of(cause: Envelope, traceparent: str | None = None, tracestate: str | None = None) -> dict[str, bytes]:
    """The headers that every output inherits from the event that caused it; made once for all outputs of an event.

    The trace context given is that of the handler's own span; without one, that of the cause is passed on.
    """
    identity = cause.header(CE_ID) or cause.id.encode()
    inherited = {CE_CORRELATIONID: cause.header(CE_CORRELATIONID) or identity, CE_CAUSATIONID: identity}
    if traceparent is not None:
        inherited.update(lineage(traceparent=traceparent, tracestate=tracestate))
    elif (passed_on := cause.header(TRACEPARENT)) is not None:
        inherited[TRACEPARENT] = passed_on
        if (vendors := cause.header(TRACESTATE)) is not None:
            inherited[TRACESTATE] = vendors
    return inherited


def lineage(
    correlation_id: str | None = None,
    causation_id: str | None = None,
    traceparent: str | None = None,
    tracestate: str | None = None,
) -> dict[str, bytes]:
    """Correlation, causation and trace context as headers, for events that no event has caused."""
    stated = (
        (CE_CORRELATIONID, correlation_id),
        (CE_CAUSATIONID, causation_id),
        (TRACEPARENT, traceparent),
        (TRACESTATE, tracestate),
    )
    return {name: text.encode() for name, text in stated if text is not None}


def own_headers(
    event_id: str,
    inherited: Mapping[str, bytes] = NO_LINEAGE,
    *,
    subject: str | None = None,
    time: datetime | None = None,
    timestamp_ms: int | None = None,
    extensions: Mapping[str, str] | None = None,
) -> dict[str, bytes]:
    """The headers of one event alone: its id, what it inherits, and what else says more than the record does.

    ``time`` is when it happened; it is left out when ``timestamp_ms``, the record's, says the same. ``extensions``
    are further CloudEvents attributes, by name without prefix. Raises ``EventRefused`` for a time without a zone, and
    for an extension whose name is not allowed.
    """
    identity = event_id.encode()
    if inherited:
        own = {CE_ID: identity, **inherited}
        if own.get(CE_CORRELATIONID) == identity:
            del own[CE_CORRELATIONID]
    else:
        own = {CE_ID: identity}
    if subject is not None:
        own[CE_SUBJECT] = subject.encode()
    if time is not None and (timestamp_ms is None or time != from_milliseconds(timestamp_ms)):
        own[CE_TIME] = format_time(time).encode()
    if extensions:
        own.update(_extension_headers(extensions))
    return own


def _extension_headers(extensions: Mapping[str, str]) -> dict[str, bytes]:
    for name in extensions:
        check_name(name)
    return {PREFIX + name: text.encode() for name, text in extensions.items()}
