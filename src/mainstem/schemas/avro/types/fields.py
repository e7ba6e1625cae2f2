"""The fields of a type, whatever it is declared with: their names on the wire, annotations and defaults."""

import dataclasses
import typing
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from mainstem.errors import DefinitionError
from mainstem.events import unresolved_annotation

_CONSTANT: Final = (list, dict, set, frozenset, tuple)


class TypeField(NamedTuple):
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
        or _models(kind) is not None
        or typing.is_typeddict(kind)
    )


def fields_of(kind: type[object], where: str) -> list[TypeField]:
    """The fields of a struct, dataclass, typed dict or pydantic model, in order.

    A default that is made anew each time is none, unless it is an empty container. Raises ``DefinitionError`` for an
    annotation that cannot be resolved, and for fields without names.
    """
    try:
        hints = typing.get_type_hints(kind, include_extras=True)
    except NameError as error:
        raise unresolved_annotation(kind, error) from error
    if issubclass(kind, msgspec.Struct):
        if kind.__struct_config__.array_like:
            raise DefinitionError(
                f"{kind.__name__} is array_like, and has no form in Avro",
                where=where,
                why="its fields have no names in its bytes",
                remedy="leave array_like out: a record in Avro has no names in its bytes either",
            )
        found = msgspec.structs.fields(kind)
        return [
            TypeField(each.encode_name, hints[each.name], _default(each.default, each.default_factory))
            for each in found
        ]
    models = _models(kind)
    if models is not None:
        return [_model_field(name, field, hints[name]) for name, field in models.items()]
    if dataclasses.is_dataclass(kind):
        plain = dataclasses.fields(kind)
        return [TypeField(each.name, hints[each.name], _default(each.default, each.default_factory)) for each in plain]
    return _keys(kind, hints, where)


def tag_of(kind: type[object]) -> tuple[str, str | int] | None:
    """The tag by which a struct is told from others in JSON, as its field and value."""
    if not issubclass(kind, msgspec.Struct) or kind.__struct_config__.tag is None:
        return None
    config = kind.__struct_config__
    assert config.tag_field is not None
    assert config.tag is not None
    return config.tag_field, config.tag


def _models(kind: type[object]) -> dict[str, object] | None:
    # A model says so itself; nobody need import pydantic to ask.
    found: object = getattr(kind, "__pydantic_fields__", None)
    return {str(name): each for name, each in found.items()} if isinstance(found, dict) else None


def _model_field(name: str, field: object, hint: object) -> TypeField:
    alias = getattr(field, "serialization_alias", None)
    default = getattr(field, "default", UNSET)
    if type(default).__name__ == "PydanticUndefinedType":
        default = dataclasses.MISSING
    marks = tuple(getattr(field, "metadata", ()))
    description = getattr(field, "description", None)
    if isinstance(description, str):
        marks = (*marks, msgspec.Meta(description=description))
    factory = getattr(field, "default_factory", None)
    return TypeField(alias if isinstance(alias, str) else name, hint, _default(default, factory), marks)


def _default(value: object, factory: Callable[[], object] | object) -> object | UnsetType:
    if value not in (msgspec.NODEFAULT, dataclasses.MISSING):
        return value
    return factory() if isinstance(factory, type) and factory in _CONSTANT else UNSET


def _keys(kind: type[object], hints: dict[str, object], where: str) -> list[TypeField]:
    optional: object = getattr(kind, "__optional_keys__", frozenset())
    if optional:
        raise DefinitionError(
            f"{kind.__name__} has keys that may be missing, and a field in Avro is always there",
            where=where,
            remedy="make it a total TypedDict, or a struct with defaults",
        )
    return [TypeField(name, hint, UNSET) for name, hint in hints.items()]
