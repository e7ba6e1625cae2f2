"""The shape of a type: whether it has a form in bytes."""

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple, TypeAlias, get_type_hints

import msgspec
from msgspec import NODEFAULT, UNSET, inspect

from mainstem.errors import DefinitionError
from mainstem.events import unresolved_annotation

Form: TypeAlias = Literal["JSON", "MessagePack", "Avro"]

_NO_JSON_KEY: Final = (
    inspect.BoolType,
    inspect.TupleType,
    inspect.VarTupleType,
    inspect.FrozenSetType,
    inspect.StructType,
    inspect.DataclassType,
    inspect.NamedTupleType,
)

_OR_NONE: Final = "; a field that may be None has the type T | None"


class Part(NamedTuple):
    """A type within a type, and the way to it: ``.lines[].price``."""

    path: str
    shape: inspect.Type


def parts_of(kind: object, form: Form, where: str) -> list[Part]:
    """A type and every type within it, each once. Raises ``DefinitionError`` where one has no form in bytes.

    In JSON also where the default of a field could not be read as its type.
    """
    try:
        shape = inspect.type_info(kind)
    except NameError as error:
        raise unresolved_annotation(kind, error) from error
    except TypeError as error:
        raise DefinitionError(
            f"{spelling(kind)} has no form in {form}: {error}",
            where=where,
            why="from the bytes alone, the alternatives could not be told apart",
            remedy="use one type, or msgspec structs with tag= as alternatives",
        ) from error
    parts = list(_walk(Part("", shape), set()))
    for part in parts:
        _check_form(part, form, f"{where}, {spelling(kind)}{part.path}")
        if form == "JSON":
            _check_defaults(part, f"{where}, {spelling(kind)}{part.path}")
    return parts


def has_set(kind: object) -> bool:
    """Whether there is a set in a type that has a form in bytes."""
    shapes = (part.shape for part in _walk(Part("", inspect.type_info(kind)), set()))
    return any(isinstance(each, inspect.SetType | inspect.FrozenSetType) for each in shapes)


def spelling(kind: object) -> str:
    """How a type is called in an error."""
    return kind.__name__ if isinstance(kind, type) and "[" not in repr(kind) else str(kind)


def _walk(part: Part, seen: set[type]) -> Iterator[Part]:
    shape = part.shape
    if isinstance(shape, inspect.StructType | inspect.DataclassType | inspect.NamedTupleType | inspect.TypedDictType):
        if shape.cls in seen:
            return
        seen.add(shape.cls)
        yield part
        for field in shape.fields:
            yield from _walk(Part(f"{part.path}.{field.name}", field.type), seen)
        return
    yield part
    for suffix, inner in _inside(shape):
        yield from _walk(Part(part.path + suffix, inner), seen)


def _inside(shape: inspect.Type) -> Iterator[tuple[str, inspect.Type]]:
    if isinstance(shape, inspect.CollectionType):
        yield "[]", shape.item_type
    elif isinstance(shape, inspect.TupleType):
        yield from ((f"[{index}]", item) for index, item in enumerate(shape.item_types))
    elif isinstance(shape, inspect.DictType | inspect.FrozenDictType):
        yield "{key}", shape.key_type
        yield "{}", shape.value_type
    elif isinstance(shape, inspect.UnionType):
        yield from (("", item) for item in shape.types)
    elif isinstance(shape, inspect.Metadata):
        yield "", shape.type


def _check_form(part: Part, form: Form, where: str) -> None:
    shape = part.shape
    if isinstance(shape, inspect.CustomType) and shape.cls is not object:
        raise DefinitionError(
            f"{shape.cls.__name__} has no form in {form}",
            where=where,
            why="nobody could write it down and read it again as the same thing",
            remedy="use a plain type, or a dataclass or msgspec struct of plain types",
        )
    if form == "JSON" and part.path.endswith("{key}") and isinstance(shape, _NO_JSON_KEY):
        raise DefinitionError(
            "the keys of this dict have no form in JSON",
            where=where,
            why="the names in a JSON object are texts",
            remedy="use str, int, UUID or another type of one text as key, or a list of pairs",
        )


def _check_defaults(part: Part, where: str) -> None:
    shape = part.shape
    if isinstance(shape, inspect.StructType | inspect.DataclassType):
        hints = get_type_hints(shape.cls, include_extras=True)
        for each in shape.fields:
            if each.default is not NODEFAULT:
                check_default(hints[each.name], each.default, f"{where}.{each.name}")


def check_default(hint: object, default: object, where: str) -> None:
    """Look whether the default of a field can be read as what the field is. Raises ``DefinitionError``."""
    if default is UNSET:
        return
    try:
        msgspec.convert(msgspec.to_builtins(default), hint)
    except msgspec.ValidationError as error:
        raise DefinitionError(
            f"the default of {where.rpartition('.')[2]} is not what its type says: {error}",
            where=where,
            why="an event that is made with it could be read by nobody",
            remedy=f"correct it{_OR_NONE if default is None else ''}",
        ) from error
