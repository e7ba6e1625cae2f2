"""What records hold that were written with a schema of a registry, as plain data: for who only looks at them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import click
import msgspec

from mainstem.broker import Batch
from mainstem.errors import DecodingFailed, DefinitionError, SchemaRefused
from mainstem.events import CE_KIND, CE_SOURCE
from mainstem.schemas import DECODER_ERRORS
from mainstem.schemas.formats import Linked, plain_reading
from mainstem.schemas.framing import unframed
from mainstem.schemas.writers import AWAY, SCHEMA_HEADER, SchemaName, Writers, Written, name_in

_JSON_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Payloads:
    """Reads payloads; those that name a schema with what a registry answers. Without ``writers`` only JSON."""

    def __init__(self, writers: Writers | None = None) -> None:
        self._writers = writers
        self._readings: dict[tuple[SchemaName, tuple[int, ...]], Callable[[bytes], object] | None] = {}

    async def acquaint(self, batch: Batch) -> None:
        """Ask for the schemas that records of a batch name. Where nobody answers it is said once, and asked no more."""
        if self._writers is None or self._writers.alone:
            return
        try:
            await self._writers.acquire(self._writers.unknown(set(_names(batch))))
        except AWAY as away:
            click.echo(f"Payloads that name a schema are shown as they are: {away}", err=True)
            self._writers = None

    def data(self, batch: Batch, index: int) -> object:
        """The payload of a record as plain data; ``UNSET`` where that cannot be had."""
        value, headers = batch.values[index], batch.headers(index)
        assert value is not None
        try:
            return msgspec.json.decode(value)
        except _JSON_ERRORS:
            pass
        try:
            return self._named(value, headers)
        except DECODER_ERRORS:
            # Bytes that only look as if they named a schema are nothing of a registry's.
            return msgspec.UNSET

    def _named(self, value: bytes, headers: Mapping[str, bytes]) -> object:
        frame = unframed(value, headers)
        name = name_in(frame, _context(headers))
        written = None if self._writers is None else self._writers.find(name)
        if not isinstance(written, Written):
            return msgspec.UNSET
        if written.schema.format == "JSON":
            return msgspec.json.decode(frame.payload)
        frame = unframed(value, headers, indexed=written.schema.format == "PROTOBUF")
        read = self._reading(name, written, frame.indexes)
        return msgspec.UNSET if read is None else read(frame.payload)

    def _reading(
        self, name: SchemaName, written: Written, indexes: tuple[int, ...]
    ) -> Callable[[bytes], object] | None:
        if (name, indexes) not in self._readings:
            try:
                made = plain_reading(Linked(written.schema, written.resolved), indexes)
            except (SchemaRefused, DefinitionError) as refused:
                click.echo(f"What was written with the schema with {name} is shown as it is: {refused}", err=True)
                made = None
            self._readings[name, indexes] = made
        return self._readings[name, indexes]


def _names(batch: Batch) -> Iterator[SchemaName]:
    for index, value in enumerate(batch.values):
        headers = batch.headers(index)
        if value is not None and (value[:1] in (b"\0", b"\1") or SCHEMA_HEADER in headers):
            try:
                yield name_in(unframed(value, headers), _context(headers))
            except DecodingFailed:
                continue


def _context(headers: Mapping[str, bytes]) -> str:
    """Where the schema of a domain event stands: in the context of the service that has published it."""
    if headers.get(CE_KIND) != b"domain":
        return ""
    return f":.{headers.get(CE_SOURCE, b'').decode(errors='replace').removeprefix('/')}:"
