"""From the text of a schema to its tree of types."""

from collections.abc import Callable
from typing import Final, NamedTuple

from msgspec import UNSET

from mainstem.schemas.avro.language.defaults import misfit
from mainstem.schemas.avro.language.names import KnownNames, alias_names, full_name, listed, simple_name
from mainstem.schemas.avro.language.text import loaded, refused
from mainstem.schemas.avro.language.tree import (
    PRIMITIVES,
    Array,
    Enum,
    Field,
    Fixed,
    Map,
    Primitive,
    Properties,
    Record,
    Type,
    Union,
    branch_name,
    spelled,
)
from mainstem.schemas.documents import Resolved, Schema

_KNOWN: Final = {
    "array": {"type", "items"},
    "map": {"type", "values"},
    "record": {"type", "name", "namespace", "aliases", "doc", "fields"},
    "enum": {"type", "name", "namespace", "aliases", "doc", "symbols", "default"},
    "fixed": {"type", "name", "namespace", "aliases", "doc", "size"},
    "field": {"type", "name", "aliases", "doc", "default", "order"},
}
_ORDERS: Final = ("ascending", "descending", "ignore")


class Parsed(NamedTuple):
    """The type that a schema describes, the names that it defines itself, and those with what its references define."""

    root: Type
    own_names: frozenset[str]
    names: frozenset[str]


def parsed(schema: Schema, resolved: Resolved) -> Parsed:
    """Read a schema. Raises ``SchemaRefused``; its ``where`` is a JSON pointer into the text."""
    try:
        reader = _Reader(resolved)
        return Parsed(reader.read(schema, ""), *reader.names())
    except RecursionError as error:
        raise refused(
            "the schema and its references nest too deep",
            why="whoever reads it may run out of stack",
            remedy="let references name one another in shorter chains",
        ) from error


class _Reader:
    """Reads a document and those that it refers to."""

    def __init__(self, resolved: Resolved) -> None:
        self._names = KnownNames(resolved, self.read)
        self._defaults: list[tuple[Field, str]] = []

    def names(self) -> tuple[frozenset[str], frozenset[str]]:
        return self._names.own(), self._names.every()

    def read(self, schema: Schema, name: str) -> Type:
        if schema.format != "AVRO":
            raise refused(
                f"the reference {name} is a schema in {schema.format}"
                if name
                else f"this is a schema in {schema.format}",
                remedy="refer to Avro schemas only",
            )
        for index, reference in enumerate(schema.references):
            self._names.load(reference.name, f"/references/{index}")
        before, self._defaults = self._defaults, []
        found = self._type(loaded(schema.text), "", "")
        # Only now is every type complete that a default may be a value of.
        for field, path in self._defaults:
            _check_default(field, path)
        self._defaults = before
        return found

    def _type(self, value: object, namespace: str, path: str) -> Type:
        if isinstance(value, str):
            return Primitive(value) if value in PRIMITIVES else self._names.find(value, namespace, path)
        if isinstance(value, list):
            return self._union(value, namespace, path)
        if isinstance(value, dict):
            return self._object(value, namespace, path)
        raise refused(
            f"{value!r} is no type", path, remedy="write the name of a type, an object with type, or a list (a union)"
        )

    def _object(self, value: dict[str, object], namespace: str, path: str) -> Type:
        word = value.get("type")
        if not isinstance(word, str):
            raise refused(
                "an object has no type" if word is None else "the type of a type is no word",
                path,
                remedy="write the name of a type behind type; a union or a nested type stands for itself",
            )
        if word in PRIMITIVES:
            return Primitive(word, {name: each for name, each in value.items() if name != "type"})
        if word == "array":
            return Array(self._type(value.get("items"), namespace, f"{path}/items"), _rest(value, word))
        if word == "map":
            return Map(self._type(value.get("values"), namespace, f"{path}/values"), _rest(value, word))
        definitions: dict[str, Callable[[dict[str, object], str, str], Type]] = {
            "record": self._record,
            "error": self._record,
            "enum": self._enum,
            "fixed": self._fixed,
        }
        if word in definitions:
            return definitions[word](value, namespace, path)
        return self._names.find(word, namespace, f"{path}/type")

    def _union(self, value: list[object], namespace: str, path: str) -> Union:
        branches = tuple(self._type(each, namespace, f"{path}/{index}") for index, each in enumerate(value))
        seen: set[str] = set()
        for index, branch in enumerate(branches):
            place = f"{path}/{index}"
            if isinstance(branch, Union):
                raise refused("a union holds a union", place, remedy="write the inner one's types into the outer one")
            if branch_name(branch) in seen:
                raise refused(
                    f"a union holds {spelled(branch)} twice",
                    place,
                    why="which of the two is meant could not be told when it is read",
                    remedy="leave one out, or make them records of different names",
                )
            seen.add(branch_name(branch))
        return Union(branches)

    def _record(self, value: dict[str, object], namespace: str, path: str) -> Record:
        name, aliases, doc = _head(value, namespace, path)
        node = Record(name, aliases, doc, _rest(value, "record"), word=str(value["type"]))
        self._names.define(node, path)
        fields = value.get("fields")
        if not isinstance(fields, list):
            raise refused(f"the record {name} has no list of fields", path, remedy='write "fields": []')
        inside = name.rpartition(".")[0]
        found = [self._field(each, inside, f"{path}/fields/{index}") for index, each in enumerate(fields)]
        seen: set[str] = set()
        for index, field in enumerate(found):
            if field.name in seen:
                raise refused(f"the record {name} has two fields {field.name}", f"{path}/fields/{index}")
            seen.add(field.name)
        node.fields = tuple(found)
        return node

    def _field(self, value: object, namespace: str, path: str) -> Field:
        if not isinstance(value, dict):
            raise refused("a field is no object", path, remedy='write {"name": ..., "type": ...}')
        name = simple_name(value.get("name"), "field", f"{path}/name")
        if "type" not in value:
            raise refused(f"the field {name} has no type", path)
        order = value.get("order", "ascending")
        if order not in _ORDERS:
            raise refused(f"{order!r} is no order", f"{path}/order", remedy=f"write one of {', '.join(_ORDERS)}")
        field = Field(
            name,
            self._type(value["type"], namespace, f"{path}/type"),
            tuple(simple_name(each, "field", f"{path}/aliases") for each in listed(value.get("aliases"), path)),
            value.get("default", UNSET),
            str(order),
            _doc(value, path),
            _rest(value, "field"),
        )
        if field.default is not UNSET:
            self._defaults.append((field, path))
        return field

    def _enum(self, value: dict[str, object], namespace: str, path: str) -> Enum:
        name, aliases, doc = _head(value, namespace, path)
        if not isinstance(value.get("symbols"), list):
            raise refused(f"the enum {name} has no list of symbols", path)
        symbols = listed(value["symbols"], f"{path}/symbols")
        for index, symbol in enumerate(symbols):
            simple_name(symbol, "symbol", f"{path}/symbols/{index}")
        if len(set(symbols)) != len(symbols):
            raise refused(f"the enum {name} has a symbol twice", f"{path}/symbols")
        default = value.get("default")
        if default is not None and default not in symbols:
            raise refused(f"{default!r} is no symbol of the enum {name}", f"{path}/default")
        node = Enum(name, aliases, doc, _rest(value, "enum"), tuple(symbols), None if default is None else str(default))
        self._names.define(node, path)
        return node

    def _fixed(self, value: dict[str, object], namespace: str, path: str) -> Fixed:
        name, aliases, doc = _head(value, namespace, path)
        size = value.get("size")
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 2**31:
            raise refused(f"{size!r} is no size of the fixed {name}", f"{path}/size", remedy="write a number of bytes")
        node = Fixed(name, aliases, doc, _rest(value, "fixed"), size)
        self._names.define(node, path)
        return node


def _head(value: dict[str, object], namespace: str, path: str) -> tuple[str, tuple[str, ...], str | None]:
    name = full_name(value.get("name"), value.get("namespace"), namespace, path)
    aliases = alias_names(value.get("aliases"), name.rpartition(".")[0], f"{path}/aliases")
    return name, aliases, _doc(value, path)


def _doc(value: dict[str, object], path: str) -> str | None:
    doc = value.get("doc")
    if doc is not None and not isinstance(doc, str):
        raise refused("doc is no text", f"{path}/doc")
    return doc


def _rest(value: dict[str, object], word: str) -> Properties:
    return {name: each for name, each in value.items() if name not in _KNOWN[word]}


def _check_default(field: Field, path: str) -> None:
    if why := misfit(field.default, field.type):
        raise refused(
            f"the default of {field.name} does not fit its type {spelled(field.type)}",
            f"{path}/default",
            why=why,
            remedy="correct the default; that of bytes is a text, and that of an optional field is null without quotes",
        )
