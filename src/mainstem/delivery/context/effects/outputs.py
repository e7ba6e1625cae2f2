"""The way from an event to the record that is appended.

Used by handlers, whose records wait for the commit, and by publishing from outside.
"""

import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from copy import copy
from dataclasses import is_dataclass
from functools import partial
from typing import TypeAlias

from msgspec import Struct

from mainstem.broker import NO_HEADERS, Headers, Record, TopicPartition
from mainstem.delivery.context.effects.effects import Fact
from mainstem.delivery.context.effects.facts import Latest, Origin
from mainstem.errors import EventRefused, RecordTooLarge
from mainstem.events import (
    CONTENT_TYPE,
    STRUCTURED_CONTENT,
    Declaration,
    Event,
    common_headers,
    key_function,
    own_headers,
    partition_for,
    to_structured,
)
from mainstem.schemas import (
    DECODER_ERRORS,
    ENCODER_ERRORS,
    EventCodec,
    SchemaMark,
    codec_for,
    encoding_failure,
    mark_in_play,
    unreadable_failure,
)

_NO_LIMITS: Mapping[str, int] = {}
_NO_MARKS: Mapping[Declaration, SchemaMark] = {}

MakeFact: TypeAlias = Callable[[object, bytes, Headers, int], Fact]
"""Takes an event, its id, lineage and stated attributes as headers, and its timestamp; returns its record.

Raises :class:`EventRefused` when the event cannot be encoded, and :class:`RecordTooLarge` when it has more bytes than
its topic takes. A keyless event goes to a partition that depends on its id, a UUID, so that a retry sends it to the
same one.
"""


MakeLatest: TypeAlias = Callable[[object, Origin, int], Fact]
"""As :data:`MakeFact`; asks for id and headers when it is known that they are needed."""


class _Route:
    """How the events of one type become facts. The functions are attributes, because they are called for each event."""

    __slots__ = ("bytes_max", "common", "count", "declaration", "encode", "enveloped", "key", "partitions")

    def __init__(
        self,
        declaration: Declaration,
        partitions: int,
        source: str,
        bytes_max: int,
        mark: SchemaMark,
        *,
        read_back: bool,
    ) -> None:
        self.declaration = declaration
        self.key = key_function(declaration)
        self.encode = _encoder(declaration, mark.prefix, read_back=read_back)
        self.common = {**common_headers(declaration, source), **mark.headers}
        self.enveloped = declaration.envelope is not None
        self.partitions = tuple(TopicPartition(declaration.topic, n) for n in range(partitions))
        self.count = partitions
        self.bytes_max = bytes_max

    def fact(self, event: object, event_id: bytes, inherited: Headers, timestamp_ms: int) -> Fact:
        try:
            key = self.key(event)
            value = self.encode(event)
        except ENCODER_ERRORS as error:
            raise encoding_failure(error, self.declaration) from error
        size = len(value) + len(key) if key else len(value)
        if size > self.bytes_max:
            raise self._too_large(size)
        # The last digits of an id are as good as a hash, and cost nothing; a retry has the same id.
        number = int(event_id[-6:], 16) % self.count if key is None else partition_for(key, self.count)
        own = own_headers(event_id, inherited) if self.enveloped else NO_HEADERS
        return self.partitions[number], Record(key, value, timestamp_ms, self.common, own)

    def latest(self, by: str, event: object, origin: Origin, timestamp_ms: int) -> Fact:
        # What has a key needs no id to find its partition.
        at, bare = self.fact(event, b"", NO_HEADERS, timestamp_ms)
        return at, Latest(bare.key, bare.value, timestamp_ms, self.common, NO_HEADERS, by, origin)

    def _too_large(self, size_bytes: int) -> RecordTooLarge:
        # Found here it is this event's failure alone; found in the commit it would be that of the whole task.
        return RecordTooLarge(
            f"a {self.declaration.wire_name} of {size_bytes} bytes is larger than its topic takes",
            where=self.declaration.label,
            why=f"the topic takes records of up to {self.bytes_max} bytes, keys included",
            remedy="store the content elsewhere and publish where it is; or declare a larger one with "
            "service.topic(..., record_bytes_max=...), and run mainstem topics apply",
        )


class _StructuredRoute(_Route):
    """The events of one type as JSON documents, with their attributes inside."""

    __slots__ = ("beside",)

    def __init__(
        self,
        declaration: Declaration,
        partitions: int,
        source: str,
        bytes_max: int,
        mark: SchemaMark,
        *,
        read_back: bool,
    ) -> None:
        super().__init__(declaration, partitions, source, bytes_max, mark, read_back=read_back)
        self.beside = {CONTENT_TYPE: STRUCTURED_CONTENT}

    def fact(self, event: object, event_id: bytes, inherited: Headers, timestamp_ms: int) -> Fact:
        at, record = super().fact(event, event_id, inherited, timestamp_ms)
        headers, document = to_structured({**record.common, **record.own}, record.value)
        if len(document) + len(record.key or b"") > self.bytes_max:
            raise self._too_large(len(document) + len(record.key or b""))
        own = {name: value for name, value in headers.items() if name not in self.beside}
        return at, Record(record.key, document, timestamp_ms, self.beside, own)

    def latest(self, by: str, event: object, origin: Origin, timestamp_ms: int) -> Fact:
        # Its attributes stand in the document, and may make it too large.
        at, whole = self.fact(event, *origin.told(), timestamp_ms)
        return at, Latest(whole.key, whole.value, timestamp_ms, whole.common, whole.own, by)


def _encoder(declaration: Declaration, prefix: bytes, *, read_back: bool) -> Callable[[object], bytes]:
    """The encoder of a type; with ``read_back`` it refuses what a reader's decoder would refuse."""
    codec = codec_for(declaration)
    encode = _reading_back(declaration, codec) if read_back else codec.encode
    return (lambda event: prefix + encode(event)) if prefix else encode


def _reading_back(declaration: Declaration, codec: EventCodec) -> Callable[[object], bytes]:
    def encode(event: object) -> bytes:
        value = codec.encode(event)
        try:
            codec.decode(value)
        except DECODER_ERRORS as error:
            raise unreadable_failure(error, declaration) from error
        return value

    return encode


class Outputs:
    """Encodes the event types that a service may publish."""

    def __init__(
        self,
        declarations: Iterable[Declaration],
        partitions: Mapping[str, int],
        source: str,
        bytes_max: Mapping[str, int] = _NO_LIMITS,
        marks: Mapping[Declaration, SchemaMark] = _NO_MARKS,
        *,
        read_back: bool = False,
    ) -> None:
        """``source`` is the ``ce_source`` of the service.

        By topic, ``partitions`` gives the partition counts, and ``bytes_max`` how large a record may be. ``marks`` are
        those of the types' schemas; what has none carries the one of play, if any. With ``read_back`` every event is
        decoded again, and refused where a reader could not do that.
        """
        self._routes: dict[type[object], _Route] = {}
        for each in declarations:
            kind = _StructuredRoute if each.envelope == "structured" else _Route
            limit = bytes_max.get(each.topic, sys.maxsize)
            mark = marks.get(each) or mark_in_play(each)
            self._routes[each.type] = kind(each, partitions[each.topic], source, limit, mark, read_back=read_back)
        self.replaceable: Mapping[type[object], MakeLatest] = {}
        """How events become facts of which only the latest count, by type."""
        self._facts: dict[type[object], MakeFact] = {each: route.fact for each, route in self._routes.items()}

    @property
    def declarations(self) -> Iterable[Declaration]:
        """The types that may be published."""
        return [each.declaration for each in self._routes.values()]

    def fact(self, event: object, event_id: str, inherited: Headers, timestamp_ms: int) -> Fact:
        """The record of an event; see :data:`MakeFact`, and :meth:`fact_of` for what is refused."""
        return self.fact_of(event)(event, event_id.encode(), inherited, timestamp_ms)

    def fact_of(self, event: object) -> MakeFact:
        """How events of this type become facts. Raises :class:`EventRefused` when it is not declared."""
        try:
            return self._facts[type(event)]
        except KeyError:
            raise self._undeclared(event) from None

    def latest(self, types: Collection[type[object]], by: str) -> "Outputs":
        """The same for the handler of this name, of whose outputs of these types a commit carries the last ones."""
        if not types:
            return self
        other = copy(self)
        other.replaceable = {each: partial(self._routes[each].latest, by) for each in types}
        return other

    def gather(
        self,
        events: Iterable[tuple[object, str]],
        inherited: Headers,
        timestamp_ms: int,
        records: dict[TopicPartition, list[Record]],
    ) -> None:
        """Add the records of many events, each with its id, by partition; otherwise as :meth:`fact`."""
        facts = self._facts
        for event, event_id in events:
            try:
                make = facts[type(event)]
            except KeyError:
                raise self._undeclared(event) from None
            at, record = make(event, event_id.encode(), inherited, timestamp_ms)
            try:
                records[at].append(record)
            except KeyError:
                records[at] = [record]

    def check_attributes(self, events: Iterable[object]) -> None:
        """Raise :class:`EventRefused` for an event whose topic has no envelope, and so no place for attributes."""
        for event in events:
            route = self._routes.get(type(event))
            if route is not None and not route.enveloped:
                raise EventRefused(
                    f"attributes are stated for a {route.declaration.wire_name}, and its topic has no envelope",
                    where=route.declaration.label,
                    why="with envelope=None a record carries its payload alone, and they would be lost",
                    remedy="leave them out, or declare the topic with an envelope",
                )

    def _undeclared(self, event: object) -> EventRefused:
        name = type(event).__name__
        if isinstance(event, type | list | tuple):
            return EventRefused(
                f"{event.__name__ if isinstance(event, type) else f'a {name}'} is not an event",
                why="a class or several events were given where one event belongs",
                remedy="make one of the class, as in OrderPaid(...); give several one by one, or with a star: *events",
            )
        if not isinstance(event, Event) and not is_dataclass(event) and not isinstance(event, Struct):
            return EventRefused(
                f"a {name} is not an event",
                why="an event is an instance of a class that was declared with its topic",
                remedy='declare one: class OrderPaid(IntegrationEvent, topic="orders"), and publish OrderPaid(...)',
            )
        return EventRefused(
            f"{name} is not among the events that this service publishes",
            where=f"{type(event).__module__}.{type(event).__qualname__}",
            why=f"it publishes {', '.join(sorted(each.__name__ for each in self._routes)) or 'nothing'}",
            remedy=f"name it in the handler's return annotation, or add publishes=({name},)",
        )
