"""From a tree of types to plain data, in one order and spelling."""

from collections.abc import Iterator

from msgspec import UNSET

from mainstem.schemas.avro.language.natives import native
from mainstem.schemas.avro.language.reading import Parsed
from mainstem.schemas.avro.language.tree import (
    Array,
    Enum,
    Field,
    Fixed,
    Map,
    Primitive,
    Properties,
    Record,
    Type,
    Union,
    parts_of,
)


def written(schema: Parsed) -> object:
    """The schema in normal form: see :meth:`AvroGrammar.normal`."""
    return _type(schema.root, set(schema.own_names))


def written_out(schema: Parsed) -> object:
    """The same with the types of references written out too: one document, for a codec."""
    return _type(schema.root, set(schema.names))


def give_natives(document: object, schema: Parsed) -> None:
    """Let the defaults of a document be what its readers make of them, and no JSON any more.

    A codec gives a default to whoever reads just as it stands there.
    """
    records = [each for each in parts_of(schema.root) if isinstance(each, Record)]
    fields = {(each.name, field.name): field for each in records for field in each.fields}
    for record in _records(document):
        members = record["fields"]
        assert isinstance(members, list)
        for member in members:
            if "default" in member:
                field = fields[str(record["name"]), member["name"]]
                member["default"] = native(field.default, field.type)


def _records(document: object) -> Iterator[dict[str, object]]:
    """The records of a schema that is plain data, but for its defaults."""
    if isinstance(document, list):
        for each in document:
            yield from _records(each)
    elif isinstance(document, dict):
        if "fields" in document:
            yield document
            yield from _records([each["type"] for each in document["fields"]])
        else:
            yield from _records([document.get("items"), document.get("values")])


def _type(node: Type, undefined: set[str]) -> object:
    """``undefined`` are the names that still have to be defined; types of other documents are never among them."""
    if isinstance(node, Primitive):
        return {"type": node.kind, **_ordered(node.properties)} if node.properties else node.kind
    if isinstance(node, Union):
        return [_type(each, undefined) for each in node.branches]
    if isinstance(node, Array):
        return {"type": "array", "items": _type(node.items, undefined), **_ordered(node.properties)}
    if isinstance(node, Map):
        return {"type": "map", "values": _type(node.values, undefined), **_ordered(node.properties)}
    if node.name not in undefined:
        return node.name
    undefined.discard(node.name)
    return _named(node, undefined)


def _named(node: Record | Enum | Fixed, undefined: set[str]) -> dict[str, object]:
    found: dict[str, object] = {"name": node.name}
    if isinstance(node, Record):
        found |= {"type": node.word, "fields": [_field(each, undefined) for each in node.fields]}
    elif isinstance(node, Enum):
        found |= {"type": "enum", "symbols": list(node.symbols)}
    else:
        found |= {"type": "fixed", "size": node.size}
    further = dict(node.properties)
    if isinstance(node, Enum) and node.default is not None:
        further["default"] = node.default
    return found | _further(further, node.aliases, node.doc)


def _field(field: Field, undefined: set[str]) -> dict[str, object]:
    further = dict(field.properties)
    if field.default is not UNSET:
        further["default"] = field.default
    if field.order != "ascending":
        further["order"] = field.order
    return {"name": field.name, "type": _type(field.type, undefined)} | _further(further, field.aliases, field.doc)


def _further(found: Properties, aliases: tuple[str, ...], doc: str | None) -> Properties:
    if aliases:
        found["aliases"] = list(aliases)
    if doc is not None:
        found["doc"] = doc
    return _ordered(found)


def _ordered(value: Properties) -> Properties:
    """By name, at every depth: nothing else in a property says in which order it was meant."""
    return {name: _sorted(value[name]) for name in sorted(value)}


def _sorted(value: object) -> object:
    if isinstance(value, dict):
        return _ordered(value)
    return [_sorted(each) for each in value] if isinstance(value, list) else value
