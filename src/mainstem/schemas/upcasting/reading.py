"""Which decoder reads which version of a type."""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from mainstem.errors import DecodingFailed
from mainstem.events import CE_EVENTVERSION, Declaration
from mainstem.schemas.codec import CODECS_REMEMBERED, EventCodec, codec_for
from mainstem.schemas.failures import DECODER_ERRORS, explained, past_failure, version_failure
from mainstem.schemas.framing import unframed
from mainstem.schemas.upcasting.chain import check_chain, climbed

Decode: TypeAlias = Callable[[bytes], object]


class Reading(Struct, frozen=True):
    """How the events of one type are read, whatever their version.

    ``decoders`` has one for each header ``ce_eventversion`` that is read, None for a record without it: ask it once for
    many records. That of the current version is the codec's own; nothing stands between it and the batch.
    """

    declaration: Declaration
    decoders: Mapping[bytes | None, Decode]

    def decoder(self, version: bytes | None) -> Decode:
        """The decoder for a record with this header.

        Raises :class:`~mainstem.errors.VersionUnknown` for a later version than is declared, and
        :class:`~mainstem.errors.DecodingFailed` for an older one that is not read any more, or for no version at all.
        """
        found = self.decoders.get(version)
        if found is not None:
            return found
        if self.declaration.envelope is None:
            return self.decoders[None]
        number = _number(self.declaration, version)
        if number > self.declaration.version:
            raise version_failure(self.declaration, number)
        if number < self.declaration.oldest:
            raise past_failure(self.declaration, number)
        return self.decoders[b"%d" % number]


@lru_cache(maxsize=CODECS_REMEMBERED)
def reading_of(declaration: Declaration) -> Reading:
    """How a declared type is read, the same every time.

    Raises ``DefinitionError`` where a version has no way to the current one.
    """
    check_chain(declaration)
    codec = codec_for(declaration)
    if declaration.schema_id is not None and declaration.format == "json":
        codec = _behind(codec, _unmarked)
    elif declaration.schema_id == "prefix":
        codec = _behind(codec, _unprefixed)
    decoders: dict[bytes | None, Decode] = {b"%d" % declaration.version: codec.decode}
    if declaration.envelope is None:
        return Reading(declaration, {None: codec.decode})
    for number in range(declaration.oldest, declaration.version):
        decoders[b"%d" % number] = partial(_older, declaration, codec, number)
    if declaration.oldest == 1:
        decoders[None] = decoders[b"1"]
    return Reading(declaration, decoders)


def _behind(codec: EventCodec, strip: Callable[[bytes], bytes]) -> EventCodec:
    """The codec of what stands behind the id of its schema. Which schema that is, only Avro would have to know."""
    decode, plain = codec.decode, codec.plain
    return replace(codec, decode=lambda value: decode(strip(value)), plain=lambda value: plain(strip(value)))


def _unmarked(value: bytes) -> bytes:
    """JSON without its prefix, if it has one: no text of JSON begins as a prefix does."""
    return value if value[:1] not in (b"\0", b"\1") else unframed(value, {}).payload


def _unprefixed(value: bytes) -> bytes:
    return unframed(value, {}, indexed=True).payload


def _older(declaration: Declaration, codec: EventCodec, version: int, payload: bytes) -> object:
    data = climbed(declaration, version, codec.plain(payload))
    try:
        return codec.typed(data)
    except DECODER_ERRORS as error:
        it = declaration
        raise DecodingFailed(
            f"the steps from v{version} did not make a {it.wire_name} v{it.version}: {explained(error)}",
            where=it.label,
            why="a step is missing or wrong, or the event is not what its version promises",
            remedy="correct the steps, deploy them, then redrive the record; its bytes are kept",
        ) from error


def _number(declaration: Declaration, version: bytes | None) -> int:
    text = b"1" if version is None else version
    if not text.isdigit() or len(text) > 9 or int(text) < 1:
        raise DecodingFailed(
            f"{CE_EVENTVERSION} is {text!r}", where=declaration.label, why="it must be a whole number from 1"
        )
    return int(text)
