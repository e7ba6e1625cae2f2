"""Durations as people write them: ``"50ms"``, ``"10s"``, ``"1m"``, ``"1h30m"``, ``"14d"``."""

import math
import re
from datetime import timedelta
from typing import TypeAlias

from mainstem.errors import DefinitionError

Duration: TypeAlias = str | float | timedelta
"""A length of time: a number of seconds, a ``timedelta``, or text such as ``"10s"``."""

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
_STEP = r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)"
_STEPS = re.compile(_STEP)
_TEXT = re.compile(rf"(?:{_STEP})+")


def seconds(duration: Duration) -> float:
    """The length of ``duration`` in seconds.

    A bare number is seconds; text needs a unit: ``ms``, ``s``, ``m`` (minutes), ``h``, ``d`` (24 hours) or ``w``.
    Raises ``DefinitionError`` for text it cannot read, and for a duration that is negative or not finite.
    """
    if isinstance(duration, str):
        text = duration.strip()
        if not _TEXT.fullmatch(text):
            raise DefinitionError(
                f"{duration!r} is not a duration",
                why="a duration in text is numbers with units, and has no sign",
                remedy='write "50ms", "10s", "1m", "1h30m", "14d" or "2w"; or give seconds as a number',
            )
        return math.fsum(float(amount) * _SECONDS[unit] for amount, unit in _STEPS.findall(text))
    length = duration.total_seconds() if isinstance(duration, timedelta) else float(duration)
    if not 0 <= length < math.inf:
        raise DefinitionError(
            f"{duration!r} is not a duration",
            why="a duration is finite, and time does not go back",
            remedy="give zero or a positive number of seconds",
        )
    return length


def milliseconds(duration: Duration) -> int:
    """The length of ``duration`` in whole milliseconds, rounded; raises as ``seconds`` does."""
    return round(seconds(duration) * 1_000)


def written(length_ms: int) -> str:
    """A length as people write it, in the largest units that leave nothing over: ``"1h30m"``."""
    said = ""
    for unit in ("d", "h", "m", "s", "ms"):
        each_ms = round(_SECONDS[unit] * 1_000)
        count, length_ms = divmod(length_ms, each_ms)
        said += f"{count}{unit}" if count else ""
    return said or "0s"
