"""From the annotations of a type to its form in Avro."""

import collections.abc
import enum
import re
import types
import typing
from decimal import Decimal
from typing import Final, NamedTuple

import msgspec
from msgspec import UNSET

from mainstem.errors import DefinitionError
from mainstem.events import fallback_of
from mainstem.schemas.annotations import own_words, unwrapped
from mainstem.schemas.avro.types.fields import RecordField, fields_in, has_fields, tag_of
from mainstem.schemas.avro.types.forms import LOCAL_TIME, SCALARS, Change, Form, decimal_form, plain_default
from mainstem.schemas.avro.types.unions import Member, union_form

_SYMBOL: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Place(NamedTuple):
    """Where a type stands: ``where`` and ``path`` for errors, ``owner`` to name what has no name of its own."""

    where: str
    path: str = ""
    owner: str = ""

    def inside(self, suffix: str, owner: str | None = None) -> "Place":
        """A place within this one."""
        return Place(self.where, self.path + suffix, self.owner if owner is None else owner)

    def refused(self, what: str, why: str = "", remedy: str = "") -> DefinitionError:
        """The error for a type that has no form in Avro."""
        return DefinitionError(what, where=f"{self.where}, {self.path or 'the type itself'}", why=why, remedy=remedy)


class Forms:
    """Gives each type its form. Records and enums are written out where they are first met, and named from then on.

    ``has_choices`` says whether there is a union of several records. Then the codec has to say which one it has read,
    and the forms are asked for again with ``named``: everywhere a record may come with its name then.
    """

    def __init__(self, namespace: str, *, named: bool = False) -> None:
        self._namespace = namespace
        self._named = named
        self.has_choices = False
        self._kinds: dict[str, object] = {}
        self._records: dict[type, tuple[Member, _Fields]] = {}

    def record(self, kind: type[object], place: Place, head: dict[str, object] | None = None) -> Member:
        """The form of a type with fields; ``head`` is what its schema says first, where it has names of its own."""
        if kind in self._records:
            member, fields = self._records[kind]
            return member._replace(form=fields.form(member.name))
        head = {"name": self._full(kind.__name__)} if head is None else head
        name = str(head["name"])
        self._claim(name, kind, place)
        fields = _Fields(tag_of(kind), named=self._named)
        found = fields_in(kind, f"{place.where}, {place.path or kind.__name__}")
        member = Member(fields.form(name), name, frozenset(each.name for each in found), tag_of(kind))
        self._records[kind] = (member, fields)
        schemas = [self._field(each, fields, place.inside(f".{each.name}", name.rpartition(".")[2])) for each in found]
        fields.finish()
        doc = own_words(kind)
        schema = {"type": "record", **head, **({"doc": doc} if doc else {}), "fields": schemas}
        return member._replace(form=fields.form(schema))

    def _field(self, field: RecordField, fields: "_Fields", place: Place) -> dict[str, object]:
        if not _SYMBOL.fullmatch(field.name):
            raise place.refused(
                f"{field.name!r} cannot be the name of a field in Avro",
                "there it has letters of English, digits and underscores, and does not begin with a digit",
                "give it another name on the wire, or keep the event in JSON",
            )
        hint, marks = unwrapped(field.hint)
        marks += field.marks
        form = self._of(hint, marks, place, field.default)
        fields.add(field.name, form)
        found: dict[str, object] = {"name": field.name, "type": form.schema}
        doc = next((each.description for each in marks if isinstance(each, msgspec.Meta) and each.description), None)
        if doc:
            found["doc"] = doc
        if field.default is not UNSET:
            found["default"] = _default_in(form, field.default, place)
        return found

    def _of(self, hint: object, marks: tuple[object, ...], place: Place, default: object = UNSET) -> Form:
        origin = typing.get_origin(hint)
        if origin in (typing.Union, types.UnionType):
            return self._union(hint, place, default)
        if origin is typing.Literal:
            return self._literal(typing.get_args(hint), place, default)
        if isinstance(origin, type):
            return self._container(origin, typing.get_args(hint), place)
        if isinstance(hint, type) and issubclass(hint, enum.Enum):
            return self._enum(hint, place)
        if isinstance(hint, type) and has_fields(hint):
            return self.record(hint, place).form
        return _scalar(hint, marks, place)

    def _inner(self, hint: object, place: Place) -> Form:
        return self._of(*unwrapped(hint), place)

    def _container(self, origin: type, inner: tuple[object, ...], place: Place) -> Form:
        if issubclass(origin, collections.abc.Mapping):
            if unwrapped(inner[0])[0] is not str:
                raise place.refused(
                    "the keys of this dict have no form in Avro", "those of a map are texts", "use str as its keys"
                )
            form = self._inner(inner[1], place.inside("{}"))
            schema: dict[str, object] = {"type": "map", "values": form.schema}
            return Form(schema, (dict,), *(_each_value(each) for each in (form.outward, form.inward, form.default)))
        if issubclass(origin, tuple) and (len(inner) != 2 or inner[1] is not ...):
            raise place.refused(
                "a tuple of fixed length has no form in Avro",
                "its places have no names",
                "use a struct, or a tuple of any length: tuple[int, ...]",
            )
        if issubclass(origin, collections.abc.Collection):
            form = self._inner(inner[0], place.inside("[]"))
            if form.schema == "null":
                raise place.refused("a list of nothing has no form in Avro", remedy="use an int: how many there are")
            schema = {"type": "array", "items": form.schema}
            # A tuple in a union would be taken for a name and a value.
            outward = (
                _each(form.outward) if issubclass(origin, list | set | frozenset) else _each(form.outward or _same)
            )
            return Form(schema, (list, tuple), outward, _each(form.inward), _each(form.default or _same))
        raise place.refused(
            f"{origin.__name__} with parameters has no form in Avro",
            "a record has a name of its own, and its parameters have no place in it",
            "use a class for each, without parameters",
        )

    def _union(self, hint: object, place: Place, default: object) -> Form:
        # The type of the default comes first, as older libraries want it; else null does.
        kinds = sorted(typing.get_args(hint), key=lambda each: (not _suits(default, each), each is not type(None)))
        members = [self._member(each, place) for each in kinds]
        records = [each for each in members if each.name]
        untagged = [each for each in records if each.tag is None]
        self.has_choices |= len(records) > 1
        if untagged and len(records) > 1:
            raise place.refused(
                "records of a union could not be told apart",
                f"{untagged[0].name} has no tag",
                "make them msgspec structs with tag=",
            )
        return union_form(members, named=self._named)

    def _member(self, hint: object, place: Place) -> Member:
        kind, marks = unwrapped(hint)
        if isinstance(kind, type) and has_fields(kind):
            return self.record(kind, place)
        return Member(self._of(kind, marks, place))

    def _enum(self, kind: type[enum.Enum], place: Place) -> Form:
        values = [each.value for each in kind]
        if all(isinstance(each, int) and not isinstance(each, bool) for each in values):
            return Form({"type": "long", "values": values}, (int,))
        if not all(isinstance(each, str) for each in values):
            raise place.refused(
                f"the enum {kind.__name__} has no form in Avro",
                "its values are neither all texts nor all whole numbers",
                "use one of the two",
            )
        return self._symbols(kind.__name__, kind, values, place)

    def _symbols(self, name: str, kind: object, values: list[str], place: Place) -> Form:
        if not all(_SYMBOL.fullmatch(each) for each in values):
            return Form({"type": "string", "values": values}, (str,))
        full = self._full(name)
        if self._kinds.get(full) is kind:
            return Form(full, (str,))
        self._claim(full, kind, place)
        schema: dict[str, object] = {"type": "enum", "name": full, "symbols": values}
        fallback = fallback_of(kind) if isinstance(kind, type) else None
        return Form(schema if fallback is None else {**schema, "default": fallback.value}, (str,))

    def _literal(self, values: tuple[object, ...], place: Place, default: object) -> Form:
        found = []
        texts = [each for each in values if isinstance(each, str)]
        if texts:
            field = re.sub(r"\W", "", place.path.rpartition(".")[2])
            name = place.owner + field.replace("_", " ").title().replace(" ", "")
            found.append(Member(self._symbols(name, ("literal", *texts), texts, place)))
        numbers = [each for each in values if isinstance(each, int)]
        if numbers:
            found.append(Member(Form({"type": "long", "values": numbers}, (int,))))
        if None in values:
            found.append(Member(SCALARS[type(None)]))
        if len(found) == 1:
            return found[0].form
        found.sort(key=lambda each: (type(default) not in each.form.classes, each.form.schema != "null"))
        return union_form(found)

    def _full(self, name: str) -> str:
        return f"{self._namespace}.{name}" if self._namespace else name

    def _claim(self, name: str, kind: object, place: Place) -> None:
        if name in self._kinds:
            raise place.refused(
                f"two types have the name {name}",
                "a name in Avro is a namespace and that of a class, whatever its module",
                "give one of the classes another name",
            )
        self._kinds[name] = kind


class _Fields:
    """The changes that the fields of a record need. It is there before they are known: a record may hold itself."""

    def __init__(self, tag: tuple[str, str | int] | None, *, named: bool) -> None:
        self._tag = tag
        self._named = named
        self._changes: tuple[dict[str, Change], dict[str, Change], dict[str, Change]] = ({}, {}, {})
        self._finished = False

    def add(self, name: str, form: Form) -> None:
        for changes, change in zip(self._changes, (form.outward, form.inward, form.default), strict=True):
            if change is not None:
                changes[name] = change

    def finish(self) -> None:
        self._finished = True

    def form(self, schema: object) -> Form:
        """The form of the record, with only the changes that are needed, as far as it is known."""
        outward, inward, default = (bool(each) or not self._finished for each in self._changes)
        return Form(
            schema,
            (dict,),
            self._outward if outward else None,
            self._inward if inward or self._tag or self._named else None,
            self._default if default or self._tag else None,
        )

    def _outward(self, value: object) -> object:
        return _changed(value, self._changes[0])

    def _inward(self, value: object) -> object:
        if isinstance(value, tuple):
            # The writer has a union here, and the reader has none.
            value = value[1]
        found = _changed(value, self._changes[1])
        if self._tag and isinstance(found, dict):
            found[self._tag[0]] = self._tag[1]
        return found

    def _default(self, value: object) -> object:
        found = _changed(dict(value) if isinstance(value, dict) else value, self._changes[2])
        if self._tag and isinstance(found, dict):
            found.pop(self._tag[0], None)
        return found


def _changed(value: object, changes: dict[str, Change]) -> object:
    """The same dict, with some of its values changed: it was made for this, and nobody else has it."""
    if isinstance(value, dict):
        for name, change in changes.items():
            if name in value:
                value[name] = change(value[name])
    return value


def _same(value: object) -> object:
    return value


def _each(change: Change | None) -> Change | None:
    return change and (lambda found: [change(each) for each in found] if isinstance(found, list | tuple) else found)


def _each_value(change: Change | None) -> Change | None:
    return change and (
        lambda found: {name: change(each) for name, each in found.items()} if isinstance(found, dict) else found
    )


def _suits(default: object, hint: object) -> bool:
    """Whether a default is of this type, among those of a union."""
    kind, _ = unwrapped(hint)
    origin = typing.get_origin(kind)
    if origin is typing.Literal:
        return default in typing.get_args(kind)
    if isinstance(origin, type):
        return isinstance(default, origin)
    return type(default) is kind


def _scalar(hint: object, marks: tuple[object, ...], place: Place) -> Form:
    found = SCALARS.get(hint) if isinstance(hint, collections.abc.Hashable) else None
    if found is None:
        name = hint.__name__ if isinstance(hint, type) else str(hint)
        raise place.refused(
            f"{name} has no form in Avro",
            "a schema says what each value is made of",
            "use plain types, structs, dataclasses or pydantic models, and lists or dicts of these",
        )
    for mark in marks:
        if isinstance(mark, msgspec.Meta) and mark.tz is False and hint is LOCAL_TIME.classes[0]:
            return LOCAL_TIME
        digits = _digits(mark)
        if digits and hint is Decimal:
            return decimal_form(*digits)
    return found


def _digits(mark: object) -> tuple[int, int] | None:
    """How many digits a mark gives a decimal number, and how many of them behind the point."""
    extra = mark.extra if isinstance(mark, msgspec.Meta) and mark.extra else {}
    precision = extra.get("precision", getattr(mark, "max_digits", None))
    scale = extra.get("scale", getattr(mark, "decimal_places", None))
    return (precision, scale or 0) if isinstance(precision, int) and isinstance(scale, int | None) else None


def _default_in(form: Form, default: object, place: Place) -> object:
    try:
        found = plain_default(default)
        return form.default(found) if form.default else found
    except (ArithmeticError, TypeError, ValueError) as error:
        raise place.refused(
            f"the default {default!r} has no form in Avro", str(error), "correct the default"
        ) from error
