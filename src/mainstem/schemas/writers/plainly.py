"""Payloads behind the name of their schema as plain data, by no type of ours: for who only looks at records."""

from collections.abc import Callable, Collection, Iterable, Mapping

import msgspec

from mainstem.errors import DecodingFailed
from mainstem.events import CE_KIND, CE_SOURCE
from mainstem.schemas.formats import Linked, plain_reading
from mainstem.schemas.framing import Frame, unframed
from mainstem.schemas.writers.known import SCHEMA_HEADER, SchemaName, Writers, Written, name_in

Headers = Mapping[str, bytes]


class Plainly:
    """Reads what was written with the schemas that ``writers`` know."""

    def __init__(self, writers: Writers) -> None:
        self._writers = writers
        self._readings: dict[tuple[SchemaName, tuple[int, ...]], Callable[[bytes], object]] = {}

    def unknown(self, records: Iterable[tuple[bytes | None, Headers]]) -> Collection[SchemaName]:
        """The schemas that these values and headers name and that somebody must be asked for."""
        if self._writers.alone:
            return ()
        return self._writers.unknown({name for value, headers in records for name in _names(value, headers)})

    def read(self, value: bytes, headers: Headers) -> object:
        """The data of a payload; ``UNSET`` where its schema is not known.

        Raises ``DefinitionError`` where what its format needs is not installed, and anything for bytes that are not
        what they seem.
        """
        frame = unframed(value, headers)
        name = name_in(frame, _context(headers))
        written = self._writers.find(name)
        if not isinstance(written, Written):
            return msgspec.UNSET
        if written.schema.format == "JSON":
            return msgspec.json.decode(frame.payload)
        if written.schema.format == "PROTOBUF":
            frame = unframed(value, headers, indexed=True)
        return self._reading(name, written, frame)(frame.payload)

    def _reading(self, name: SchemaName, written: Written, frame: Frame) -> Callable[[bytes], object]:
        place = name, frame.indexes
        if place not in self._readings:
            self._readings[place] = plain_reading(Linked(written.schema, written.resolved), frame.indexes)
        return self._readings[place]


def _names(value: bytes | None, headers: Headers) -> Collection[SchemaName]:
    if value is None or (value[:1] not in (b"\0", b"\1") and SCHEMA_HEADER not in headers):
        return ()
    try:
        return (name_in(unframed(value, headers), _context(headers)),)
    except DecodingFailed:
        return ()


def _context(headers: Headers) -> str:
    """Where the schema of a domain event stands: in the context of the service that has published it."""
    if headers.get(CE_KIND) != b"domain":
        return ""
    return f":.{headers.get(CE_SOURCE, b'').decode(errors='replace').removeprefix('/')}:"
