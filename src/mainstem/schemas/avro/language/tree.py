"""An Avro schema as a tree of types, its names in full and its references followed."""

from typing import Final, NamedTuple, TypeAlias

from msgspec import UNSET, Struct, UnsetType, field

PRIMITIVES: Final = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})

Properties: TypeAlias = dict[str, object]
"""What a schema says beside what Avro's grammar knows; also ``logicalType`` and what belongs to it."""


class Primitive(Struct, eq=False):
    """One of the eight types without parts."""

    kind: str
    properties: Properties = field(default_factory=dict)


class Array(Struct, eq=False):
    """Values of one type, in order."""

    items: "Type"
    properties: Properties = field(default_factory=dict)


class Map(Struct, eq=False):
    """Values of one type, by text."""

    values: "Type"
    properties: Properties = field(default_factory=dict)


class Union(Struct, eq=False):
    """One of several types; a value says which."""

    branches: "tuple[Type, ...]"


class Named(Struct, eq=False):
    """What is common to types with a name: it and the aliases are in full, with their namespaces."""

    name: str
    aliases: tuple[str, ...] = ()
    doc: str | None = None
    properties: Properties = field(default_factory=dict)

    @property
    def short_name(self) -> str:
        """The name without its namespace."""
        return self.name.rpartition(".")[2]


class Field(Struct, eq=False):
    """One field of a record; ``default`` is plain JSON."""

    name: str
    type: "Type"
    aliases: tuple[str, ...] = ()
    default: object | UnsetType = UNSET
    order: str = "ascending"
    doc: str | None = None
    properties: Properties = field(default_factory=dict)


class Record(Named, eq=False):
    """Fields by name. They are filled in after it is made, for it may hold itself. ``word``: record or error."""

    fields: tuple[Field, ...] = ()
    word: str = "record"


class Enum(Named, eq=False):
    """One of several symbols; a reader takes ``default`` for one that it does not know."""

    symbols: tuple[str, ...] = ()
    default: str | None = None


class Fixed(Named, eq=False):
    """So many bytes."""

    size: int = 0


Type: TypeAlias = Primitive | Array | Map | Union | Record | Enum | Fixed


class Logical(NamedTuple):
    """A logical type that holds; precision and scale are those of a decimal, otherwise 0."""

    name: str
    precision: int = 0
    scale: int = 0


_UNDERLYING: Final = {
    "date": "int",
    "time-millis": "int",
    "time-micros": "long",
    "timestamp-millis": "long",
    "timestamp-micros": "long",
    "timestamp-nanos": "long",
    "local-timestamp-millis": "long",
    "local-timestamp-micros": "long",
    "local-timestamp-nanos": "long",
    "uuid": "string",
}
_SIZES: Final = {"uuid": 16, "duration": 12}


def logical_of(node: Type) -> Logical | None:
    """The logical type, or none: one that is unknown or does not fit is passed over, as the specification asks."""
    if not isinstance(node, Primitive | Fixed):
        return None
    name = node.properties.get("logicalType")
    if not isinstance(name, str):
        return None
    if name == "decimal":
        return _decimal(node)
    if isinstance(node, Fixed):
        fits = _SIZES.get(name) == node.size
    else:
        fits = _UNDERLYING.get(name) == node.kind
    return Logical(name) if fits else None


def _decimal(node: Primitive | Fixed) -> Logical | None:
    precision, scale = node.properties.get("precision"), node.properties.get("scale", 0)
    if not _is_count(precision) or not _is_count(scale):
        return None
    assert isinstance(precision, int)
    assert isinstance(scale, int)
    if isinstance(node, Fixed):
        # As many digits as fit: the greatest number of so many bytes, less one of its digits.
        room = len(str(2 ** (8 * min(node.size, 1024) - 1) - 1)) - 1 if node.size else 0
    else:
        room = precision if node.kind == "bytes" else 0
    return Logical("decimal", precision, scale) if 0 < precision <= room and scale <= precision else None


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def branch_name(node: Type) -> str:
    """What a union may have only one of: a full name, or the name of an unnamed type."""
    if isinstance(node, Primitive):
        return node.kind
    return node.name if isinstance(node, Record | Enum | Fixed) else type(node).__name__.lower()


def spelled(node: Type) -> str:
    """How a type is called in a message: the full name of a named one."""
    if isinstance(node, Primitive):
        logical = logical_of(node)
        return f"{node.kind} ({logical.name})" if logical else node.kind
    if isinstance(node, Named):
        return f"{node.word if isinstance(node, Record) else type(node).__name__.lower()} {node.name}"
    return type(node).__name__.lower()


def parts_of(root: Type) -> list[Type]:
    """A type and all types within it, each once."""
    found: dict[int, Type] = {}
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) not in found:
            found[id(node)] = node
            waiting += inside(node)
    return list(found.values())


def inside(node: Type) -> list[Type]:
    """The types that a type directly holds."""
    if isinstance(node, Record):
        return [field.type for field in node.fields]
    if isinstance(node, Union):
        return list(node.branches)
    if isinstance(node, Array):
        return [node.items]
    return [node.values] if isinstance(node, Map) else []
