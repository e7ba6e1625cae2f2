"""Between a value of a store and its bytes."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

import msgspec
from msgspec import inspect

from mainstem.errors import DecodingFailed, EventRefused
from mainstem.schemas.codec import Codec
from mainstem.schemas.failures import explained
from mainstem.schemas.shape import parts_of, spelling

_CLASSES: Final[dict[type[inspect.Type], tuple[type, ...]]] = {
    inspect.BoolType: (bool,),
    inspect.IntType: (int,),
    inspect.FloatType: (float, int),
    inspect.StrType: (str,),
    inspect.BytesType: (bytes, bytearray, memoryview),
    inspect.NoneType: (type(None),),
    inspect.DateTimeType: (datetime,),
    inspect.DateType: (date,),
    inspect.TimeType: (time,),
    inspect.TimeDeltaType: (timedelta,),
    inspect.UUIDType: (UUID,),
    inspect.DecimalType: (Decimal,),
}
_SCALARS: Final = frozenset({bool, int, float, str, bytes, type(None)})


class StateCodec(Codec, frozen=True):
    """The codec of a store, and what it takes to know that a value is one of the store's type.

    Of the types in ``sure`` every value is. ``fitting`` are the classes of all the others.
    """

    sure: frozenset[type]
    fitting: tuple[type, ...]

    def check(self, value: object, encoded: bytes) -> None:
        """Raise what :attr:`decode` raises for a value that would not be read again as one of the store's type.

        ``encoded`` are its bytes. They alone do not tell: a time and a text look the same, and so do a struct and a
        dict.
        """
        if not isinstance(value, self.fitting):
            names = " | ".join(dict.fromkeys(each.__name__ for each in self.fitting))
            raise msgspec.ValidationError(f"Expected `{names}`, got `{type(value).__name__}`")
        self.decode(encoded)


def state_codec_for(kind: object, where: str = "store") -> StateCodec:
    """The codec for values of a type: a scalar, a struct, a dataclass, or a container of these, also ``int | None``.

    Their form is MessagePack. ``where`` names the store in errors. Raises ``DefinitionError`` for a type that has no
    form in bytes.
    """
    parts_of(kind, "MessagePack", where)
    shapes = tuple(_alternatives(inspect.type_info(kind)))
    return StateCodec(
        encode=msgspec.msgpack.Encoder().encode,
        decode=msgspec.msgpack.Decoder(kind).decode,
        sure=frozenset(each for shape in shapes for each in _sure(shape)),
        fitting=tuple(_classes(shapes)),
    )


def _alternatives(shape: inspect.Type) -> Iterator[inspect.Type]:
    """The shapes that a value may have, without what is said about them only for readers."""
    if isinstance(shape, inspect.Metadata):
        yield from _alternatives(shape.type)
    elif isinstance(shape, inspect.UnionType):
        for each in shape.types:
            yield from _alternatives(each)
    else:
        yield shape


def _sure(shape: inspect.Type) -> Iterator[type]:
    """The scalar type of a shape without constraints: a value of exactly this type fits, whatever the value."""
    found = _CLASSES.get(type(shape), (object,))[0]
    if found in _SCALARS and shape == type(shape)():
        yield found


def _classes(shapes: Iterable[inspect.Type]) -> Iterator[type]:
    for shape in shapes:
        if isinstance(shape, inspect.StructType | inspect.DataclassType | inspect.NamedTupleType | inspect.EnumType):
            yield shape.cls
        else:
            # What is inside a container tells by itself; a tuple is as good as a list.
            yield from _CLASSES.get(type(shape), (object,))


def state_decoding_failure(error: Exception, kind: object, store: str) -> DecodingFailed:
    """The error for stored bytes that are no longer a value of the store's type."""
    return DecodingFailed(
        f"a stored value is no {spelling(kind)}: {explained(error)}",
        where=f"store {store}",
        why="the type of the store has changed since the value was written, or a program that did "
        "not look has put something else there",
        remedy="give new fields a default, or declare a store of another name: what is there is not converted",
    )


def state_encoding_failure(error: Exception, kind: object, store: str) -> EventRefused:
    """The error for a value that has no form in bytes."""
    return EventRefused(
        f"a value cannot be stored as {spelling(kind)}: {explained(error)}",
        where=f"store {store}",
        why="it holds something else than the store's type says, or a whole number of more than 64 bits",
        remedy="correct the value where it is put; a type checker finds the place",
    )
