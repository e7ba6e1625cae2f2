"""Between a value of a store and its bytes."""

import msgspec

from mainstem.errors import DecodingFailed, EventRefused
from mainstem.schemas.codec import Codec
from mainstem.schemas.failures import explained
from mainstem.schemas.shape import parts_of, spelling


def state_codec_for(kind: object, where: str = "store") -> Codec:
    """The codec for values of a type: a scalar, a struct, a dataclass, or a container of these, also ``int | None``.

    Their form is MessagePack. ``where`` names the store in errors. Raises ``DefinitionError`` for a type that has no
    form in bytes.
    """
    parts_of(kind, "MessagePack", where)
    return Codec(encode=msgspec.msgpack.Encoder().encode, decode=msgspec.msgpack.Decoder(kind).decode)


def state_decoding_failure(error: Exception, kind: object, store: str) -> DecodingFailed:
    """The error for stored bytes that are no longer a value of the store's type."""
    return DecodingFailed(
        f"a stored value is no {spelling(kind)}: {explained(error)}",
        where=f"store {store}",
        why="the type of the store has changed since the value was written",
        remedy="give new fields a default, or declare the store with a new version and a migration",
    )


def state_encoding_failure(error: Exception, kind: object, store: str) -> EventRefused:
    """The error for a value that has no form in bytes."""
    return EventRefused(
        f"a value cannot be stored as {spelling(kind)}: {error}",
        where=f"store {store}",
        why="it holds something else than the store's type says, or a whole number of more than 64 bits",
        remedy="correct the value where it is put; a type checker finds the place",
    )
