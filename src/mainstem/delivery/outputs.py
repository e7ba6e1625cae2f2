"""From an event to the record that is appended: route, key, partition, bytes, headers.

Used by handlers, whose records wait for the commit, and by publishing from outside.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from mainstem.broker import NO_HEADERS, Headers, Record, TopicPartition
from mainstem.errors import EventRefused
from mainstem.events import Declaration, common_headers, key_function, own_headers, partition_for
from mainstem.schemas import codec_for


class Fact(NamedTuple):
    """A record, and the partition it goes to."""

    at: TopicPartition
    record: Record


class _Route(NamedTuple):
    declaration: Declaration
    key: Callable[[object], bytes | None]
    encode: Callable[[object], bytes]
    common: Headers
    partitions: tuple[TopicPartition, ...]


class Outputs:
    """Encodes the event types that a service may publish."""

    def __init__(self, declarations: Iterable[Declaration], partitions: Mapping[str, int], source: str) -> None:
        """``partitions`` gives the partition count of every topic, ``source`` is the ``ce_source`` of the service."""
        self._routes = {
            declaration.type: _Route(
                declaration,
                key_function(declaration),
                codec_for(declaration).encode,
                common_headers(declaration, source),
                tuple(TopicPartition(declaration.topic, n) for n in range(partitions[declaration.topic])),
            )
            for declaration in declarations
        }

    def fact(self, event: object, event_id: str, inherited: Headers, timestamp_ms: int) -> Fact:
        """The record of an event. Raises :class:`EventRefused` when its type is not declared or it cannot be encoded.

        ``inherited`` are correlation, causation and trace context. A keyless event goes to a partition that depends
        on its id, so that a retry sends it to the same one.
        """
        route = self._routes.get(type(event))
        if route is None:
            raise self._undeclared(event)
        try:
            key = route.key(event)
            value = route.encode(event)
        except (TypeError, ValueError, AttributeError) as error:
            raise EventRefused(
                f"{route.declaration.label} cannot be encoded",
                where=repr(event)[:200],
                why=str(error),
                remedy="give every field a value of its declared type",
            ) from error
        partitions = route.partitions
        at = partitions[partition_for(event_id.encode() if key is None else key, len(partitions))]
        own = own_headers(event_id, inherited) if route.declaration.envelope else NO_HEADERS
        return Fact(at, Record(key, value, timestamp_ms, route.common, own))

    def _undeclared(self, event: object) -> EventRefused:
        name = type(event).__name__
        return EventRefused(
            f"{name} is not among the events that this service publishes",
            where=repr(event)[:200],
            why=f"it publishes {', '.join(sorted(each.__name__ for each in self._routes)) or 'nothing'}",
            remedy=f"name it in the handler's return annotation, or add publishes=({name},)",
        )
