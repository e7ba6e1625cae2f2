"""Pairs of Avro schemas, the second a changed first; and values of the first. Our own generator."""

import copy
import struct
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

PRIMITIVES = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"]
SYMBOLS = ["A", "B", "C", "D"]
FIELDS = ["f", "g", "h", "i"]
DEFAULTS = {
    "null": None,
    "boolean": True,
    "int": 1,
    "long": 2,
    "float": 0.5,
    "double": 0.5,
    "bytes": "b",
    "string": "s",
}


class Writer:
    """Draws a schema; names are used once, and named types now and then by name."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.names: list[str] = []
        self.finished: list[str] = []

    def name(self) -> str:
        self.names.append(f"N{len(self.names)}")
        return self.names[-1]

    def type(self, depth: int, *, union: bool = True) -> Any:  # noqa: PLR0911 - a form, a line
        choices = ["primitive", "primitive"]
        choices += ["enum", "fixed", "array", "map", "record"] if depth < 3 else []
        choices += ["union", "union"] if union and depth < 3 else []
        choices += ["reference"] if self.finished else []
        match self.draw(st.sampled_from(choices)):
            case "enum":
                return self.enum()
            case "fixed":
                self.finished.append(self.name())
                return {"type": "fixed", "name": self.finished[-1], "size": self.draw(st.integers(1, 2))}
            case "array":
                return {"type": "array", "items": self.type(depth + 1)}
            case "map":
                return {"type": "map", "values": self.type(depth + 1)}
            case "record":
                return self.record(depth)
            case "union":
                return self.union(depth)
            case "reference":
                return self.draw(st.sampled_from(self.finished))
            case _:
                return self.draw(st.sampled_from(PRIMITIVES))

    def record(self, depth: int) -> Any:
        name = self.name()
        fields = [{"name": each, "type": self.type(depth + 1)} for each in self.some(FIELDS)]
        self.finished.append(name)
        return {"type": "record", "name": name, "fields": fields}

    def union(self, depth: int) -> Any:
        found: dict[Any, Any] = {}
        for _ in range(self.draw(st.integers(1, 3))):
            each = self.type(depth + 1, union=False)
            name = each if isinstance(each, str) else each.get("name", each["type"])
            found.setdefault(name, each)
        return list(found.values())

    def enum(self) -> Any:
        symbols = self.some(SYMBOLS)
        self.finished.append(self.name())
        found: dict[str, Any] = {"type": "enum", "name": self.finished[-1], "symbols": symbols}
        return {**found, "default": symbols[0]} if self.draw(st.booleans()) else found

    def some(self, words: list[str]) -> list[str]:
        found: list[str] = self.draw(st.lists(st.sampled_from(words), min_size=1, unique=True))
        return found


class Changes:
    """Draws small changes: most of them are allowed, some not."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw

    def often(self) -> bool:
        return bool(self.draw(st.integers(0, 3)))

    def of(self, schema: Any) -> Any:
        if isinstance(schema, str):
            wider = {"int": "long", "long": "double", "float": "double", "string": "bytes", "bytes": "string"}
            return schema if self.often() else wider.get(schema, self.draw(st.sampled_from(PRIMITIVES)))
        if isinstance(schema, list):
            kept = schema if self.often() else schema[: self.draw(st.integers(1, len(schema)))]
            return [self.of(each) if not isinstance(each, str) else each for each in kept]
        if schema["type"] in ("array", "map"):
            inner = "items" if schema["type"] == "array" else "values"
            found = {**schema, inner: self.of(schema[inner])}
            return found if self.often() else ["null", found]
        return self.named(copy.deepcopy(schema))

    def named(self, schema: Any) -> Any:
        if not self.often():
            aliased = self.draw(st.booleans())
            schema = {**schema, "name": schema["name"] + "x", **({"aliases": [schema["name"]]} if aliased else {})}
        if schema["type"] == "enum" and not self.often():
            schema["symbols"] = self.draw(st.lists(st.sampled_from(SYMBOLS), min_size=1, unique=True))
            schema.pop("default", None)
            if self.draw(st.booleans()):
                schema["default"] = schema["symbols"][0]
        elif schema["type"] == "fixed" and not self.often():
            schema["size"] = self.draw(st.integers(1, 2))
        elif schema["type"] == "record":
            schema["fields"] = self.fields(schema["fields"])
        return schema

    def fields(self, fields: list[Any]) -> list[Any]:
        found = [{**each, "type": self.of(each["type"])} for each in fields]
        if not self.often():
            found.pop(self.draw(st.integers(0, len(found) - 1)))
        if not self.often():
            kind = self.draw(st.sampled_from(PRIMITIVES))
            added = {"name": "j", "type": kind, **({"default": DEFAULTS[kind]} if self.draw(st.booleans()) else {})}
            found.insert(0, added)
        if found and not self.often():
            found[0] = {
                **found[0],
                "name": "k",
                **({"aliases": [found[0]["name"]]} if self.draw(st.booleans()) else {}),
            }
        return found


@st.composite
def pairs(draw: Any) -> tuple[Any, Any]:
    """A writer's and a reader's schema. Names that the reader no longer defines make it no schema; the test looks."""
    writer = Writer(draw)
    schema = writer.record(0) if draw(st.booleans()) else writer.type(0)
    return schema, Changes(draw).of(schema)


def values(schema: Any, named: dict[str, Any] | None = None) -> st.SearchStrategy[Any]:
    """What a schema lets be written, as fastavro takes it; texts and bytes are ASCII, so that either is the other."""
    named = {} if named is None else named
    if isinstance(schema, list):
        return st.one_of(*[values(each, named) for each in schema]) if schema else st.nothing()
    if isinstance(schema, str):
        return named[schema] if schema in named else SCALARS[schema]
    match schema["type"]:
        case "array":
            return st.lists(values(schema["items"], named), max_size=2)
        case "map":
            return st.dictionaries(st.text("ab", max_size=2), values(schema["values"], named), max_size=2)
        case "enum":
            found = st.sampled_from(schema["symbols"])
        case "fixed":
            found = st.binary(min_size=schema["size"], max_size=schema["size"])
        case _:
            found = st.fixed_dictionaries({each["name"]: values(each["type"], named) for each in schema["fields"]})
    named[schema["name"]] = found
    return found


SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
    "bytes": st.text("xyz", max_size=3).map(str.encode),
    "string": st.text("xyz", max_size=3),
}


def encode_json(value: Any, schema: Any) -> bytes:
    """A value in Avro's JSON encoding, as binary: fastavro, left to itself, would choose the branch of a union."""
    named: dict[str, Any] = {}
    _remember(schema, named)
    return b"".join(_encoded(value, schema, named))


def _remember(schema: Any, named: dict[str, Any]) -> None:
    for each in schema if isinstance(schema, list) else schema.values() if isinstance(schema, dict) else ():
        _remember(each, named)
    if isinstance(schema, dict) and "name" in schema and not isinstance(schema["type"], dict | list):
        named.setdefault(schema["name"], schema)


def _long(value: int) -> bytes:
    value = (value << 1) ^ (value >> 63)
    found = []
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def _encoded(value: Any, schema: Any, named: dict[str, Any]) -> Iterator[bytes]:
    if isinstance(schema, list):
        [(name, value)] = value.items() if value is not None else [("null", None)]
        names = [each if isinstance(each, str) else each.get("name", each["type"]) for each in schema]
        yield _long(names.index(name))
        yield from _encoded(value, schema[names.index(name)], named)
    elif isinstance(schema, str) and schema in named:
        yield from _encoded(value, named[schema], named)
    elif isinstance(schema, str):
        yield from _scalar(value, schema)
    elif schema["type"] in ("array", "map"):
        members = [(None, each) for each in value] if schema["type"] == "array" else list(value.items())
        yield from _members(members, schema.get("items", schema.get("values")), named)
    elif schema["type"] == "enum":
        yield _long(schema["symbols"].index(value))
    elif schema["type"] == "fixed":
        yield value.encode("latin-1")
    else:
        for each in schema["fields"]:
            yield from _encoded(value[each["name"]], each["type"], named)


def _members(members: list[tuple[str | None, Any]], inner: Any, named: dict[str, Any]) -> Iterator[bytes]:
    yield _long(len(members)) if members else b""
    for key, each in members:
        yield b"" if key is None else _long(len(key)) + key.encode()
        yield from _encoded(each, inner, named)
    yield _long(0)


def _scalar(value: Any, kind: str) -> Iterator[bytes]:
    match kind:
        case "boolean":
            yield bytes([value])
        case "int" | "long":
            yield _long(value)
        case "float" | "double":
            yield struct.pack("<f" if kind == "float" else "<d", value)
        case "bytes" | "string":
            raw = value.encode("latin-1" if kind == "bytes" else "utf-8")
            yield _long(len(raw)) + raw
