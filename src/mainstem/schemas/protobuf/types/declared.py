"""The fields of a type as they are declared: annotations with what is said in them, and defaults."""

import dataclasses
import typing
from collections.abc import Callable

import msgspec
from msgspec import NODEFAULT, Struct

from mainstem.errors import DefinitionError
from mainstem.events import FieldNumber, unresolved_annotation


class Declared(Struct, frozen=True):
    """A field: its attribute, its name on the wire, its annotation with all marks, and what makes its default."""

    attribute: str
    name: str
    hint: object
    default: Callable[[], object] | None


def declared_in(kind: type[object], where: str) -> list[Declared]:
    """The fields of a struct, dataclass or pydantic model. Raises ``DefinitionError`` for any other type."""
    try:
        hints = typing.get_type_hints(kind, include_extras=True)
    except NameError as error:
        raise unresolved_annotation(kind, error) from error
    if issubclass(kind, Struct):
        return [
            Declared(each.name, each.encode_name, hints[each.name], _default(each.default, each.default_factory))
            for each in msgspec.structs.fields(kind)
        ]
    models: object = getattr(kind, "__pydantic_fields__", None)
    if isinstance(models, dict):
        return [Declared(name, name, hints[name], _model_default(each)) for name, each in models.items()]
    if dataclasses.is_dataclass(kind):
        return [
            Declared(each.name, each.name, hints[each.name], _default(each.default, each.default_factory))
            for each in dataclasses.fields(kind)
            if each.init
        ]
    raise DefinitionError(
        f"{kind.__name__} has no declared fields",
        where=where,
        why="a message of Protobuf is made of fields with numbers",
        remedy="declare it as a msgspec struct, a dataclass or a pydantic model",
    )


def _default(value: object, factory: object) -> Callable[[], object] | None:
    absent: tuple[object, ...] = (NODEFAULT, dataclasses.MISSING)
    if not any(value is each for each in absent):
        return lambda: value
    return factory if callable(factory) and not any(factory is each for each in absent) else None


def _model_default(field: object) -> Callable[[], object] | None:
    required, get = getattr(field, "is_required", None), getattr(field, "get_default", None)
    assert callable(required)
    assert callable(get)
    return None if required() else lambda: get(call_default_factory=True, validated_data={})


def unwrapped(hint: object) -> tuple[object, int | None]:
    """The type behind aliases and annotations, and the number that is stated on the way."""
    number: int | None = None
    while True:
        if typing.get_origin(hint) is typing.Annotated:
            for mark in getattr(hint, "__metadata__", ()):
                number = mark.number if isinstance(mark, FieldNumber) else number
            hint = getattr(hint, "__origin__", object)
        elif not isinstance(hint, type) and hasattr(hint, "__supertype__"):
            hint = hint.__supertype__
        elif not isinstance(hint, type) and hasattr(hint, "__value__"):
            hint = hint.__value__
        else:
            return hint, number
