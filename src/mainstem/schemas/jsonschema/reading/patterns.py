"""Texts in which a pattern is found: some, for the simple ones. Whoever uses one has it looked at by the automaton."""

from collections.abc import Iterator
from typing import Final

from mainstem.schemas.jsonschema.reading.validation import matches

SIMPLE: Final = 200
"""Longer patterns are not tried."""

MOST: Final = 64
"""A text has at most so many characters that a count asks for."""

_KINDS: Final = {"d": "0", "w": "a", "s": " ", "D": "a", "W": "-", "S": "a", "t": "\t", "n": "\n", "b": "", "B": ""}
_OPENING = ("(?:", "(?P<", "(?<", "(")


def samples(pattern: str) -> list[str]:
    """Some texts in which the pattern is found; none where none were made."""
    if len(pattern) > SIMPLE:
        return []
    tries: list[str] = []
    for turn in range(3):
        try:
            made, _ = _alternatives(pattern, 0, turn)
        except (IndexError, ValueError):
            return []
        tries += [made, made + "a", "a" + made]
    return [each for each in dict.fromkeys(tries) if matches(pattern, each)]


def _alternatives(pattern: str, at: int, turn: int) -> tuple[str, int]:
    """One of the alternatives up to the end of a group, and where it ends."""
    found = [""]
    while at < len(pattern) and pattern[at] != ")":
        if pattern[at] == "|":
            found.append("")
            at += 1
            continue
        one, at = _one(pattern, at, turn)
        least, at = _count(pattern, at, turn)
        found[-1] += one * least
    return found[turn % len(found)], at


def _one(pattern: str, at: int, turn: int) -> tuple[str, int]:
    """A text for one item of a pattern, and where the item ends."""
    sign = pattern[at]
    if sign == "(":
        opening = next(each for each in _OPENING if pattern.startswith(each, at))
        start = pattern.index(">", at) + 1 if opening.endswith("<") else at + len(opening)
        made, end = _alternatives(pattern, start, turn)
        return made, end + 1
    if sign == "[":
        end = pattern.index("]", at + 2)
        options = list(_options(pattern[at + 1 : end]))
        return options[turn % len(options)], end + 1
    if sign == "\\":
        return _KINDS.get(pattern[at + 1], pattern[at + 1]), at + 2
    return {"^": "", "$": "", ".": "a"}.get(sign, sign), at + 1


def _count(pattern: str, at: int, turn: int) -> tuple[int, int]:
    """How often an item is there."""
    sign = pattern[at : at + 1]
    if sign in ("*", "?", "+"):
        count, at = {"*": turn, "?": turn % 2, "+": 1 + turn}[sign], at + 1
    elif sign == "{":
        end = pattern.index("}", at)
        count, at = int(pattern[at + 1 : end].partition(",")[0]), end + 1
    else:
        return 1, at
    return min(count, MOST), at + pattern.startswith("?", at)


def _options(inside: str) -> Iterator[str]:
    """The characters of a class; a class that excludes is tried with a few."""
    if inside.startswith("^"):
        yield from (each for each in "a0-_A" if each not in inside)
        return
    at = 0
    while at < len(inside):
        if inside[at] == "\\":
            yield _KINDS.get(inside[at + 1], inside[at + 1])
            at += 1
        else:
            yield inside[at]
        at += 1
        if inside[at : at + 1] == "-" and at + 1 < len(inside):
            yield inside[at + 1]
            at += 2
