"""Why a schema may not follow earlier ones, in words."""

from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec
from msgspec import UNSET

from mainstem.schemas.compatibility.levels import Level
from mainstem.schemas.compatibility.verdict import Difference

MESSAGES: Final = 50
"""Nobody reads more reasons than these."""
VALUE_CHARACTERS: Final = 500
"""Of a message or of an example."""
VERSIONS: Final = 5
"""So many versions are listed."""


class Objection(NamedTuple):
    """A difference that a level does not allow: to which version, and whether the new schema is who cannot read."""

    version: int
    reads: bool
    difference: Difference


def told(objections: Iterable[Objection], level: Level) -> list[str]:
    """What differs, where, who is to read whom, and the example if there is one; the same of several versions once."""
    versions: dict[tuple[bool, str, str, str], list[int]] = {}
    first: dict[tuple[bool, str, str, str], Difference] = {}
    for version, reads, difference in objections:
        key = (reads, difference.path, difference.rule, difference.message)
        first.setdefault(key, difference)
        versions.setdefault(key, []).append(version)
    said = [_message(first[key], level, _who(reads=key[0], versions=versions[key])) for key in list(first)[:MESSAGES]]
    return [*said, f"and {len(first) - MESSAGES} more"] if len(first) > MESSAGES else said


def in_words(difference: Difference) -> str:
    """Where it is, what it is, what stands in both, and the example if there is one."""
    said = f"{difference.path or '/'}: {difference.message}"
    for who, value in (("writer", difference.writer), ("reader", difference.reader)):
        if value is not None:
            said += f", {who} {shown(value)}"
    example = difference.counterexample
    return said if example is UNSET else f"{said}; for example {shown(example)}"


def shown(value: object) -> str:
    """A value as JSON where it can be written so."""
    try:
        return msgspec.json.encode(value).decode()
    except (TypeError, ValueError, OverflowError):
        return repr(value)


def _message(difference: Difference, level: Level, who: str) -> str:
    parts = [f"{difference.path or '/'}: {_short(difference.message)} ({difference.rule})"]
    if difference.outcome == "not provable":
        parts.append("whether that is compatible cannot be shown")
    if difference.counterexample is not UNSET:
        parts.append(f"for example {_short(shown(difference.counterexample))}")
    return f"{'; '.join(parts)}; level {level}: {who}"


def _who(*, reads: bool, versions: list[int]) -> str:
    several = len(versions) > 1
    listed = ", ".join(map(str, sorted(versions)[:VERSIONS]))
    more = f" and {len(versions) - VERSIONS} more" if len(versions) > VERSIONS else ""
    earlier = f"version{'s' if several else ''} {listed}{more}"
    return (
        f"the new one is to read {earlier}" if reads else f"{earlier} {'are' if several else 'is'} to read the new one"
    )


def _short(text: str) -> str:
    return text if len(text) <= VALUE_CHARACTERS else f"{text[:VALUE_CHARACTERS]}..."
