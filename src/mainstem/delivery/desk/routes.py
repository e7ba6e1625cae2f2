"""From a record to its event and its handlers, in one incarnation of a task."""

from collections.abc import Mapping
from typing import NamedTuple

from mainstem.broker import Batch
from mainstem.delivery.context import TIMER_TOPIC, envelope_of, in_binary_mode
from mainstem.delivery.desk.acquaintance import Acquaintance
from mainstem.delivery.desk.handler import Handler
from mainstem.delivery.failures import Letter
from mainstem.delivery.plan import Plan
from mainstem.errors import DecodingFailed
from mainstem.events import (
    CE_EVENTVERSION,
    CE_TYPE,
    Declaration,
    Envelope,
)
from mainstem.schemas import DECODER_ERRORS, decoding_failure
from mainstem.schemas.upcasting import Decode, Decoders, Reading
from mainstem.schemas.writers import SCHEMA_HEADER, Writers
from mainstem.state import Timer


class BoundRoute(NamedTuple):
    """A route with its handlers bound to the task. ``decoders`` are those of ``reading``, by the version's header."""

    declaration: Declaration
    reading: Reading
    decoders: Mapping[bytes | None, Decode]
    handlers: tuple[Handler, ...]


class Routes:
    """The routes of a task, by topic and the bytes of the type header."""

    __slots__ = ("_by_topic", "_routes", "acquaintance")

    def __init__(self, plan: Plan, handlers: Mapping[str, Handler], writers: Writers | None = None) -> None:
        self._routes: dict[tuple[str, bytes | None], BoundRoute] = {}
        self._by_topic: dict[str, tuple[Handler, ...]] = {}
        for (topic, name), route in plan.routes(writers).items():
            bound = tuple(handlers[each.name] for each in route.processors)
            key = (topic, None if name is None else name.encode())
            self._routes[key] = BoundRoute(route.reading.declaration, route.reading, route.reading.decoders, bound)
            known = self._by_topic.get(topic, ())
            self._by_topic[topic] = known + tuple(each for each in bound if each not in known)
        self.acquaintance = Acquaintance({at: each.reading for at, each in self._routes.items()}, writers)

    def has_envelope(self, topic: str) -> bool:
        """Whether the types of a topic stand in its records."""
        return (topic, None) not in self._routes

    def in_binary_mode(self, batch: Batch) -> Batch:
        """The same records, with events in structured mode as if they had come in binary mode.

        A document that breaks the rules stays as it is: it has no type, and parks with its bytes.
        """
        return in_binary_mode(batch) if self.has_envelope(batch.topic) else batch

    def find(self, topic: str, type_name: bytes | None) -> BoundRoute | None:
        """The route of a type, or None when no handler wants it."""
        return self._routes.get((topic, type_name))

    def decoders(self, bound: BoundRoute, batch: Batch) -> Decoders:
        """What decodes the records of a batch by their versions; none where each must be looked at."""
        named = bound.reading.named
        headers = None if named is None else batch.several((SCHEMA_HEADER,))[0]
        if named is None or headers is None:
            return bound.decoders
        header = batch.common.get(SCHEMA_HEADER)
        return {} if header is None else named.behind(header)

    def of_topic(self, topic: str) -> tuple[Handler, ...]:
        """All handlers that read a topic; a record without a type is everybody's."""
        return self._by_topic.get(topic, ())

    def decode(self, bound: BoundRoute, batch: Batch, index: int, version: bytes | None) -> object:
        """One record's event. Raises :class:`DecodingFailed`."""
        value = batch.values[index]
        header = None if bound.reading.named is None else batch.header(SCHEMA_HEADER, index)
        decode = bound.reading.decoder(version, header)
        try:
            return decode(value)  # type: ignore[arg-type]  # of a tombstone it raises TypeError
        except DecodingFailed:
            raise  # by a step from an older version, which has said it all
        except DECODER_ERRORS as error:
            raise decoding_failure(error, bound.declaration, value) from error

    def open(self, letter: Letter) -> object:
        """The event of a record that was parked; a timer for a firing."""
        if letter.topic.startswith(f"{TIMER_TOPIC}:"):
            return Timer(letter.timestamp_ms, letter.topic.removeprefix(f"{TIMER_TOPIC}:"), letter.key)
        type_name = letter.headers.get(CE_TYPE) if self.has_envelope(letter.topic) else None
        bound = self.find(letter.topic, type_name)
        if bound is None:
            raise DecodingFailed(
                f"no handler of this group takes {(type_name or b'records without a type').decode(errors='replace')}",
                where=f"{letter.topic}[{letter.partition}] offset {letter.offset}",
                remedy="subscribe to the type again, or discard the dead letter",
            )
        return self.decode(bound, letter.batch(), 0, letter.headers.get(CE_EVENTVERSION))

    def wanted(self, handler: Handler, batch: Batch, index: int) -> bool:
        """Whether a handler's predicate, if it has one, says yes to a record. Raises what the predicate raises."""
        where = handler.processor.where
        bound = self.find(batch.topic, batch.header(CE_TYPE, index) if self.has_envelope(batch.topic) else None)
        return where is None or bound is None or where(self.envelope(bound.declaration, batch, index))

    def envelope(self, declaration: Declaration, batch: Batch, index: int) -> Envelope:
        """What a predicate looks at."""
        return envelope_of(batch, index, None if declaration.envelope else declaration)
