"""What records hold, as plain data; where they name a schema, with what a registry answers."""

from typing import Final

import click
import msgspec

from mainstem.broker import Batch
from mainstem.errors import DefinitionError, MainstemError
from mainstem.schemas import DECODER_ERRORS
from mainstem.schemas.writers import AWAY, Plainly, Writers

_JSON_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Payloads:
    """Reads payloads: JSON, and with ``writers`` what was written with the schemas that they know."""

    def __init__(self, writers: Writers | None = None) -> None:
        self._writers = writers
        self._named = None if writers is None else Plainly(writers)

    async def acquaint(self, batch: Batch) -> None:
        """Ask for the schemas that records of a batch name. Where nobody answers it is said once, and asked no more."""
        if self._writers is None or self._named is None:
            return
        records = ((value, batch.headers(index)) for index, value in enumerate(batch.values))
        try:
            await self._writers.acquire(self._named.unknown(records))
        except AWAY as away:
            self._give_up(away)

    def data(self, batch: Batch, index: int) -> object:
        """The payload of a record that has one; ``UNSET`` where it cannot be read."""
        value = batch.values[index]
        assert value is not None
        try:
            return msgspec.json.decode(value)
        except _JSON_ERRORS:
            if self._named is None:
                return msgspec.UNSET
        try:
            return self._named.read(value, batch.headers(index))
        except DefinitionError as missing:
            self._give_up(missing)
        except DECODER_ERRORS:
            # Bytes that only look as if they named a schema.
            pass
        return msgspec.UNSET

    def _give_up(self, because: MainstemError) -> None:
        click.echo(f"Payloads that name a schema are shown as they are: {because}", err=True)
        self._named = None
