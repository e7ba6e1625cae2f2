"""What a declaration asks of the fields of a type: which there are, and which of them can be a key."""

import builtins
import dataclasses
import difflib
import enum
import inspect
import sys
import types
import typing
from uuid import UUID

import msgspec

from mainstem.errors import DefinitionError

KEY_TYPES = (str, int, UUID)


def place_of(kind: type[object]) -> str:
    """Module and name of a type, as errors show it."""
    return f"{kind.__module__}.{kind.__qualname__}"


def nearest(word: str, words: tuple[str, ...]) -> str:
    """A sentence that offers the word most like a misspelt one, or lists them all."""
    matches = difflib.get_close_matches(word, words, n=1)
    if matches:
        return f"did you mean {matches[0]!r}?"
    return f"choose from: {', '.join(words)}" if words else "there is none to choose from"


def field_names(kind: type[object]) -> tuple[str, ...] | None:
    """The fields of a struct, dataclass or pydantic model, in order; ``None`` for a type without declared fields."""
    if issubclass(kind, msgspec.Struct):
        return kind.__struct_fields__
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind))
    # A model says so itself; nobody need import pydantic to ask.
    models: object = getattr(kind, "__pydantic_fields__", None)
    return tuple(models) if isinstance(models, dict) else None


def wire_names(kind: type[object]) -> dict[str, str] | None:
    """The fields of a type, each with its name on the wire; ``None`` for a type without declared fields."""
    names = field_names(kind)
    if names is None:
        return None
    if issubclass(kind, msgspec.Struct):
        return dict(zip(names, kind.__struct_encode_fields__, strict=True))
    models = getattr(kind, "__pydantic_fields__", {})
    aliases = {name: getattr(field, "serialization_alias", None) for name, field in models.items()}
    return {name: aliases.get(name) or name for name in names}


def key_types(kind: type[object], key: tuple[str, ...]) -> tuple[type[object], ...]:
    """One of ``str``, ``int``, ``UUID`` for each key field.

    Raises ``DefinitionError`` for a field that is not there, or whose type cannot be a key.
    """
    fields = field_names(kind)
    if not key:
        return ()
    if fields is None:
        raise DefinitionError(
            f"{kind.__name__} has no declared fields, so no key can be taken from it",
            where=place_of(kind),
            why="a key is one field, or several, of a msgspec struct, a dataclass or a pydantic model",
            remedy="declare the type as one of these, or leave key= out",
        )
    if len(set(key)) != len(key):
        raise DefinitionError(f"key= names a field twice: {key!r}", where=place_of(kind), remedy="name each field once")
    return tuple(_key_type(kind, name, fields) for name in key)


def _key_type(kind: type[object], name: str, fields: tuple[str, ...]) -> type[object]:
    if name not in fields:
        raise DefinitionError(
            f"key= names {name!r}, which is not a field of {kind.__name__}",
            where=place_of(kind),
            why="the key is taken from the event's own fields",
            remedy=nearest(name, fields),
        )
    found = _plain_type(_annotation(kind, name))
    for allowed in KEY_TYPES:
        if isinstance(found, type) and issubclass(found, allowed) and not issubclass(found, bool):
            return allowed
    raise DefinitionError(
        f"key field {name!r} of {kind.__name__} is a {_spelling(found)}, which cannot be a key",
        where=f"{place_of(kind)}.{name}",
        why="a key needs one spelling that every language writes alike: a float or bool has several, "
        "and an absent value would put unrelated events in one lane",
        remedy="choose a field of type str, int or UUID, or several of them",
    )


def _plain_type(annotation: object) -> object:
    """What stands behind an alias, a NewType, or a Literal whose values are of one type."""
    while not isinstance(annotation, type) and (
        hasattr(annotation, "__supertype__") or hasattr(annotation, "__value__")
    ):
        annotation = getattr(annotation, "__supertype__", None) or getattr(annotation, "__value__", None)
    if typing.get_origin(annotation) is typing.Literal:
        kinds = {type(value) for value in typing.get_args(annotation)}
        return kinds.pop() if len(kinds) == 1 else annotation
    return annotation


def _spelling(annotation: object) -> str:
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return f"{annotation.__name__} (an enum that is neither str nor int)"
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def _annotation(kind: type[object], name: str) -> object:
    try:
        owner = next(base for base in kind.__mro__ if name in inspect.get_annotations(base))
        module = getattr(sys.modules.get(owner.__module__), "__dict__", {})
        written = types.SimpleNamespace(__annotations__={name: inspect.get_annotations(owner)[name]})
        return typing.get_type_hints(written, globalns=module)[name]
    except NameError as error:
        raise unresolved_annotation(kind, error) from error


def unresolved_annotation(kind: object, error: NameError) -> DefinitionError:
    """The error for an annotation that is a string and names something that its module does not know.

    ``kind`` is the type or the function that has the annotation.
    """
    if isinstance(kind, type):
        name, place = kind.__name__, place_of(kind)
    else:
        name, place = getattr(kind, "__qualname__", str(kind)), ""
    return DefinitionError(
        f"an annotation of {name} names {error.name!r}, which is not to be found",
        where=place,
        why="an annotation that is a string is looked up in the module, where a type defined in a function is not seen",
        remedy=meant_instead(kind, error)
        or f"move {error.name} to module level, or drop the quotes and 'from __future__ import annotations'",
    )


def meant_instead(kind: object, error: NameError | AttributeError) -> str:
    """The question whether a type that was not found is a misspelt one of its module; nothing when none is near.

    ``kind`` is the type or the function whose annotation has the name.
    """
    if isinstance(error, AttributeError):
        looked_in = getattr(error.obj, "__dict__", {})
    else:
        function = inspect.unwrap(kind) if callable(kind) else kind
        module = getattr(sys.modules.get(getattr(kind, "__module__", "")), "__dict__", {})
        looked_in = vars(builtins) | getattr(function, "__globals__", module)
    types_there = [name for name, value in looked_in.items() if isinstance(value, type)]
    near = difflib.get_close_matches(error.name or "", types_there, n=1)
    return f"did you mean {near[0]}?" if near else ""
