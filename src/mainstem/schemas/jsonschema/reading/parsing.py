"""From text to plain data, within bounds, so that no text costs more than its length allows."""

import json
import re
from collections.abc import Iterator
from typing import Final, NoReturn, TypeAlias

from mainstem.errors import SchemaRefused

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

SIZE_BYTES: Final = 1 << 20
"""A schema is at most this long."""

DEPTH: Final = 64
"""Brackets are nested at most this deep."""

NODES: Final = 50_000
"""A schema has at most so many values, members of objects with their names and elements of arrays included."""

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_HALF = re.compile("[\ud800-\udfff]")
_HALVED = "the schema has half a character (a lone surrogate)"
_SPACE = re.compile(r'("(?:[^"\\]|\\.)*")|[ \t\r\n]+', re.DOTALL)


def parsed(text: str, where: str = "") -> Json:
    """The value of a JSON text. ``where`` names the document in errors.

    Raises :class:`~mainstem.errors.SchemaRefused` for what is no JSON, names a member twice, has a number that no
    double can hold, or passes a bound.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise refused(_HALVED, where) from error
    if size > SIZE_BYTES:
        raise refused(f"the schema has {size} bytes, and {SIZE_BYTES} is the most", where)
    _look_for_depth(text, where)
    try:
        value: Json = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise refused(f"the schema is no JSON: {error}", where) from error
    values = list(_values(value))
    if len(values) > NODES:
        raise refused(f"the schema has more than {NODES} values", where)
    if any(_HALF.search(each) for each in values if isinstance(each, str)):
        raise refused(_HALVED, where)
    return value


def without_spaces(text: str) -> str:
    """The text without insignificant spaces; every other character stays as it was written."""
    return _SPACE.sub(lambda found: found.group(1) or "", text)


def refused(what: str, where: str, remedy: str = "correct the schema") -> SchemaRefused:
    """The error for a text that is no JSON Schema of ours."""
    return SchemaRefused(what, where=where, remedy=remedy)


def written(value: Json) -> str:
    """The shortest text of a value, with the members of its objects in order."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _look_for_depth(text: str, where: str) -> None:
    depth = 0
    for found in _TOKEN.finditer(text):
        depth += found.group() in "[{"
        depth -= found.group() in "]}"
        if depth > DEPTH:
            raise refused(f"the schema is nested more than {DEPTH} deep", where)


def _once(members: list[tuple[str, Json]]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for name, value in members:
        if name in found:
            raise ValueError(f"the member {name[:100]!r} is there twice")
        found[name] = value
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{digits[:40]} is too large for a number")
    return value


def _values(value: Json) -> Iterator[Json]:
    waiting = [value]
    while waiting:
        each = waiting.pop()
        yield each
        if isinstance(each, dict):
            waiting += each.keys()
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
