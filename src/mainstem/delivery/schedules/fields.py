"""The five fields of a cron expression, each as the set of numbers that it stands for."""

import re
from difflib import get_close_matches
from typing import Final, NamedTuple

from mainstem.errors import DefinitionError

_MONTHS: Final = {
    name: number + 1
    for number, name in enumerate(("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"))
}
_DAYS: Final = {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
_TERM: Final = re.compile(r"(?:(\*)|([a-z]+|\d+)(?:-([a-z]+|\d+))?)(?:/(\d+))?")
_SHORT: Final = {
    "@yearly": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_DAYS_OF_MONTHS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
ALL_HOURS: Final = frozenset(range(24))


class _Kind(NamedTuple):
    name: str
    first: int
    last: int
    words: dict[str, int]


_KINDS: Final = (
    _Kind("minute", 0, 59, {}),
    _Kind("hour", 0, 23, {}),
    _Kind("day of the month", 1, 31, {}),
    _Kind("month", 1, 12, _MONTHS),
    _Kind("day of the week", 0, 7, _DAYS),
)


class Fields(NamedTuple):
    """What a cron expression stands for. Days of the week count from Sunday, 0."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool
    """A day of the month and a day of the week are named, and one of them is enough."""


def fields_of(text: str) -> Fields:
    """Read an expression such as ``0 8 * * mon-fri``. Raises :class:`~mainstem.errors.DefinitionError`."""
    parts = _SHORT.get(text.strip().lower(), text).lower().split()
    if len(parts) != len(_KINDS):
        if parts and parts[0].startswith("@"):
            raise _unknown_word(text)
        raise _unreadable(text, f"it has {len(parts)} field{'s' * (len(parts) != 1)}, and not five")
    sets = [_numbers(part, kind, text) for part, kind in zip(parts, _KINDS, strict=True)]
    minutes, hours, days, months, weekdays = sets
    either = not parts[2].startswith("*") and not parts[4].startswith("*")
    if not either and not any(day <= _DAYS_OF_MONTHS[month - 1] for day in days for month in months):
        raise _unreadable(text, "no month that it names has such a day, so that it would never run")
    return Fields(minutes, hours, days, months, frozenset(day % 7 for day in weekdays), either)


def _numbers(part: str, kind: _Kind, text: str) -> frozenset[int]:
    found: set[int] = set()
    for term in part.split(","):
        match = _TERM.fullmatch(term)
        if match is None:
            raise _unreadable(text, f"{term!r} is no {kind.name}")
        star, low, high, step = match.groups()
        first = kind.first if star else _number(low, kind, text)
        last = kind.last if star or (high is None and step) else first
        last = _number(high, kind, text) if high is not None else last
        if last < first:
            raise _unreadable(text, f"{term!r} ends before it begins")
        if step is not None and int(step) == 0:
            raise _unreadable(text, f"{term!r} has steps of nothing")
        found.update(range(first, last + 1, int(step or 1)))
    return frozenset(found)


def _number(word: str, kind: _Kind, text: str) -> int:
    number = int(word) if word.isdigit() else kind.words.get(word)
    if number is None or not kind.first <= number <= kind.last:
        raise _unreadable(text, f"{word!r} is no {kind.name}")
    return number


def _unknown_word(text: str) -> DefinitionError:
    near = get_close_matches(text.strip().lower(), _SHORT, n=1)
    return DefinitionError(
        f"{text!r} is not a schedule",
        why=f"the words that stand for one are {', '.join(_SHORT)}",
        remedy=f"did you mean {near[0]}?" if near else "write one of them, or five fields",
    )


def _unreadable(text: str, why: str) -> DefinitionError:
    return DefinitionError(
        f"{text!r} is not a schedule",
        why=why,
        remedy='write minute, hour, day of the month, month and day of the week, as in "0 8 * * mon-fri"',
    )
