"""Which meaning bytes are given where only one of two schemas states a logical type: the reader's."""

from mainstem.schemas.avro.language import Array, Fixed, Map, Primitive, Record, Type, Union, logical_of
from mainstem.schemas.avro.resolution import Branches, written_as

_OF_LOGICAL = ("logicalType", "precision", "scale")


def agree(writer: Type, reader: Type) -> None:
    """Let the writer's types say what the reader's say, where only one of the two says something.

    A codec makes of bytes what the writer's schema says: a number that was meant as a time becomes one only if that
    says so. Where both say something, it stays: a codec knows how to make the same time of other units.
    """
    met: set[tuple[int, int]] = set()
    waiting = [(writer, reader)]
    while waiting:
        pair = waiting.pop()
        known = (id(pair[0]), id(pair[1]))
        if known not in met:
            met.add(known)
            waiting += _within(*pair)


def _within(writer: Type, reader: Type) -> list[tuple[Type, Type]]:
    """The pairs that stand within a pair; the meaning of the pair itself is settled."""
    if isinstance(writer, Union):
        return [(each, reader) for each in writer.branches]
    if isinstance(reader, Union):
        chosen = Branches(reader.branches).taking(writer)
        return [] if chosen is None else [(writer, chosen)]
    if isinstance(writer, Array) and isinstance(reader, Array):
        return [(writer.items, reader.items)]
    if isinstance(writer, Map) and isinstance(reader, Map):
        return [(writer.values, reader.values)]
    if isinstance(writer, Record) and isinstance(reader, Record):
        return _fields(writer, reader)
    if isinstance(writer, Primitive | Fixed) and isinstance(reader, Primitive | Fixed):
        _settle(writer, reader)
    return []


def _fields(writer: Record, reader: Record) -> list[tuple[Type, Type]]:
    types = {field.name: field.type for field in writer.fields}
    sources = [(field, written_as(field, frozenset(types))) for field in reader.fields]
    return [(types[names[0]], field.type) for field, names in sources if names]


def _settle(writer: Primitive | Fixed, reader: Primitive | Fixed) -> None:
    if (logical_of(writer) is None) == (logical_of(reader) is None):
        return
    stated = {name: each for name, each in reader.properties.items() if name in _OF_LOGICAL}
    others = {name: each for name, each in writer.properties.items() if name not in _OF_LOGICAL}
    writer.properties = others | stated
