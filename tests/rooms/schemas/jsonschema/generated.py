"""Pairs of schemas that nobody would write, and instances that may tell them apart: from a seed, the same each time."""

import copy
import random
from collections.abc import Iterator
from typing import Any

NAMES = ("a", "b", "c", "x-1", "x-y", "k")
TEXTS = ("", "a", "b", "ab", "abc", "x-1", "2024-01-01", "A")
PATTERNS = ("^x-", "^a", "b$", "^[a-c]+$", ".*")
TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")
URIS = {
    4: "http://json-schema.org/draft-04/schema#",
    6: "http://json-schema.org/draft-06/schema#",
    7: "http://json-schema.org/draft-07/schema#",
    2019: "https://json-schema.org/draft/2019-09/schema",
    2020: "https://json-schema.org/draft/2020-12/schema",
}


class Generator:
    """Makes schemas of one draft, as small as they can be and still go wrong."""

    def __init__(self, chance: random.Random, draft: int) -> None:
        self.chance = chance
        self.draft = draft

    def document(self) -> Any:
        """A schema with definitions that may refer to one another."""
        schema = self.schema(3)
        if not isinstance(schema, dict):
            return {"$schema": URIS[self.draft], "allOf": [schema]}
        found: dict[str, Any] = {"$schema": URIS[self.draft]}
        if "$ref" in str(schema) or self.chance.random() < 0.3:
            found["definitions"] = {name: self._guarded() for name in ("d", "e")}
        return {**found, **({"allOf": [schema]} if "$ref" in schema else schema)}

    def _guarded(self) -> Any:
        kind = self.chance.choice(("object", "array", "string", "integer"))
        return {"type": kind, **self.keywords(kind, 2)}

    def schema(self, depth: int) -> Any:
        """Any schema, nested so deep at most."""
        roll = self.chance.random()
        if self.draft > 4 and roll < 0.05:
            return self.chance.random() < 0.7
        if roll < 0.12 and depth < 3:
            return {"$ref": "#/definitions/" + self.chance.choice("de")}
        if roll < 0.2 and self.draft > 4:
            return {"const": self.value(1)}
        if roll < 0.28:
            return {"enum": self._distinct(self.chance.randint(1, 4))}
        found: dict[str, Any] = {}
        kinds = self.chance.sample(TYPES, self.chance.choice((1, 1, 1, 2, 3)))
        if self.chance.random() < 0.85:
            found["type"] = kinds[0] if len(kinds) == 1 else kinds
        for kind in kinds:
            found.update(self.keywords(kind, depth))
        if depth > 0 and self.chance.random() < 0.3:
            found.update(self.combined(depth))
        return found

    def keywords(self, kind: str, depth: int) -> dict[str, Any]:
        """Keywords that are about one type."""
        if kind in ("integer", "number"):
            return self._some(self._numeric())
        if kind == "string":
            return self._some(self._textual())
        if kind == "array" and depth > 0:
            return self._some(self._array(depth))
        if kind == "object" and depth > 0:
            return self._some(self._object(depth))
        return {}

    def combined(self, depth: int) -> dict[str, Any]:
        """One combination of schemas."""
        some = [self.schema(depth - 1) for _ in range(self.chance.randint(1, 3))]
        keyword = self.chance.choice(("allOf", "anyOf", "anyOf", "oneOf", "not", "if"))
        if keyword == "not":
            return {"not": some[0]}
        if keyword == "if":
            if self.draft < 7:
                return {"allOf": some}
            extra = {"else": self.schema(depth - 1)} if self.chance.random() < 0.5 else {}
            return {"if": some[0], "then": some[-1], **extra}
        return {keyword: some}

    def value(self, depth: int) -> Any:
        """A small value."""
        kind = self.chance.choice(TYPES if depth else TYPES[:5])
        if kind == "array":
            return [self.value(depth - 1) for _ in range(self.chance.randint(0, 3))]
        if kind == "object":
            return {name: self.value(depth - 1) for name in self.chance.sample(NAMES, self.chance.randint(0, 3))}
        simple: dict[str, tuple[Any, ...]] = {
            "null": (None,),
            "boolean": (True, False),
            "integer": tuple(range(-3, 7)),
            "number": (0.5, 1.5, 2.0, -1.5, 0.1),
            "string": TEXTS,
        }
        return self.chance.choice(simple[kind])

    def _distinct(self, count: int) -> list[Any]:
        found: list[Any] = []
        for _ in range(count):
            each = self.value(1)
            if not any(each == other for other in found):
                found.append(each)
        return found

    def _some(self, keywords: dict[str, Any]) -> dict[str, Any]:
        names = self.chance.sample(sorted(keywords), min(len(keywords), self.chance.choice((0, 1, 1, 2, 3))))
        return {name: keywords[name] for name in names}

    def _numeric(self) -> dict[str, Any]:
        found = {
            "minimum": self.chance.choice((-2, 0, 1, 1.5, 3)),
            "maximum": self.chance.choice((0, 2, 2.5, 4, 10)),
            "multipleOf": self.chance.choice((1, 2, 3, 0.5, 4)),
        }
        if self.draft == 4:
            return {**found, "exclusiveMinimum": True} if self.chance.random() < 0.2 else found
        return {**found, "exclusiveMinimum": self.chance.choice((0, 1, -0.5)), "exclusiveMaximum": 4}

    def _textual(self) -> dict[str, Any]:
        return {
            "minLength": self.chance.randint(0, 3),
            "maxLength": self.chance.randint(0, 4),
            "pattern": self.chance.choice(PATTERNS),
            "format": self.chance.choice(("date", "email", "uuid")),
        }

    def _array(self, depth: int) -> dict[str, Any]:
        some = [self.schema(depth - 1) for _ in range(self.chance.randint(1, 2))]
        found: dict[str, Any] = {
            "items": self.schema(depth - 1) if self.draft > 4 or self.chance.random() < 0.5 else {},
            "minItems": self.chance.randint(0, 2),
            "maxItems": self.chance.randint(0, 3),
            "uniqueItems": True,
        }
        if not isinstance(found["items"], dict) and self.draft == 4:
            found["items"] = {}
        if self.draft == 2020:
            found["prefixItems"] = some
        elif self.chance.random() < 0.4:
            found |= {"items": some, "additionalItems": self.chance.choice((False, {"type": "integer"}))}
        if self.draft > 4:
            found["contains"] = self.schema(depth - 1)
        if self.draft >= 2019:
            found |= {"minContains": self.chance.randint(0, 2), "unevaluatedItems": self.chance.choice((False, {}))}
            if self.chance.random() < 0.3:
                found["maxContains"] = self.chance.randint(1, 2)
        return found

    def _object(self, depth: int) -> dict[str, Any]:
        names = self.chance.sample(NAMES, self.chance.randint(1, 3))
        found: dict[str, Any] = {
            "properties": {name: self.schema(depth - 1) for name in names},
            "patternProperties": {self.chance.choice(PATTERNS): self.schema(depth - 1)},
            "additionalProperties": self.chance.choice((False, False, {"type": "integer"}, {})),
            "required": self.chance.sample(NAMES, self.chance.randint(1, 2)),
            "minProperties": self.chance.randint(0, 2),
            "maxProperties": self.chance.randint(0, 3),
        }
        if self.draft > 4:
            found["propertyNames"] = self.chance.choice(({"pattern": "^[a-c]"}, {"maxLength": 1}, {"enum": ["a", "k"]}))
        if self.draft < 2019:
            found["dependencies"] = {names[0]: self.chance.choice((["b"], {"required": ["c"]}, {"maxProperties": 2}))}
        else:
            found["dependentRequired"] = {names[0]: ["b"]}
            found["dependentSchemas"] = {names[0]: self.schema(depth - 1)}
            found["unevaluatedProperties"] = self.chance.choice((False, {"type": "string"}))
        return found

    def mutated(self, schema: Any) -> Any:
        """Almost the same schema."""
        found = copy.deepcopy(schema)
        for _ in range(self.chance.choice((1, 1, 2, 3))):
            place = self.chance.choice([each for each in _places(found) if isinstance(each, dict)])
            self._mutate(place)
        return found

    def _mutate(self, place: dict[str, Any]) -> None:
        roll = self.chance.random()
        own = [each for each in place if each not in ("$schema", "definitions", "$ref")]
        if roll < 0.3 and own:
            del place[self.chance.choice(own)]
        elif roll < 0.6:
            kind = place.get("type")
            name = kind if isinstance(kind, str) else self.chance.choice(TYPES)
            place.update(self.keywords(name, 2))
        elif roll < 0.7:
            place["type"] = self.chance.sample(TYPES, 2)
        elif roll < 0.8:
            place.update(self.combined(1))
        elif isinstance(place.get("enum"), list) and roll < 0.95:
            place["enum"] = self._distinct(4)
        else:
            properties = place.setdefault("properties", {})
            properties[self.chance.choice(NAMES)] = self.schema(1)


_ONE = ("items", "additionalItems", "contains", "additionalProperties", "not", "if", "then", "else")
_LIST = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
_MAP = ("properties", "patternProperties", "definitions", "dependentSchemas")


def _places(schema: Any) -> Iterator[Any]:
    yield schema
    if isinstance(schema, dict):
        for name in _ONE:
            yield from _places(schema[name]) if isinstance(schema.get(name), dict) else ()
        for name in _LIST:
            for each in schema[name] if isinstance(schema.get(name), list) else ():
                yield from _places(each)
        for name in _MAP:
            for each in schema.get(name, {}).values():
                yield from _places(each)


def closed(schema: Any) -> Any:
    """What a writer writes who writes only what it declares: spelled out in the schema, and nothing else changed."""
    if not isinstance(schema, dict):
        return schema
    found = _mapped(schema, closed)
    if "properties" in schema and "additionalProperties" not in schema and "unevaluatedProperties" not in schema:
        found["additionalProperties"] = False
    return found


def opened(schema: Any) -> Any:
    """What a reader accepts who passes over what it does not know."""
    if not isinstance(schema, dict):
        return schema
    found = _mapped(schema, opened)
    for keyword in ("additionalProperties", "unevaluatedProperties"):
        if found.get(keyword) is False:
            del found[keyword]
    if "x-mainstem-fallback" in schema and schema["x-mainstem-fallback"] in schema["enum"]:
        names = {str: "string", int: "integer"}
        found["allOf"] = [*found.get("allOf", []), {"type": [names[type(each)] for each in found.pop("enum")][:1]}]
    return found


def _mapped(schema: dict[str, Any], change: Any) -> dict[str, Any]:
    found = dict(schema)
    for name in ("items", "additionalItems", "additionalProperties", "then", "else", "unevaluatedItems"):
        if isinstance(schema.get(name), dict):
            found[name] = change(schema[name])
    for name in _LIST:
        if isinstance(schema.get(name), list):
            found[name] = [change(each) for each in schema[name]]
    for name in (*_MAP, "dependencies"):
        if name in schema:
            found[name] = {key: change(each) for key, each in schema[name].items()}
    return found


class Instances:
    """Instances that a schema may accept: made by following it, carelessly."""

    def __init__(self, generator: Generator, root: Any) -> None:
        self.chance = generator.chance
        self.generator = generator
        self.root = root

    def one(self, schema: Any, depth: int = 4) -> Any:
        """An instance that is perhaps accepted."""
        if not isinstance(schema, dict) or depth <= 0 or self.chance.random() < 0.03:
            return self.generator.value(1)
        if "$ref" in schema:
            return self.one(self.root["definitions"][schema["$ref"].rpartition("/")[2]], depth - 1)
        if "const" in schema or "enum" in schema:
            return self.chance.choice(schema.get("enum") or [schema.get("const")])
        flat = self._flat(schema)
        if "$ref" in flat or "const" in flat or "enum" in flat:
            return self.one({key: flat[key] for key in ("$ref", "const", "enum") if key in flat}, depth - 1)
        kinds = flat.get("type", TYPES)
        return self._of(kinds if isinstance(kinds, str) else self.chance.choice(kinds), flat, depth)

    def _flat(self, schema: dict[str, Any]) -> dict[str, Any]:
        flat = dict(schema)
        for keyword in ("allOf", "anyOf", "oneOf"):
            some = [each for each in schema.get(keyword, ()) if isinstance(each, dict)]
            if some:
                flat = self._merged(flat, self.chance.choice(some))
        for keyword in ("then", "else"):
            if isinstance(schema.get(keyword), dict) and self.chance.random() < 0.5:
                flat = self._merged(flat, schema[keyword])
        return flat

    def _merged(self, one: dict[str, Any], two: dict[str, Any]) -> dict[str, Any]:
        found = {**one, **two}
        if "properties" in one and "properties" in two:
            found["properties"] = {**one["properties"], **two["properties"]}
        if "required" in one and "required" in two:
            found["required"] = [*one["required"], *two["required"]]
        return found

    def _of(self, kind: str, schema: dict[str, Any], depth: int) -> Any:
        if kind in ("integer", "number"):
            ends = [schema.get(name, 0) for name in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")]
            near = self.chance.choice([0, *(each for each in ends if not isinstance(each, bool))])
            number = near + self.chance.choice((-1, 0, 0, 1, 2) if kind == "integer" else (-0.5, 0, 0.5, 1, 0.25))
            return int(number) if kind == "integer" else number
        if kind == "string":
            sizes = [schema.get("minLength", 0), schema.get("maxLength", 1)]
            return self.chance.choice((*TEXTS, "a" * self.chance.choice(sizes), "b" * sizes[0]))
        if kind == "array":
            return self._array(schema, depth)
        return (
            self._object(schema, depth) if kind == "object" else None if kind == "null" else self.chance.random() < 0.5
        )

    def _array(self, schema: dict[str, Any], depth: int) -> Any:
        listed = schema.get("prefixItems", schema.get("items"))
        listed = listed if isinstance(listed, list) else []
        rest = schema.get("additionalItems" if isinstance(schema.get("items"), list) else "items", {})
        size = self.chance.choice((0, 1, 2, 3, schema.get("minItems", 0), schema.get("maxItems", 1)))
        found = [self.one(listed[index] if index < len(listed) else rest, depth - 1) for index in range(size)]
        if "contains" in schema and self.chance.random() < 0.7:
            found.insert(self.chance.randint(0, len(found)), self.one(schema["contains"], depth - 1))
        return found

    def _object(self, schema: dict[str, Any], depth: int) -> Any:
        properties = schema.get("properties", {})
        names = set(schema.get("required", ()))
        names |= {name for name in properties if self.chance.random() < 0.5}
        if schema.get("additionalProperties") is not False and self.chance.random() < 0.4:
            names.add(self.chance.choice((*NAMES, "other")))
        rest = schema.get("additionalProperties", {})
        for pattern, each in schema.get("patternProperties", {}).items():
            if self.chance.random() < 0.5:
                name = {"^x-": "x-q", "^a": "az", "b$": "zb", "^[a-c]+$": "cab"}.get(pattern, "any")
                names.add(name)
                properties = {name: each, **properties}
        return {name: self.one(properties.get(name, rest), depth - 1) for name in sorted(names)}
