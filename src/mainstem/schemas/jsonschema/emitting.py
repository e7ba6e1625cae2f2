"""The JSON Schema of an event type: what its decoder reads, said for everybody."""

import inspect
import json
from collections.abc import Mapping
from enum import Enum
from typing import Final, TypeAlias, cast

import msgspec

from mainstem.errors import DefinitionError
from mainstem.events import Declaration
from mainstem.schemas.annotations import FALLBACK, growing_enums, personal_tags
from mainstem.schemas.documents import Schema
from mainstem.schemas.models import is_model
from mainstem.schemas.shape import parts_of

Document: TypeAlias = dict[str, object]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_NOTHING: Final = "$comment"
_FIRST: Final = ("$schema", "title", "description", "type")
_LAST: Final = ("$defs",)
_BY_NAME: Final = ("properties", "patternProperties", "dependentSchemas")
_DATA: Final = ("default", "const", "enum", "examples", "required", "mapping")


def schema_of(declaration: Declaration) -> Schema:
    """The schema of a declared type, draft 2020-12; the same text for the same type.

    ``title`` is the wire name. The root stands at the top, types within it under ``$defs``. Fields are listed in their
    order, and fields that are not listed are allowed where the decoder passes them over. A description is a docstring,
    constraints are those of ``Annotated[..., msgspec.Meta(...)]``, or of a pydantic field. What is marked ``Personal``
    stands in the tags of the metadata, by the path of its field. Raises ``DefinitionError`` for a type that has no form
    in JSON.
    """
    kind = declaration.type
    made = _of_model(kind, declaration.label) if is_model(kind) else _of_plain(declaration)
    document = _inlined(made)
    document["$schema"], document["title"] = DIALECT, declaration.wire_name
    enums = {each.__name__: member for each, member in growing_enums(kind).items()}
    return Schema(
        text=json.dumps(_ordered(document, enums), ensure_ascii=False, separators=(",", ":")),
        format="JSON",
        metadata=personal_tags(kind),
    )


def _of_plain(declaration: Declaration) -> Document:
    parts_of(declaration.type, "JSON", declaration.label)
    return msgspec.json.schema(declaration.type, schema_hook=_anything)


def _anything(_: type) -> Document:
    """The schema of ``object``, of which whatever comes is one; no other type without a form gets here.

    It must not be empty here, and says nothing in the end.
    """
    return {_NOTHING: ""}


def _of_model(kind: type[object], where: str) -> Document:
    from pydantic import TypeAdapter  # noqa: PLC0415 - an extra
    from pydantic.errors import PydanticUserError  # noqa: PLC0415 - an extra

    try:
        return TypeAdapter(kind).json_schema(by_alias=True, mode="validation")
    except PydanticUserError as error:
        raise DefinitionError(
            f"{kind.__name__} has no JSON Schema: {str(error).splitlines()[0]}",
            where=where,
            why="pydantic cannot say what it accepts",
            remedy="use types that have a form in JSON, or give the field a schema with pydantic.WithJsonSchema",
        ) from error


def _inlined(made: Document) -> Document:
    """The same with the root at the top; where it holds itself, it is referred to as ``#``."""
    reference = made.pop("$ref", None)
    definitions = made.pop("$defs", {})
    assert isinstance(definitions, dict)
    document = dict(made)
    if isinstance(reference, str):
        document |= definitions.pop(reference.removeprefix("#/$defs/"))
        document = cast("Document", _referring(document, reference))
        definitions = cast("Document", _referring(definitions, reference))
    if definitions:
        document["$defs"] = definitions
    return document


def _referring(node: object, root: str) -> object:
    if isinstance(node, Mapping):
        return {name: "#" if name == "$ref" and each == root else _referring(each, root) for name, each in node.items()}
    return [_referring(each, root) for each in node] if isinstance(node, list) else node


def _ordered(schema: Document, enums: Mapping[str, Enum]) -> Document:
    """A schema with its keywords in an order that does not depend on who has made it, and its enums marked."""
    marked = dict(schema)
    member = enums.get(str(schema.get("title")))
    if member is not None and ("enum" in schema or "const" in schema):
        marked[FALLBACK] = member.value
    names = sorted((name for name in marked if name != _NOTHING), key=_rank)
    return {name: _keyword(name, marked[name], enums) for name in names}


def _rank(name: str) -> tuple[int, int, str]:
    if name in _FIRST:
        return 0, _FIRST.index(name), ""
    return (2, 0, name) if name in _LAST else (1, 0, name)


def _keyword(name: str, value: object, enums: Mapping[str, Enum]) -> object:
    if name in _DATA:
        return value
    if name == "description" and isinstance(value, str):
        return inspect.cleandoc(value)
    if name == "$defs" and isinstance(value, dict):
        return {each: _inside(value[each], enums) for each in sorted(value)}
    if name in _BY_NAME and isinstance(value, dict):
        return {each: _inside(_untitled(each, inner), enums) for each, inner in value.items()}
    return _inside(value, enums)


def _inside(value: object, enums: Mapping[str, Enum]) -> object:
    if isinstance(value, dict):
        return _ordered(value, enums)
    return [_inside(each, enums) for each in value] if isinstance(value, list) else value


def _untitled(name: str, schema: object) -> object:
    """A field without the title that pydantic makes of its name: it says nothing, and changes with the library."""
    if isinstance(schema, dict) and schema.get("title") == name.replace("_", " ").title():
        return {word: each for word, each in schema.items() if word != "title"}
    return schema
