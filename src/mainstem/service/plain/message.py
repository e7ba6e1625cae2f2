"""A record as a plain consumer is given it."""

from collections.abc import Mapping
from typing import TypeVar

from msgspec import Struct

from mainstem.errors import DecodingFailed
from mainstem.events import CE_EVENTVERSION, CE_TYPE, Topic, declaration_of, from_structured, is_structured
from mainstem.schemas import DECODER_ERRORS, decoding_failure
from mainstem.schemas.upcasting import reading_of
from mainstem.schemas.writers import SCHEMA_HEADER

E = TypeVar("E")


class Message(Struct, frozen=True, gc=False):
    """One record: where it stands, and its bytes. ``value`` None is a tombstone."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes]

    def event(self, declared: type[E] | Topic[E]) -> E:
        """The event in it, as a declared type has it now; one of an older version is upcast.

        Raises :class:`~mainstem.errors.DecodingFailed` where the record is of another type, or its bytes are not what
        it says.
        """
        declaration = declaration_of(declared)
        headers, value = self.headers, self.value
        if declaration.envelope is not None and value is not None and is_structured(headers):
            headers, value = from_structured(headers, value)
        name = headers.get(CE_TYPE)
        if declaration.envelope is not None and name not in {each.encode() for each in declaration.names}:
            found = "without a type" if name is None else f"a {name.decode(errors='backslashreplace')}"
            raise DecodingFailed(
                f"the record is {found}, and no {declaration.wire_name}",
                where=f"{self.topic}[{self.partition}] offset {self.offset}",
                why="several types may share a topic",
                remedy="look at headers['ce_type'] first, and ask for the event of that type",
            )
        decode = reading_of(declaration).decoder(headers.get(CE_EVENTVERSION), headers.get(SCHEMA_HEADER))
        try:
            event: E = decode(value)  # type: ignore[arg-type, assignment]  # of a tombstone it raises
        except DecodingFailed:
            raise
        except DECODER_ERRORS as error:
            raise decoding_failure(error, declaration, value) from error
        return event
