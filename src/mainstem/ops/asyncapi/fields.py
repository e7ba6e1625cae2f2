"""The fields of a payload in a few words each, for somebody who reads and does not validate."""

import json
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from mainstem.ops.asyncapi.payloads import Json

DEEPEST: Final = 6
"""What a type that holds itself is told of so deep."""

_PREFIX: Final = "#/components/schemas/"
_BOUNDS: Final = (
    ("minimum", "at least {}"),
    ("exclusiveMinimum", "more than {}"),
    ("maximum", "at most {}"),
    ("exclusiveMaximum", "less than {}"),
    ("multipleOf", "a multiple of {}"),
    ("minLength", "at least {} characters"),
    ("maxLength", "at most {} characters"),
    ("pattern", "as {}"),
    ("minItems", "at least {} items"),
    ("maxItems", "at most {} items"),
)


class Field(NamedTuple):
    """A field: where it stands, what it holds, and what stands for it where it is left out."""

    path: str
    type: str
    required: bool
    otherwise: str
    about: str


def fields_of(name: str, schemas: Json) -> Iterator[Field]:
    """The fields of a schema and of what is in them, in the order in which they are declared."""
    yield from _inside(_schema(schemas.get(name)), "", schemas, 0)


def _schema(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _inside(schema: Json, path: str, schemas: Json, depth: int) -> Iterator[Field]:
    required = schema.get("required", [])
    for name, inner in _schema(schema.get("properties")).items():
        it = _schema(inner)
        default = f"default: {json.dumps(it['default'])}" if "default" in it else "optional"
        must = isinstance(required, list) and name in required
        yield Field(f"{path}{name}", _type(it, schemas), must, default, _about(it))
        if depth < DEEPEST:
            yield from _below(it, f"{path}{name}", schemas, depth + 1)


def _below(schema: Json, path: str, schemas: Json, depth: int) -> Iterator[Field]:
    for each, suffix in _parts(schema):
        yield from _inside(_resolved(each, schemas), f"{path}{suffix}.", schemas, depth)
        for word, inner in (("items", "[]"), ("additionalProperties", "{}")):
            if word in each:
                yield from _below(_schema(each[word]), f"{path}{suffix}{inner}", schemas, depth)


def _parts(schema: Json) -> Iterator[tuple[Json, str]]:
    yield schema, ""
    for word in ("anyOf", "oneOf", "allOf"):
        alternatives = schema.get(word)
        if isinstance(alternatives, list):
            yield from ((_schema(each), "") for each in alternatives)


def _resolved(schema: Json, schemas: Json) -> Json:
    reference = schema.get("$ref")
    return _schema(schemas.get(str(reference).removeprefix(_PREFIX))) if reference else schema


def _type(schema: Json, schemas: Json) -> str:
    if "$ref" in schema:
        target = _resolved(schema, schemas)
        title = target.get("title") or str(schema["$ref"]).rpartition(".")[2]
        return _choice(target) or str(title)
    for word in ("anyOf", "oneOf"):
        alternatives = schema.get(word)
        if isinstance(alternatives, list):
            return " or ".join(dict.fromkeys(_type(_schema(each), schemas) for each in alternatives))
    return _choice(schema) or _plain_type(schema, schemas)


def _choice(schema: Mapping[str, object]) -> str:
    if "const" in schema:
        return json.dumps(schema["const"])
    values = schema.get("enum")
    return " or ".join(map(json.dumps, values)) if isinstance(values, list) else ""


def _plain_type(schema: Json, schemas: Json) -> str:
    kind = schema.get("type", "anything")
    if kind == "array":
        items = schema.get("items")
        inside = ", ".join(_type(_schema(each), schemas) for each in items) if isinstance(items, list) else ""
        return f"[{inside}]" if inside else f"list of {_type(_schema(items), schemas)}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"map to {_type(_schema(schema['additionalProperties']), schemas)}"
    spelt = " or ".join(map(str, kind)) if isinstance(kind, list) else str(kind)
    return f"{spelt} ({schema['format']})" if "format" in schema else spelt


def _about(schema: Json) -> str:
    bounds = [words.format(schema[word]) for word, words in _BOUNDS if word in schema]
    return "; ".join([*filter(None, [str(schema.get("description", ""))]), *bounds])
