"""Which decoder reads which version of a type."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache, partial
from typing import Final, Protocol, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from mainstem.errors import DecodingFailed
from mainstem.events import CE_EVENTVERSION, Declaration
from mainstem.schemas.codec import CODECS_REMEMBERED, EventCodec, codec_for
from mainstem.schemas.failures import DECODER_ERRORS, explained, past_failure, version_failure
from mainstem.schemas.framing import unframed
from mainstem.schemas.upcasting.chain import check_chain, climbed
from mainstem.schemas.writers import SchemaName, Writers

_ALONE: Final = Writers(
    in_play=True,
    alone_because="there is nobody to ask: handlers have somebody, and a Consumer for the types in its reads=(...)",
)

Decode: TypeAlias = Callable[[bytes], object]
Decoders: TypeAlias = Mapping[bytes | None, Decode]
Cells: TypeAlias = Sequence[bytes | None]


class Unknown(Protocol):
    """Finds the names of schemas that nobody has been asked for."""

    def __call__(self, values: Cells, headers: Cells | None, *, again: bool = False) -> Collection[SchemaName]:
        """Those in these values and headers; with ``again`` also those that were denied just now."""
        ...


class Named(Struct, frozen=True):
    """What there is to records that name the schema which their payload was written with.

    ``behind`` gives the decoders for a header that names it; ``unknown`` what somebody must be asked for before these
    values can be decoded, of which some may have that header.
    """

    behind: Callable[[bytes], Decoders]
    unknown: Unknown


class Reading(Struct, frozen=True):
    """How the events of one type are read, whatever their version.

    ``decoders`` has one for each header ``ce_eventversion`` that is read, None for a record without it: ask it once for
    many records. That of the current version is the codec's own; nothing stands between it and the batch.
    ``named`` stands where the writer's schema has to be known.
    """

    declaration: Declaration
    decoders: Decoders
    named: Named | None = None

    def decoder(self, version: bytes | None, header: bytes | None = None) -> Decode:
        """The decoder for a record with this version, and with this header for the name of its schema.

        Raises :class:`~mainstem.errors.VersionUnknown` for a later version than is declared, and
        :class:`~mainstem.errors.DecodingFailed` for an older one that is not read any more, for no version at all, and
        for a header that names no schema that is known.
        """
        decoders = self.decoders if header is None or self.named is None else self.named.behind(header)
        found = decoders.get(version)
        if found is not None:
            return found
        if self.declaration.envelope is None:
            return decoders[None]
        number = _number(self.declaration, version)
        if number > self.declaration.version:
            raise version_failure(self.declaration, number)
        if number < self.declaration.oldest:
            raise past_failure(self.declaration, number)
        return decoders[b"%d" % number]


def reading_of(declaration: Declaration, writers: Writers | None = None) -> Reading:
    """How a declared type is read. ``writers`` know the schemas that others have written with.

    Raises ``DefinitionError`` where a version has no way to the current one.
    """
    if declaration.schema_id is None or declaration.format == "json":
        return _reading_alone(declaration)
    return _reading_unasked(declaration) if writers is None else _reading_named(declaration, writers)


@lru_cache(maxsize=CODECS_REMEMBERED)
def _reading_unasked(declaration: Declaration) -> Reading:
    return _reading_named(declaration, _ALONE)


def _reading_named(declaration: Declaration, writers: Writers) -> Reading:
    # Few types are read with another's schema, and the others need not pay for what does it.
    from mainstem.schemas.writers import Framed  # noqa: PLC0415

    check_chain(declaration)
    framed = Framed(declaration, writers)

    def behind(header: bytes) -> Decoders:
        # Which schema that is can be unknown, and is a matter of each record.
        codec = replace(framed.codec, decode=lambda value: framed.behind(header).decode(value))
        return _decoders(declaration, codec, lambda number: lambda value: framed.behind(header, number).plain(value))

    decoders = _decoders(declaration, framed.codec, lambda number: partial(framed.plain, version=number))
    return Reading(declaration, decoders, Named(behind, framed.unknown))


@lru_cache(maxsize=CODECS_REMEMBERED)
def _reading_alone(declaration: Declaration) -> Reading:
    check_chain(declaration)
    codec = codec_for(declaration)
    if declaration.schema_id is not None:
        decode, plain = codec.decode, codec.plain
        codec = replace(
            codec, decode=lambda value: decode(_unmarked(value)), plain=lambda value: plain(_unmarked(value))
        )
    return Reading(declaration, _decoders(declaration, codec, lambda _: codec.plain))


def _decoders(declaration: Declaration, codec: EventCodec, plain: Callable[[int], Decode]) -> Decoders:
    """By the version's header; ``plain`` gives what makes plain data of an older version."""
    if declaration.envelope is None:
        return {None: codec.decode}
    decoders: dict[bytes | None, Decode] = {b"%d" % declaration.version: codec.decode}
    for number in range(declaration.oldest, declaration.version):
        decoders[b"%d" % number] = partial(_older, declaration, (plain(number), codec.typed), number)
    if declaration.oldest == 1:
        decoders[None] = decoders[b"1"]
    return decoders


def _unmarked(value: bytes) -> bytes:
    """JSON without its prefix, if it has one: no text of JSON begins as a prefix does."""
    return value if value[:1] not in (b"\0", b"\1") else unframed(value, {}).payload


def _older(
    declaration: Declaration, codec: tuple[Decode, Callable[[object], object]], version: int, payload: bytes
) -> object:
    plain, typed = codec
    data = climbed(declaration, version, plain(payload))
    try:
        return typed(data)
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
