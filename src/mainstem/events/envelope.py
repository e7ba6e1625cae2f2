"""Reading the envelope: what is known about an event apart from its payload, decoded when somebody looks."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from mainstem.errors import DecodingFailed
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
    KNOWN,
    PREFIX,
    REQUIRED,
    TRACEPARENT,
    TRACESTATE,
    check_specversion,
    from_milliseconds,
    is_name,
    parse_time,
    parse_version,
    text_of,
)
from mainstem.events.declaration import Declaration
from mainstem.identifiers import derive


class Origin(NamedTuple):
    """Where in the log a record stands, and what the record itself says. ``timestamp_ms`` counts from 1970, UTC."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None = None

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}] offset {self.offset}"


class Envelope:
    """The attributes of one event, over the headers of its record; nothing is decoded until it is asked for.

    A property raises ``DecodingFailed`` for a header that breaks the rules of CloudEvents 1.0.2; ``check()`` looks at
    all of them at once.
    """

    __slots__ = ("common", "origin", "own")

    def __init__(self, common: Mapping[str, bytes], own: Mapping[str, bytes], origin: Origin) -> None:
        """``common`` are the headers of many records, ``own`` those of this one."""
        self.common = common
        self.own = own
        self.origin = origin

    @property
    def id(self) -> str:
        """Which event it is: unique within its source, and the same after a retry or a move."""
        return self._required(CE_ID)

    @property
    def source(self) -> str:
        """Who published it, as a URI reference."""
        return self._required(CE_SOURCE)

    @property
    def type(self) -> str:
        """The name of its type on the wire."""
        return self._required(CE_TYPE)

    @property
    def version(self) -> int:
        """The major version of its type; 1 unless stated."""
        text = self._optional(CE_EVENTVERSION)
        return 1 if text is None else parse_version(text)

    @property
    def kind(self) -> str | None:
        """``domain``, ``integration`` or ``notification``; ``None`` for events that are not Mainstem's."""
        return self._optional(CE_KIND)

    @property
    def subject(self) -> str | None:
        """What the event is about, within its source."""
        return self._optional(CE_SUBJECT)

    @property
    def time(self) -> datetime:
        """When it happened, in UTC; the record's timestamp unless stated."""
        text = self._optional(CE_TIME)
        return from_milliseconds(self.origin.timestamp_ms) if text is None else parse_time(text)

    @property
    def correlation_id(self) -> str:
        """What it belongs to, through all that follows from one first event; its own id unless stated."""
        return self._optional(CE_CORRELATIONID) or self.id

    @property
    def causation_id(self) -> str | None:
        """The id of the event that caused it."""
        return self._optional(CE_CAUSATIONID)

    @property
    def traceparent(self) -> str | None:
        """The W3C trace context of the hop that published it."""
        return self._optional(TRACEPARENT)

    @property
    def tracestate(self) -> str | None:
        """What tracing vendors add to ``traceparent``."""
        return self._optional(TRACESTATE)

    @property
    def content_type(self) -> str | None:
        """The media type of the payload."""
        return self._optional(CONTENT_TYPE)

    @property
    def extensions(self) -> dict[str, str]:
        """All attributes that have no property here, by name without prefix, word for word."""
        return {
            name.removeprefix(PREFIX): text_of(name, value)
            for name, value in self.headers.items()
            if name.startswith(PREFIX) and name not in KNOWN
        }

    @property
    def headers(self) -> dict[str, bytes]:
        """All headers of the record, as bytes, also those that are not CloudEvents attributes."""
        return {**self.common, **self.own}

    def header(self, name: str) -> bytes | None:
        """One header of the record, as bytes."""
        value = self.own.get(name)
        return self.common.get(name) if value is None else value

    def check(self) -> None:
        """Raise ``DecodingFailed`` for the first attribute that is missing or breaks its grammar."""
        for name in REQUIRED:
            self._required(name)
        check_specversion(self._required(CE_SPECVERSION))
        for name in self.headers:
            if name.startswith(PREFIX) and not is_name(name.removeprefix(PREFIX)):
                raise DecodingFailed(
                    f"the header {name} cannot be a CloudEvents attribute",
                    where=str(self.origin),
                    why="the name of an attribute has 1 to 20 lowercase letters and digits, and is not 'data'",
                    remedy="correct the producer; a header that is not an attribute needs no prefix ce_",
                )
        _ = self.version, self.time, self.correlation_id, self.kind, self.subject, self.causation_id, self.extensions

    def _optional(self, name: str) -> str | None:
        value = self.header(name)
        return None if value is None else text_of(name, value)

    def _required(self, name: str) -> str:
        text = self._optional(name)
        if not text:
            raise DecodingFailed(
                f"the record has no {name}",
                where=str(self.origin),
                why="CloudEvents requires it; the record may come from a producer that writes no envelope",
                remedy="correct the producer, or declare the topic with Topic(..., envelope=None)",
            )
        return text


def identity(stated: bytes | None, topic: str, partition: int, offset: int) -> str:
    """The id of an event: the one stated in its record; derived from its place in the log where none is.

    Bytes that are no UTF-8 are shown escaped: they come from outside, and must stop neither a handler nor what is said
    about it.
    """
    return stated.decode(errors="backslashreplace") if stated else derive(topic, str(partition), str(offset))


def foreign_envelope(declaration: Declaration, own: Mapping[str, bytes], origin: Origin) -> Envelope:
    """The envelope of a record that is declared to have none: its source is the topic, its id derives from its place.

    A header ``ce_id`` is its id all the same, because whoever moves a record elsewhere keeps its id there. The record's
    other headers stay as they are.
    """
    stated = {
        CE_SPECVERSION: b"1.0",
        CE_ID: identity(own.get(CE_ID), origin.topic, origin.partition, origin.offset).encode(),
        CE_SOURCE: origin.topic.encode(),
        CE_TYPE: declaration.wire_name.encode(),
    }
    return Envelope(own, stated, origin)
