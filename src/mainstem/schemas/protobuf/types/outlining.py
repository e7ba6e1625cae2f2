"""From the annotations of a type to its shape as a message, with everything that has no form in Protobuf refused."""

import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Final, Literal
from uuid import UUID

from mainstem.errors import DefinitionError
from mainstem.events import Declaration, FieldNumber, fallback_of, field_names, numbers_of
from mainstem.schemas.annotations import TypeField, fields_of, unwrapped
from mainstem.schemas.models import is_model
from mainstem.schemas.protobuf.types.shapes import (
    Alternative,
    Choice,
    Held,
    Label,
    Member,
    Moment,
    Outline,
    Record,
    Scalar,
)
from mainstem.schemas.shape import check_default

_LEAVES: Final[Mapping[object, Held]] = {
    str: Scalar("string"),
    bytes: Scalar("bytes"),
    bool: Scalar("bool"),
    int: Scalar("int64"),
    float: Scalar("double"),
    Decimal: Scalar("string", "decimal"),
    UUID: Scalar("string", "uuid"),
    date: Scalar("string", "date"),
    time: Scalar("string", "time"),
    datetime: Moment("Timestamp"),
    timedelta: Moment("Duration"),
}
_COLLECTIONS: Final[Mapping[object, Callable[[list[object]], object]]] = {
    list: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
    Sequence: list,
    AbstractSet: set,
}
_MAP_KEYS: Final = (Scalar("string"), Scalar("int64"), Scalar("bool"), Scalar("string", "uuid"))
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def outline_of(declaration: Declaration) -> Outline:
    """The shape of a declared type. Raises ``DefinitionError`` with the path of what cannot be a message."""
    outlining = _Outlining(declaration.label)
    root = outlining.record(declaration.type, declaration.type.__name__)
    return Outline(root, tuple(outlining.records.values()), tuple(outlining.choices.values()))


class _Outlining:
    """The types met so far, each with its shape."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._names: dict[str, type] = {}
        self.records: dict[type, Record] = {}
        self.choices: dict[type, Choice] = {}

    def record(self, kind: type[object], path: str) -> Record:
        """The message of a class."""
        if kind in self.records:
            return self.records[kind]
        self._claim(kind, path)
        record = self.records[kind] = Record(kind, kind.__name__)
        declared = self._declared(kind, path)
        self._check_numbered(kind, declared, path)
        if not is_model(kind):
            for each in declared:
                if each.default is not None and each.constant:
                    check_default(each.hint, each.default(), f"{self._label}, {path}.{each.attribute}")
        record.fields = tuple(self._member(each, f"{path}.{each.attribute}") for each in declared)
        return record

    def _declared(self, kind: type[object], path: str) -> list[TypeField]:
        if field_names(kind) is None:
            raise DefinitionError(
                f"{kind.__name__} has no declared fields",
                where=f"{self._label}, {path}",
                why="a message of Protobuf is made of fields with numbers",
                remedy="declare it as a msgspec struct, a dataclass or a pydantic model",
            )
        return [each for each in fields_of(kind) if each.init]

    def _claim(self, kind: type, path: str) -> None:
        """Two types within one event cannot have the same name, as both are messages or enums in its own."""
        if self._names.setdefault(kind.__name__, kind) is not kind or not _NAME.fullmatch(kind.__name__):
            raise self._no_form(
                path,
                f"two types are called {kind.__name__}" if _NAME.fullmatch(kind.__name__) else "the name is not ASCII",
                "rename one of them",
            )

    def _check_numbered(self, kind: type[object], declared: list[TypeField], path: str) -> None:
        missing = [each for each in declared if _numbered(each.hint)[1] is None and not _is_union(each.hint)]
        if missing:
            first = missing[0]
            raise DefinitionError(
                f"fields of {kind.__name__} have no number: {', '.join(each.attribute for each in missing)}",
                where=f"{self._label}, {path}",
                why="Protobuf writes numbers where JSON has names; counted by order or name, they would change in time",
                remedy=f"state them, and keep them: {first.attribute}: Annotated[..., FieldNumber(1)]",
            )

    def _member(self, declared: TypeField, path: str) -> Member:
        if not _NAME.fullmatch(declared.name):
            raise self._no_form(path, f"{declared.name!r} is no name of a field", "use ASCII letters, digits and _")
        hint, number = _numbered(declared.hint)
        kinds, nullable = _alternatives(hint)
        default = declared.default or ((lambda: None) if nullable else None)
        if len(kinds) > 1:
            found = tuple(self._alternative(each, declared, path) for each in kinds)
            return Member(declared.attribute, declared.name, "oneof", alternatives=found, default=default)
        assert number is not None
        hint = _numbered(kinds[0])[0]
        origin, inner = typing.get_origin(hint) or hint, typing.get_args(hint)
        several = origin in _COLLECTIONS or _is_mapping(origin)
        if several and (nullable or (declared.default is not None and declared.default())):
            raise self._no_form(
                path,
                "it may be absent, or have items by default",
                "leave that out: in Protobuf several items cannot be told from none",
            )
        if origin in _COLLECTIONS:
            held = self._held(self._item(origin, inner, path), f"{path}[]")
            collection = _COLLECTIONS[origin]
            return Member(declared.attribute, declared.name, "repeated", number, held, collection=collection)
        if _is_mapping(origin):
            return self._map(declared, number, inner, path)
        held = self._held(hint, path)
        told = not isinstance(held, Record | Moment) and (nullable or _has_presence(declared, held))
        label: Label = "optional" if told else "single"
        return Member(declared.attribute, declared.name, label, number, held, default=default)

    def _item(self, origin: object, inner: tuple[object, ...], path: str) -> object:
        if origin is tuple and (len(inner) != 2 or inner[1] is not Ellipsis):
            raise self._no_form(path, "it is a tuple of fixed length", "use tuple[..., ...] or a class")
        if not inner:
            raise self._no_form(path, "it does not say what its items are", "write list[str], for instance")
        return inner[0]

    def _map(self, declared: TypeField, number: int, inner: tuple[object, ...], path: str) -> Member:
        key = _LEAVES.get(_numbered(inner[0])[0]) if inner else None
        if not isinstance(key, Scalar) or key not in _MAP_KEYS:
            raise self._no_form(path, "its keys are neither str, int, bool nor UUID", "use one of these as key")
        held = self._held(inner[1], f"{path}{{}}")
        return Member(declared.attribute, declared.name, "map", number, held, key=key)

    def _alternative(self, hint: object, declared: TypeField, path: str) -> Alternative:
        kind, number = _numbered(hint)
        if number is None:
            raise DefinitionError(
                f"an alternative of {declared.attribute} has no number: {_spelling(kind)}",
                where=f"{self._label}, {path}",
                why="each alternative of a union is a field of its own in a oneof",
                remedy="Annotated[Card, FieldNumber(4)] | Annotated[Cash, FieldNumber(5)]",
            )
        held = self._held(kind, path)
        if not isinstance(kind, type):
            raise self._no_form(path, f"{kind} cannot be told from the other alternatives", "use classes")
        return Alternative(kind, f"{declared.name}_{snake(kind.__name__)}", number, held)

    def _held(self, hint: object, path: str) -> Held:
        kind = _numbered(hint)[0]
        if typing.get_origin(kind) is Literal:
            kinds = {type(value) for value in typing.get_args(kind)}
            kind = kinds.pop() if len(kinds) == 1 else kind
        if kind in _LEAVES:
            return _LEAVES[kind]
        if isinstance(kind, type) and issubclass(kind, Enum):
            return self._choice(kind, path)
        if isinstance(kind, type) and field_names(kind) is not None:
            return self.record(kind, path)
        what = "optional, a list, a dict or a union within one" if typing.get_origin(kind) else _spelling(kind)
        raise self._no_form(path, f"it is {what}", "use a plain type, or a class of its own for what is inside")

    def _choice(self, kind: type[Enum], path: str) -> Choice:
        if kind not in self.choices:
            self._claim(kind, path)
            numbers = numbers_of(kind)
            if numbers is None:
                members = ", ".join(f"{name}={number}" for number, name in enumerate(kind.__members__, 1))
                raise DefinitionError(
                    f"the members of {kind.__name__} have no numbers",
                    where=f"{self._label}, {path}",
                    why="Protobuf writes numbers; counted by order or name, they would change in time",
                    remedy=f"state them, and keep them: @numbered({members}) above the class",
                )
            self.choices[kind] = Choice(kind, numbers, fallback_of(kind))
        return self.choices[kind]

    def _no_form(self, path: str, why: str, remedy: str) -> DefinitionError:
        return DefinitionError(f"{path} has no form in Protobuf: {why}", where=f"{self._label}, {path}", remedy=remedy)


def _numbered(hint: object) -> tuple[object, int | None]:
    """The type behind aliases and annotations, and the number that is stated on the way."""
    kind, marks = unwrapped(hint)
    numbers = [mark.number for mark in marks if isinstance(mark, FieldNumber)]
    return kind, numbers[-1] if numbers else None


def _is_union(hint: object) -> bool:
    return len(_alternatives(_numbered(hint)[0])[0]) > 1


def _alternatives(hint: object) -> tuple[list[object], bool]:
    """What a field may hold beside ``None``, and whether ``None`` is one of them."""
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return [hint], False
    kinds = typing.get_args(hint)
    return [each for each in kinds if each is not type(None)], type(None) in kinds


def _is_mapping(origin: object) -> bool:
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _has_presence(declared: TypeField, held: Held) -> bool:
    """Whether what is absent must be told from a zero, because the default is another. Of a message it can anyway."""
    if declared.default is None:
        return False
    default = declared.default()
    return isinstance(held, Choice) or bool(default) or not isinstance(default, str | bytes | bool | int | float)


def _spelling(kind: object) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind)


def snake(name: str) -> str:
    """``credit_card`` for ``CreditCard``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
