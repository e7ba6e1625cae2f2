"""Between an event and its bytes: one C function each way."""

from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeVar, cast

import msgspec
from msgspec import Struct

from mainstem.events import Declaration
from mainstem.schemas.models import is_model, model_functions
from mainstem.schemas.shape import has_set, parts_of

T = TypeVar("T")

_write = msgspec.json.Encoder().encode
_write_in_order = msgspec.json.Encoder(order="deterministic").encode
_read = msgspec.json.Decoder().decode

CODECS_REMEMBERED: Final = 1_024
"""Looking a type through takes 50 to 100 us, and a start asks for each type in every check, group and task."""


class Codec(Struct, frozen=True):
    """How the events of one type, or the values of one store, become bytes and are read again.

    Both are functions of msgspec itself, so that nothing stands between a batch and its decoder. ``encode`` does not
    look whether the fields hold what their annotations say; for what it raises there is ``encoding_failure``.
    ``decode`` does look; for what it raises there is ``decoding_failure``.
    """

    encode: Callable[[object], bytes]
    decode: Callable[[bytes], object]


class EventCodec(Codec, frozen=True):
    """The codec of an event type. Older versions are read as plain data, which ``typed`` makes an event of.

    ``typed`` raises as ``decode`` does.
    """

    plain: Callable[[bytes], object]
    typed: Callable[[object], object]


@lru_cache(maxsize=CODECS_REMEMBERED)
def codec_for(declaration: Declaration) -> EventCodec:
    """The codec of a declared type, in the format that it states, without any framing. The same one every time.

    JSON has fields by name, and passes unknown ones over. Raises ``DefinitionError`` for a field whose type has no form
    in the format, for an annotation that cannot be resolved, and where what the format needs is not installed.
    """
    if declaration.format != "json":
        from mainstem.schemas.formats import offered  # noqa: PLC0415 - other formats are extras

        return cast("Callable[[Declaration], EventCodec]", offered(declaration, "codec_of"))(declaration)
    if is_model(declaration.type):
        encode, decode = model_functions(declaration.type, declaration.label)
    else:
        parts_of(declaration.type, "JSON", declaration.label)
        encode = in_order(_write_in_order, _write) if has_set(declaration.type) else _write
        decode = msgspec.json.Decoder(declaration.type).decode
    # Through bytes once more: a type then reads of a text or number what its decoder reads of JSON, nothing else.
    return EventCodec(encode=encode, decode=decode, plain=_read, typed=lambda data: decode(_write(data)))


def in_order(ordered: Callable[[object], T], anyhow: Callable[[object], T]) -> Callable[[object], T]:
    """What writes the items of sets in their order: each process has another one, and the same event other bytes.

    A set whose items have no order, as members of an enum or of several types, is written as it comes.
    """

    def write(value: object) -> T:
        try:
            return ordered(value)
        except TypeError:
            return anyhow(value)

    return write


def typing_of(kind: type[object]) -> Callable[[object], object]:
    """What makes an event of plain data, for formats that have what JSON has not: numbers without end."""
    if not is_model(kind):
        return lambda data: msgspec.convert(msgspec.to_builtins(data), kind, str_keys=True)
    import json  # noqa: PLC0415 - of those who declare a type hardly anybody has such a model

    _, validate = model_functions(kind, kind.__name__)
    # A model reads JSON otherwise than values of Python; and Infinity, which is no JSON, it reads too.
    return lambda data: validate(json.dumps(msgspec.to_builtins(data, str_keys=True)).encode())
