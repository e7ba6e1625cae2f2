"""Instances of the schemas that are emitted here, and of no others."""

import math
from collections.abc import Mapping
from datetime import UTC
from typing import Any, cast

from hypothesis import strategies as st

Strategy = st.SearchStrategy[Any]

FORMATS: Mapping[str, Strategy] = {
    "uuid": st.uuids().map(str),
    "date-time": st.datetimes(timezones=st.just(UTC)).map(lambda each: each.isoformat()),
    "decimal": st.decimals(allow_nan=False, allow_infinity=False, places=2).map(str),
}
_TEXTS = st.text(alphabet=st.characters(codec="utf-8"), max_size=12)


def instances(document: Mapping[str, Any], depth: int = 3) -> Strategy:
    """A strategy for instances; ``depth`` is how deep a type may stand in itself."""
    return _of(document, document, depth)


def _of(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Strategy:
    if "$ref" in schema:
        return _of(_referred(schema["$ref"], root), root, depth - 1)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "const" in schema:
        return st.just(schema["const"])
    if "anyOf" in schema:
        choices = [each for each in schema["anyOf"] if depth > 0 or each == {"type": "null"}]
        return st.one_of(*(_of(each, root, depth) for each in choices or schema["anyOf"]))
    return cast("Strategy", _TYPES[schema["type"]](schema, root, depth))


def _referred(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = root
    for name in reference.removeprefix("#").split("/")[1:]:
        found = found[name]
    return cast("Mapping[str, Any]", found)


def _object(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Strategy:
    if "properties" not in schema:
        return st.dictionaries(_TEXTS, _of(schema["additionalProperties"], root, depth), max_size=2)
    properties, required = schema["properties"], schema.get("required", [])
    optional = {name: each for name, each in properties.items() if name not in required}
    return st.fixed_dictionaries(
        {name: _of(properties[name], root, depth) for name in required},
        optional={name: _of(each, root, depth) for name, each in optional.items()} if depth > 0 else {},
    )


def _array(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Strategy:
    most = 3 if depth > 0 else 0
    return st.lists(_of(schema["items"], root, depth), max_size=most) if most else st.just([])


def _integer(schema: Mapping[str, Any], *_: object) -> Strategy:
    low = schema.get("minimum", schema.get("exclusiveMinimum", -(2**53) - 1) + ("exclusiveMinimum" in schema))
    return st.integers(low, schema.get("maximum", 2**53))


def _string(schema: Mapping[str, Any], *_: object) -> Strategy:
    if "format" in schema:
        return FORMATS[schema["format"]]
    if "pattern" in schema:
        return st.from_regex(schema["pattern"]).map(lambda text: text[: schema.get("maxLength", math.inf)])
    return st.text(
        alphabet=st.characters(codec="utf-8"),
        min_size=schema.get("minLength", 0),
        max_size=schema.get("maxLength", 12),
    )


_TYPES: Mapping[str, Any] = {
    "object": _object,
    "array": _array,
    "integer": _integer,
    "string": _string,
    "boolean": lambda *_: st.booleans(),
    "null": lambda *_: st.none(),
    "number": lambda *_: st.floats(allow_nan=False, allow_infinity=False),
}
