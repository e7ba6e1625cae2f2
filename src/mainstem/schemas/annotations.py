"""What a type says of itself, however it is declared: fields, marks on them, enums that may grow, its own words."""

import dataclasses
import enum
import inspect
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import FieldInfo

from mainstem.events import Personal, fallback_of, unresolved_annotation, wire_names
from mainstem.schemas.documents import Metadata

PERSONAL: Final = "PERSONAL"
FALLBACK: Final = "x-mainstem-fallback"
"""Beside the ``enum`` of a JSON Schema: the member that an unknown value is read as."""
_CONTAINERS: Final = (list, dict, set, frozenset, tuple)
_ABSENT: Final = (msgspec.NODEFAULT, dataclasses.MISSING)


class TypeField(NamedTuple):
    """A field: its attribute, its name on the wire, its annotation, and what makes its default, if it has one.

    ``constant`` says whether that is the same each time. ``marks`` stand beside the annotation, as a pydantic model has
    them; ``init``: whether who makes an object gives it.
    """

    attribute: str
    name: str
    hint: object
    default: Callable[[], object] | None
    constant: bool = True
    marks: tuple[object, ...] = ()
    init: bool = True


class Annotation(NamedTuple):
    """One annotation within a type: the way to it (``customer.email``, ``lines[].note``), its type, and its marks."""

    path: str
    kind: object
    marks: tuple[object, ...]


def annotations_of(kind: type[object]) -> Iterator[Annotation]:
    """Every annotation of the fields of a type and of the types within it; a type that holds itself is entered once.

    Names are those on the wire. Raises ``DefinitionError`` for an annotation that cannot be resolved.
    """
    return _within(kind, "", frozenset())


def fields_of(kind: type[object]) -> list[TypeField]:
    """The fields of a struct, dataclass or pydantic model, in order; none for a type without declared fields.

    Raises ``DefinitionError`` for an annotation that cannot be resolved.
    """
    hints, names = hints_of(kind), wire_names(kind) or {}
    # A dataclass of pydantic's is also one of the standard library's, which does not know its defaults.
    models = getattr(kind, "__pydantic_fields__", None)
    if models is not None:
        return [_of_model(name, names[name], hints[name], each) for name, each in models.items()]
    declared: Sequence[FieldInfo | dataclasses.Field[object]] = ()
    if issubclass(kind, msgspec.Struct):
        declared = msgspec.structs.fields(kind)
    elif dataclasses.is_dataclass(kind):
        declared = dataclasses.fields(kind)
    return [_of_plain(each, names[each.name], hints[each.name]) for each in declared]


def _of_plain(field: FieldInfo | dataclasses.Field[object], name: str, hint: object) -> TypeField:
    value, factory = field.default, field.default_factory
    found = TypeField(field.name, name, hint, None, init=getattr(field, "init", True))
    if not any(value is each for each in _ABSENT):
        return found._replace(default=lambda: value)
    if callable(factory) and not any(factory is each for each in _ABSENT):
        return found._replace(default=factory, constant=factory in _CONTAINERS)
    return found


def _of_model(attribute: str, name: str, hint: object, field: object) -> TypeField:
    # Asked by name: nobody need import pydantic to look at what a model says of itself.
    required, default = getattr(field, "is_required", None), getattr(field, "get_default", None)
    assert callable(required)
    assert callable(default)
    marks = tuple(getattr(field, "metadata", ()))
    description = getattr(field, "description", None)
    if isinstance(description, str):
        marks = (*marks, msgspec.Meta(description=description))
    found = TypeField(attribute, name, hint, None, marks=marks)
    if required():
        return found
    factory = getattr(field, "default_factory", None)
    constant = factory is None or factory in _CONTAINERS
    return found._replace(default=lambda: default(call_default_factory=True, validated_data={}), constant=constant)


def own_words(kind: type[object]) -> str:
    """What the author of a class says about it: not what a library writes for it, and not what it has from another."""
    said: object = vars(kind).get("__doc__")
    return "" if not isinstance(said, str) or said.startswith(f"{kind.__name__}(") else inspect.cleandoc(said)


def personal_tags(kind: type[object]) -> Metadata | None:
    """The metadata of a schema: the tag of each field that is marked ``Personal``, also of those inside others."""
    paths = dict.fromkeys(each.path for each in annotations_of(kind) if _is_personal(each.marks))
    return {"tags": {path: [PERSONAL] for path in paths}} if paths else None


def growing_enums(kind: type[object]) -> dict[type[enum.Enum], enum.Enum]:
    """The enums within a type that have a fallback, with it."""
    found: dict[type[enum.Enum], enum.Enum] = {}
    for each in annotations_of(kind):
        if isinstance(each.kind, type) and issubclass(each.kind, enum.Enum):
            member = fallback_of(each.kind)
            if member is not None:
                found[each.kind] = member
    return found


def _is_personal(marks: tuple[object, ...]) -> bool:
    return any(mark is Personal or isinstance(mark, Personal) for mark in marks)


def _within(kind: type[object], path: str, entered: frozenset[type]) -> Iterator[Annotation]:
    if kind in entered:
        return
    hints, names = hints_of(kind), wire_names(kind)
    for name, written in ({name: name for name in hints} if names is None else names).items():
        yield from _walk(hints[name], f"{path}.{written}".lstrip("."), entered | {kind})


def hints_of(kind: type[object]) -> dict[str, object]:
    """The annotations of a type, by attribute. Raises ``DefinitionError`` for one that cannot be resolved."""
    try:
        return typing.get_type_hints(kind, include_extras=True)
    except NameError as error:
        raise unresolved_annotation(kind, error) from error


def _walk(hint: object, path: str, entered: frozenset[type]) -> Iterator[Annotation]:
    hint, marks = unwrapped(hint)
    yield Annotation(path, hint, marks)
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        for each in inner:
            yield from _walk(each, path, entered)
    elif isinstance(origin, type):
        if issubclass(origin, dict) or (len(inner) == 2 and "Mapping" in origin.__name__):
            yield from _walk(inner[1], f"{path}{{}}", entered)
        else:
            for each in inner:
                yield from _walk(each, f"{path}[]", entered)
    elif isinstance(hint, type) and _has_fields(hint):
        yield from _within(hint, path, entered)


def unwrapped(hint: object) -> tuple[object, tuple[object, ...]]:
    """The type behind aliases and annotations, and what is said about it on the way there."""
    marks: tuple[object, ...] = ()
    while True:
        if typing.get_origin(hint) is typing.Annotated:
            marks += tuple(getattr(hint, "__metadata__", ()))
            hint = getattr(hint, "__origin__", object)
        elif typing.get_origin(hint) in (typing.Required, typing.NotRequired, typing.Final, typing.ClassVar):
            hint = typing.get_args(hint)[0]
        elif not isinstance(hint, type) and hasattr(hint, "__supertype__"):
            hint = hint.__supertype__
        elif not isinstance(hint, type) and hasattr(hint, "__value__"):
            hint = hint.__value__
        else:
            return type(None) if hint is None else hint, marks


def _has_fields(kind: type) -> bool:
    return wire_names(kind) is not None or typing.is_typeddict(kind) or hasattr(kind, "_fields")
