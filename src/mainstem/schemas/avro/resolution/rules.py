"""The rules by which Avro finds the reader's type for a writer's: names, promotions, logical types.

After the specification, "Schema Resolution".
"""

from typing import Final

from mainstem.schemas.avro.language import Array, Enum, Field, Fixed, Map, Named, Primitive, Record, Type, logical_of

PROMOTIONS: Final = {
    "int": ("int", "long", "float", "double"),
    "long": ("long", "float", "double"),
    "float": ("float", "double"),
    "string": ("string", "bytes"),
    "bytes": ("bytes", "string"),
}


def promoted(writer: Primitive, reader: Primitive) -> bool:
    """Whether values of a primitive type are read as those of another one, or of the same."""
    return reader.kind in PROMOTIONS.get(writer.kind, (writer.kind,))


def names_match(writer: Named, reader: Named) -> bool:
    """Whether two names mean one type: namespaces do not count, and the reader may have older names as aliases."""
    return writer.short_name == reader.short_name or writer.name in reader.aliases


class Branches:
    """The types of a reader's union, ready to be asked which of them takes a value of a writer's type.

    The very same type is preferred; then, of named ones, the first of the same short name or with a fitting alias; of
    primitive ones, the first that is wider.
    """

    def __init__(self, branches: tuple[Type, ...]) -> None:
        self._primitives = [each for each in branches if isinstance(each, Primitive)]
        self._collections: dict[type, Type] = {type(each): each for each in branches if isinstance(each, Array | Map)}
        self._named: dict[tuple[type, str], Record | Enum | Fixed] = {}
        named = [each for each in branches if isinstance(each, Record | Enum | Fixed)]
        for each in named:
            self._named.setdefault((type(each), each.name), each)
        for each in named:
            for name in (f"*.{each.short_name}", *each.aliases):
                self._named.setdefault((type(each), name), each)

    def taking(self, writer: Type) -> Type | None:
        """The branch for values of this type, or none."""
        if isinstance(writer, Primitive):
            wider = [each for each in self._primitives if promoted(writer, each)]
            return min(wider, key=lambda each: each.kind != writer.kind, default=None)
        if isinstance(writer, Record | Enum | Fixed):
            kind = type(writer)
            return self._named.get((kind, writer.name)) or self._named.get((kind, f"*.{writer.short_name}"))
        return self._collections.get(type(writer))


def written_as(field: Field, written: frozenset[str]) -> list[str]:
    """The writer's fields that a reader's field may be read from: of its own name first, then of its aliases."""
    return [name for name in dict.fromkeys((field.name, *field.aliases)) if name in written]


def logical_clash(writer: Type, reader: Type) -> bool:
    """Whether the same bytes would be given another meaning: days as milliseconds, cents as mills.

    The specification says so of decimals only; but no reader can want the others either. A logical type on one side
    alone takes nothing away, and neither does a decimal with more digits.
    """
    before, after = logical_of(writer), logical_of(reader)
    if before is None or after is None:
        return False
    return before.name != after.name or before.scale != after.scale or before.precision > after.precision
