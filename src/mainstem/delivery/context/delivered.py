"""An event as it was delivered: where it stands in the log, and what its record says."""

from collections.abc import Mapping

from msgspec import Struct

from mainstem.broker import Batch
from mainstem.delivery.context.footing import Footing
from mainstem.delivery.context.reading import envelope_of, event_id_of
from mainstem.events import Envelope


class Delivered(Struct, gc=False, eq=False):
    """One event of a batch, for a handler."""

    _footing: Footing
    _batch: Batch
    _index: int

    @property
    def topic(self) -> str:
        """The topic the event was read from."""
        return self._batch.topic

    @property
    def partition(self) -> int:
        """The partition the event was read from."""
        return self._batch.partition

    @property
    def offset(self) -> int:
        """The event's offset in its partition."""
        return self._batch.offsets[self._index]

    @property
    def timestamp_ms(self) -> int:
        """The record's timestamp: milliseconds since 1970 (UTC)."""
        return self._batch.timestamps[self._index]

    @property
    def key(self) -> bytes | None:
        """The key bytes, or None for a keyless event."""
        return self._batch.keys[self._index]

    @property
    def headers(self) -> Mapping[str, bytes]:
        """All headers of the record."""
        return self._batch.headers(self._index)

    @property
    def handler(self) -> str:
        """The name of the handler that runs."""
        return self._footing.handler

    @property
    def envelope(self) -> Envelope:
        """All attributes of the event: also subject, time, source and extensions.

        A timer that is due has an id and a time alone. A property raises
        :class:`~mainstem.errors.DecodingFailed` where a producer has broken the rules of CloudEvents.
        """
        return envelope_of(self._batch, self._index, self._footing.bare.get(self._batch.topic))

    @property
    def event_id(self) -> str:
        """The event's id; for an event without envelope it is derived from topic, partition and offset."""
        return event_id_of(self._batch, self._index)

    @property
    def correlation_id(self) -> str:
        """The id of the event that everything with this correlation id goes back to."""
        return self._header("ce_correlationid") or self.event_id

    @property
    def causation_id(self) -> str | None:
        """The id of the event that caused this one, or None when it came from outside."""
        return self._header("ce_causationid")

    @property
    def traceparent(self) -> str | None:
        """The W3C trace context that the event carries, if any."""
        return self._header("traceparent")

    @property
    def now_ms(self) -> int:
        """The wall clock: milliseconds since 1970 (UTC). Not the same in a second run."""
        return self._footing.clock.now_ms()

    @property
    def replaying(self) -> bool:
        """Whether a recorded event is handled once more, and what is outside has been told of it before."""
        return self._footing.replaying

    def _header(self, name: str) -> str | None:
        value = self._batch.header(name, self._index)
        return None if value is None else value.decode(errors="backslashreplace")
