"""A stated type as rules look at it: its schema in JSON, whatever its format, and every field in it."""

import json
from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias

from msgspec.structs import replace

from mainstem.events import Declaration
from mainstem.schemas import schema_of
from mainstem.schemas.documents import Schema

Json: TypeAlias = Mapping[str, object]


class Field(NamedTuple):
    """A field: the way to it (``customer.email``, ``lines[].note``), its name, and what is said about it."""

    path: str
    name: str
    schema: Json
    required: bool

    @property
    def kinds(self) -> list[Json]:
        """What it may hold, ``null`` left out."""
        return [each for each in _alternatives(self.schema) if each.get("type") != "null"]

    @property
    def nullable(self) -> bool:
        """Whether it may hold nothing."""
        return len(self.kinds) < len(_alternatives(self.schema))


class Type(NamedTuple):
    """A type that a service publishes."""

    declaration: Declaration
    schema: Schema
    document: Json
    fields: tuple[Field, ...]
    personal: tuple[str, ...]
    """The ways to the fields that are marked so."""

    @classmethod
    def of(cls, declaration: Declaration) -> "Type":
        """Look at a declared type. Raises ``DefinitionError`` for one that has no form in JSON."""
        schema = schema_of(replace(declaration, format="json", schema_id=None))
        document: Json = json.loads(schema.text)
        tags = (schema.metadata or {}).get("tags")
        return cls(
            declaration,
            schema,
            document,
            tuple(_fields(document, "", document, ())),
            tuple(tags) if isinstance(tags, dict) else (),
        )


def _fields(schema: Json, path: str, root: Json, entered: tuple[object, ...]) -> Iterator[Field]:
    required = schema.get("required")
    names = schema.get("properties")
    for name, written in names.items() if isinstance(names, dict) else ():
        at = f"{path}.{name}".lstrip(".")
        field = Field(at, name, _whole(written, root), isinstance(required, list) and name in required)
        yield field
        for each in field.kinds:
            yield from _below(each, at, root, entered)


def _below(schema: Json, path: str, root: Json, entered: tuple[object, ...]) -> Iterator[Field]:
    for word, suffix in (("items", "[]"), ("additionalProperties", "{}")):
        inner = schema.get(word)
        if isinstance(inner, dict):
            for each in _alternatives(_resolved(inner, root)):
                yield from _below(_resolved(each, root), path + suffix, root, entered)
    title = schema.get("title")
    if "properties" in schema and title not in entered:
        yield from _fields(schema, path, root, (*entered, title))


def _whole(written: object, root: Json) -> Json:
    """What is said about a field, with what it refers to itself, in its alternatives, and in the items of a list."""
    schema = _resolved(written, root)
    if "anyOf" in schema:
        return {**schema, "anyOf": [_whole(each, root) for each in _list(schema["anyOf"])]}
    return {**schema, "items": _resolved(schema["items"], root)} if "items" in schema else schema


def _alternatives(schema: Json) -> list[Json]:
    listed: list[Json] = [each for each in _list(schema.get("anyOf")) if isinstance(each, dict)]
    return listed or [schema]


def _resolved(schema: object, root: Json) -> dict[str, object]:
    found = schema
    reference = schema.get("$ref") if isinstance(schema, dict) else None
    if isinstance(reference, str):
        found = root
        for step in reference.lstrip("#/").split("/"):
            found = found.get(step) if isinstance(found, dict) and step else found
    return found if isinstance(found, dict) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
