"""A record as a plain consumer is given it."""

from collections.abc import Mapping
from typing import TypeVar

from msgspec import Struct

from mainstem.errors import DecodingFailed
from mainstem.events import CE_EVENTVERSION, CE_TYPE, Topic, declaration_of, from_structured, is_structured
from mainstem.schemas import DECODER_ERRORS, decoding_failure
from mainstem.schemas.upcasting import reading_of
from mainstem.schemas.writers import SCHEMA_HEADER
from mainstem.service.plain.readings import Readings

E = TypeVar("E")


class Message(Struct, frozen=True, gc=False, repr_omit_defaults=True):
    """One record: where it stands, and its bytes. ``value`` None is a tombstone.

    ``readings`` are how its consumer reads the types that it has named.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes]
    readings: Readings | None = None

    def event(self, declared: type[E] | Topic[E]) -> E:
        """The event in it, as a declared type has it now; one of an older version is upcast.

        What names the schema that it was written with is read where the consumer names the type, in ``reads``. Raises
        :class:`~mainstem.errors.DecodingFailed` where the record is of another type, its schema is not known, or its
        bytes are not what it says.
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
                where=self._place,
                why="several types may share a topic",
                remedy="look at headers['ce_type'] first, and ask for the event of that type",
            )
        reading = reading_of(declaration) if self.readings is None else self.readings.of(declaration)
        try:
            decode = reading.decoder(headers.get(CE_EVENTVERSION), headers.get(SCHEMA_HEADER))
            event: E = decode(value)  # type: ignore[arg-type, assignment]  # of a tombstone it raises
        except DecodingFailed as failed:
            failed.where = f"{failed.where}, in {self._place}"
            raise
        except DECODER_ERRORS as error:
            failure = decoding_failure(error, declaration, value)
            failure.where = f"{failure.where}, in {self._place}"
            raise failure from error
        return event

    @property
    def _place(self) -> str:
        return f"{self.topic}[{self.partition}] offset {self.offset}"
