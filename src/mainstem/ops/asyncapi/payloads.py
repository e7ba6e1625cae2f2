"""JSON Schema 2020-12 as AsyncAPI takes it: in the words of draft-07, with all definitions in one place."""

from collections.abc import Mapping
from typing import Final, TypeAlias

import msgspec

from mainstem.events import KEY_TYPES, Declaration, key_types
from mainstem.schemas import schema_of
from mainstem.schemas.documents import Schema

Json: TypeAlias = dict[str, object]

AVRO: Final = "application/vnd.apache.avro+json;version=1.9.0"
PROTOBUF: Final = "application/vnd.google.protobuf;version=3"
_WITHIN: Final = "#/$defs/"
_UNKNOWN: Final = frozenset({"$schema", "$id", "$defs"})
_DATA: Final = frozenset({"const", "enum", "default", "examples"})
_BY_NAME: Final = frozenset({"properties", "patternProperties"})
_WORDS: Final = {"prefixItems": "items", "items": "additionalItems"}
_KEYS: Final[Mapping[type[object], Json]] = {
    KEY_TYPES[0]: {"type": "string"},
    KEY_TYPES[1]: {"type": "string", "pattern": "^-?[0-9]+$"},
    KEY_TYPES[2]: {"type": "string", "format": "uuid"},
}


class Payloads:
    """The schemas of a document: each type once, with what it is made of."""

    def __init__(self) -> None:
        self._schemas: dict[str, object] = {}

    def schemas(self) -> Json:
        """All of them, by name."""
        return dict(sorted(self._schemas.items()))

    def reference(self, declaration: Declaration, name: str) -> Json:
        """A reference to the schema of a type, which is taken in under this name."""
        if name not in self._schemas:
            self._take(schema_of(declaration), name)
        return {"$ref": f"#/components/schemas/{name}"}

    def _take(self, schema: Schema, name: str) -> None:
        if schema.format == "AVRO":
            self._schemas[name] = {"schemaFormat": AVRO, "schema": msgspec.json.decode(schema.text)}
        elif schema.format == "PROTOBUF":
            self._schemas[name] = {"schemaFormat": PROTOBUF, "schema": schema.text}
        else:
            own = msgspec.json.decode(schema.text, type=dict[str, object])
            definitions = own.get("$defs", {})
            assert isinstance(definitions, dict), "it is our own"
            names = {each: f"{name}.{each}" for each in definitions}
            self._schemas |= {names[each]: _lowered(inner, names, name) for each, inner in definitions.items()}
            self._schemas[name] = _lowered(own, names, name)


def key_schema(declaration: Declaration) -> Json:
    """The bytes of a record's key, as text: several fields are a compact JSON array."""
    kinds = key_types(declaration.type, declaration.key)
    described = dict(_KEYS[kinds[0]]) if len(kinds) == 1 else {"type": "string", "contentMediaType": "application/json"}
    return {**described, "description": " and ".join(declaration.key)}


def _lowered(schema: object, names: Mapping[str, str], root: str) -> object:
    """The same schema in the words of draft-07; ``root`` is what it calls ``#``."""
    if isinstance(schema, list):
        return [_lowered(each, names, root) for each in schema]
    if not isinstance(schema, dict):
        return schema
    members: Json = dict(schema)
    lowered: Json = {}
    for word, value in members.items():
        if word == "$ref":
            lowered[word] = f"#/components/schemas/{names.get(str(value).removeprefix(_WITHIN), root)}"
        elif word in _DATA:
            lowered[word] = value
        elif word in _BY_NAME and isinstance(value, dict):
            lowered[word] = {name: _lowered(each, names, root) for name, each in value.items()}
        elif word not in _UNKNOWN:
            lowered[_WORDS.get(word, word) if "prefixItems" in members else word] = _lowered(value, names, root)
    return lowered
