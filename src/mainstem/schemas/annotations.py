"""What the annotations of a type say beside the types: marks on fields, and which enums may grow."""

import enum
import types
import typing
from collections.abc import Iterator
from typing import Final, NamedTuple

from mainstem.events import Personal, fallback_of, unresolved_annotation, wire_names

PERSONAL: Final = "PERSONAL"
FALLBACK: Final = "x-mainstem-fallback"
"""Beside the ``enum`` of a JSON Schema: the member that an unknown value is read as."""


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


def personal_fields(kind: type[object]) -> tuple[str, ...]:
    """The fields that are marked ``Personal``, also those inside others."""
    return tuple(dict.fromkeys(each.path for each in annotations_of(kind) if _is_personal(each.marks)))


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
    try:
        hints = typing.get_type_hints(kind, include_extras=True)
    except NameError as error:
        raise unresolved_annotation(kind, error) from error
    names = wire_names(kind)
    for name, written in ({name: name for name in hints} if names is None else names).items():
        yield from _walk(hints[name], f"{path}.{written}".lstrip("."), entered | {kind})


def _walk(hint: object, path: str, entered: frozenset[type]) -> Iterator[Annotation]:
    hint, marks = _unwrapped(hint)
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


def _unwrapped(hint: object) -> tuple[object, tuple[object, ...]]:
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
            return hint, marks


def _has_fields(kind: type) -> bool:
    return wire_names(kind) is not None or typing.is_typeddict(kind) or hasattr(kind, "_fields")
