"""The fields of a type as those of a record: their names on the wire, annotations and defaults."""

import dataclasses
import typing
from typing import NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from mainstem.errors import DefinitionError
from mainstem.schemas.annotations import TypeField, fields_of, hints_of
from mainstem.schemas.models import is_model


class RecordField(NamedTuple):
    """A field: ``name`` is that on the wire, ``marks`` is what stands beside the type that it is annotated with."""

    name: str
    hint: object
    default: object | UnsetType
    marks: tuple[object, ...] = ()


def has_fields(kind: object) -> bool:
    """Whether a type becomes a record."""
    return isinstance(kind, type) and (
        issubclass(kind, msgspec.Struct)
        or dataclasses.is_dataclass(kind)
        or is_model(kind)
        or typing.is_typeddict(kind)
    )


def fields_in(kind: type[object], where: str) -> list[RecordField]:
    """The fields of a struct, dataclass, typed dict or pydantic model, in order.

    A default that is made anew each time is none, unless it is an empty container. Raises ``DefinitionError`` for an
    annotation that cannot be resolved, and for fields without names.
    """
    if typing.is_typeddict(kind):
        return _keys(kind, where)
    if issubclass(kind, msgspec.Struct) and kind.__struct_config__.array_like:
        raise DefinitionError(
            f"{kind.__name__} is array_like, and has no form in Avro",
            where=where,
            why="its fields have no names in its bytes",
            remedy="leave array_like out: a record in Avro has no names in its bytes either",
        )
    return [RecordField(each.name, each.hint, _constant(each), each.marks) for each in fields_of(kind)]


def tag_of(kind: type[object]) -> tuple[str, str | int] | None:
    """The tag by which a struct is told from others in JSON, as its field and value."""
    if not issubclass(kind, msgspec.Struct) or kind.__struct_config__.tag is None:
        return None
    config = kind.__struct_config__
    assert config.tag_field is not None
    assert config.tag is not None
    return config.tag_field, config.tag


def _constant(field: TypeField) -> object | UnsetType:
    return field.default() if field.default is not None and field.constant else UNSET


def _keys(kind: type[object], where: str) -> list[RecordField]:
    optional: object = getattr(kind, "__optional_keys__", frozenset())
    if optional:
        raise DefinitionError(
            f"{kind.__name__} has keys that may be missing, and a field in Avro is always there",
            where=where,
            remedy="make it a total TypedDict, or a struct with defaults",
        )
    return [RecordField(name, hint, UNSET) for name, hint in hints_of(kind).items()]
