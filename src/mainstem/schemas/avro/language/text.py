"""The text of an Avro schema as JSON: within bounds, without doubles, and without its spaces."""

import json
import math
import re
from collections import Counter
from typing import Final, NoReturn

from mainstem.errors import SchemaRefused

TEXT_LIMIT_BYTES: Final = 1_048_576
DEPTH_LIMIT: Final = 200
"""How deep brackets may nest in the text: three of them make one level of records."""

_SPACES: Final = re.compile(r'("(?:[^"\\]|\\.)*")|[ \t\r\n]+', re.DOTALL)
_BRACKETS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|([\[{])|([\]}])', re.DOTALL)


def loaded(text: str) -> object:
    """The text as plain data.

    Raises ``SchemaRefused`` where it is no JSON or no Unicode, too large, too deep, or says a name twice.
    """
    _check_bounds(text)
    try:
        found: object = json.loads(text, object_pairs_hook=_members, parse_constant=_no_number, parse_float=_finite)
    except ValueError as error:
        raise refused(f"the text is not JSON: {error}", remedy="correct the text where the message says") from error
    if "\\u" in text:
        # Half a surrogate pair has no form in UTF-8, and could never be sent to anybody.
        _encoded(json.dumps(found, ensure_ascii=False))
    return found


def squeezed(text: str) -> str:
    """The text without the spaces between its words; order, numbers and escapes stay as they were written."""
    return _SPACES.sub(lambda found: found[1] or "", text)


def refused(what: str, where: str = "", *, why: str = "", remedy: str = "") -> SchemaRefused:
    """The error for a text that is no Avro schema; ``where`` is a JSON pointer into it."""
    return SchemaRefused(what, where=f"Avro schema, at {where or '/'}", why=why, remedy=remedy)


def _check_bounds(text: str) -> None:
    if len(text) > TEXT_LIMIT_BYTES or len(_encoded(text)) > TEXT_LIMIT_BYTES:
        raise refused(
            f"the schema has more than {TEXT_LIMIT_BYTES:,} bytes",
            why="everybody who reads an event has to read its schema first",
            remedy="split it, and refer to the parts by name",
        )
    depth = 0
    for found in _BRACKETS.finditer(text):
        depth += bool(found[1]) - bool(found[2])
        if depth > DEPTH_LIMIT:
            raise refused(
                f"the schema nests deeper than {DEPTH_LIMIT} brackets",
                why="whoever reads it may run out of stack",
                remedy="give the inner types names, and define them beside one another",
            )


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise refused("the schema has half a surrogate pair in a text", remedy="write the whole character") from error


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise refused(
            f"an object of the schema says {twice!r} twice",
            why="one library would take the first, another one the last",
            remedy="leave one of the two out",
        )
    return found


def _finite(word: str) -> float:
    found = float(word)
    if math.isinf(found):
        raise ValueError(f"{word} is larger than any number of 64 bits")
    return found


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number in JSON")
