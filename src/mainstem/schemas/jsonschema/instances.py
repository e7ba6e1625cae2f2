"""Some instances of a schema: the smallest, the fullest, and one for each alternative that stands in it.

What is made is guessed from the keywords, and kept only where the validator takes it: so a keyword that is not looked
at costs instances, and never gives a wrong one.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final, cast

import msgspec
from msgspec import UNSET, Struct, UnsetType

from mainstem.schemas.documents import Schema
from mainstem.schemas.jsonschema.reading import Json, Judge, library, samples

INSTANCES_MOST: Final = 200
_EACH_MOST: Final = 12
"""So many values are tried for one place."""
_DEPTH_MOST: Final = 8
_PLACES_MOST: Final = 20_000
"""So many places are looked at: types that use one another many times have more instances than anybody tries."""
_TEXT_MOST: Final = 1_000

_TEXTS: Final[Mapping[str, tuple[str, ...]]] = {
    "date": ("2024-02-29",),
    "date-time": ("2024-02-29T12:30:00Z", "1970-01-01T00:00:00.123456+02:00"),
    "decimal": ("1.50", "0", "-3"),
    "duration": ("P1D", "PT1.5S"),
    "email": ("ada@example.org",),
    "hostname": ("example.org",),
    "ipv4": ("127.0.0.1",),
    "ipv6": ("::1",),
    "time": ("12:30:00Z",),
    "uri": ("https://example.org/",),
    "uuid": ("0190a1b2-c3d4-7e5f-8a6b-0c1d2e3f4a5b",),
}


def instances_of(schema: Schema) -> list[Json]:
    """Instances of a schema that refers to no other, at most ``INSTANCES_MOST``; none where none could be made.

    Raises :class:`~mainstem.errors.SchemaRefused` for what is no schema.
    """
    documents = library(schema, {})
    judge, root, document = Judge(documents), documents.root, documents.documents[""]
    made = (cast("Json", each) for each in _Making(document).values(document, 0))
    # Under a "not" a format that counts lets more be valid; this holds for who heeds formats and for who does not.
    valid = (each for each in made if judge.accepts(root, each, formats=True) and judge.accepts(root, each))
    return list(islice(valid, INSTANCES_MOST))


class _Node(Struct, rename="camel"):
    """The keywords that are looked at."""

    ref: str | None = msgspec.field(default=None, name="$ref")
    const: object = UNSET
    enum: list[object] | None = None
    any_of: list[object] = []
    one_of: list[object] = []
    all_of: list[object] = []
    type: str | list[str] | UnsetType = UNSET
    properties: dict[str, object] = {}
    required: list[str] = []
    additional_properties: object = False
    items: object = False
    prefix_items: list[object] = []
    min_items: int = 0
    format: str = ""
    pattern: str | None = None
    min_length: int = 0
    minimum: int | float | None = None
    maximum: int | float | None = None
    exclusive_minimum: int | float | None = None
    exclusive_maximum: int | float | None = None
    multiple_of: int | float = 1

    @property
    def types(self) -> Iterable[str]:
        """The types that it names, or those that its keywords are about."""
        if self.type is not UNSET:
            return (self.type,) if isinstance(self.type, str) else self.type
        about = {"object": self.properties, "array": self.prefix_items or self.items, "string": self.pattern}
        return [kind for kind, keyword in about.items() if keyword]


class _Making:
    """Values for the places of one document."""

    def __init__(self, document: object) -> None:
        self._document = document
        self._left = _PLACES_MOST

    def values(self, place: object, depth: int) -> Iterator[object]:
        """Guesses for a place, the plainest first; none below a depth, so that a type may stand in itself."""
        self._left -= 1
        if depth > _DEPTH_MOST or self._left < 0:
            return
        if not isinstance(place, dict):
            yield from ("", 0, None)
            return
        try:
            node = msgspec.convert(place, _Node)
        except msgspec.ValidationError:
            return  # a keyword of an older draft means something else here
        if node.const is not UNSET:
            yield node.const
        elif node.enum is not None:
            yield from node.enum
        elif node.ref is not None:
            yield from self.values(self._referred(node.ref), depth + 1)
        else:
            branches = [*node.any_of, *node.one_of, *node.all_of]
            yield from _in_turn([self.values(each, depth + 1) for each in branches])
            yield from _in_turn([self._typed(kind, node, depth) for kind in node.types])

    def _referred(self, reference: str) -> object:
        found = self._document
        for step in reference.removeprefix("#").split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, dict) else None
        return found

    def _typed(self, kind: str, node: _Node, depth: int) -> Iterator[object]:
        if kind == "object":
            return self._objects(node, depth)
        if kind == "array":
            return self._arrays(node, depth)
        plain: Mapping[str, Iterable[object]] = {
            "string": _texts(node),
            "integer": _numbers(node),
            "number": (*_numbers(node), 0.5),
            "boolean": (False, True),
            "null": (None,),
        }
        return iter(plain.get(kind, ()))

    def _objects(self, node: _Node, depth: int) -> Iterator[object]:
        tried = {name: self._some(each, depth) for name, each in node.properties.items()}
        known = {name: values[0] for name, values in tried.items() if values}
        yield {name: value for name, value in known.items() if name in node.required}
        yield known
        for name, values in tried.items():
            if name not in node.required:
                yield {other: value for other, value in known.items() if other != name}
            for value in values[1:]:
                yield {**known, name: value}
        if isinstance(node.additional_properties, dict):
            for value in self._some(node.additional_properties, depth):
                yield {**known, "other": value}

    def _arrays(self, node: _Node, depth: int) -> Iterator[object]:
        yield []
        first = [self._some(each, depth) for each in node.prefix_items]
        if all(first):
            ahead = [values[0] for values in first]
            yield ahead
            for value in self._some(node.items, depth):
                yield [*ahead, value]
                yield [*ahead, *[value] * max(2, min(node.min_items, _EACH_MOST))]

    def _some(self, place: object, depth: int) -> list[object]:
        return [] if place is False else list(islice(self.values(place, depth + 1), _EACH_MOST))


def _in_turn(branches: list[Iterator[object]]) -> Iterator[object]:
    """The first of each, then the second of each: a bound then leaves no branch out."""
    while branches:
        going = []
        for branch in branches:
            for value in islice(branch, 1):
                yield value
                going.append(branch)
        branches = going


def _texts(node: _Node) -> Iterator[str]:
    yield from _TEXTS.get(node.format, ())
    if node.pattern is not None:
        yield from samples(node.pattern)
    least = min(node.min_length, _TEXT_MOST)
    yield from ("text".ljust(least, "-"), "x" * least, "é".ljust(least, "ß"))


def _numbers(node: _Node) -> Iterator[int | float]:
    yield 0
    yield from (bound for bound in (node.minimum, node.maximum) if bound is not None)
    beyond = ((node.exclusive_minimum, 1), (node.exclusive_maximum, -1))
    yield from (bound + step for bound, step in beyond if bound is not None)
    yield from (node.multiple_of, 7)
