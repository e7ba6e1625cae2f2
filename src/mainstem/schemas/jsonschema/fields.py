"""The fields that a JSON Schema names, each with its place in the document."""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from mainstem.schemas.compatibility import FIELDS_MOST, Fields, inner
from mainstem.schemas.documents import Schema

_SAME: Final = ("anyOf", "oneOf", "allOf")
_STEPS_MOST: Final = 10 * FIELDS_MOST
"""Alternatives that refer to alternatives have no fields, and double at each step."""


def fields_of(schema: Schema) -> Fields:
    """The fields by JSON pointer. What is described otherwise than by properties and items has none."""
    document = msgspec.json.decode(schema.text)
    found: dict[str, dict[str, None]] = {}
    waiting: list[tuple[str, object, str, frozenset[str]]] = [("", document, "", frozenset())]
    count = steps = 0
    while waiting and count < FIELDS_MOST and steps < _STEPS_MOST:
        steps += 1
        pointer, node, field, within = waiting.pop()
        if not isinstance(node, Mapping):
            continue
        reference = node.get("$ref")
        if isinstance(reference, str) and reference.startswith("#") and reference not in within:
            target = reference[1:]
            waiting.append((target, _at(document, target), field, within | {reference}))
        for step, part, name in _parts(node):
            if name is not None:
                named = inner(field, name) if step.startswith("/properties/") else field + name
                waiting.append((pointer + step, part, named, within))
                if step.startswith("/properties/"):
                    found.setdefault(pointer + step, {})[named] = None
                    count += 1
            else:
                waiting.append((pointer + step, part, field, within))
    return {place: tuple(sorted(fields)) for place, fields in found.items()}


def _parts(node: Mapping[str, object]) -> Iterator[tuple[str, object, str | None]]:
    """What a schema holds: the way there, the schema, and what it adds to the name of the field."""
    properties = node.get("properties")
    # What waits longest is looked at last: in the order of the document, from behind.
    for word in _SAME:
        branches = node.get(word)
        for index, each in enumerate(branches if isinstance(branches, list) else ()):
            yield f"/{word}/{index}", each, None
    for word, ending in (("items", "[]"), ("additionalProperties", "{}")):
        if isinstance(node.get(word), Mapping):
            yield f"/{word}", node[word], ending
    prefix = node.get("prefixItems")
    for index, each in enumerate(prefix if isinstance(prefix, list) else ()):
        yield f"/prefixItems/{index}", each, "[]"
    if isinstance(properties, Mapping):
        for name, each in properties.items():
            yield f"/properties/{_escaped(name)}", each, name


def _at(document: object, pointer: str) -> object:
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        document = document.get(name) if isinstance(document, Mapping) else None
    return document


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
