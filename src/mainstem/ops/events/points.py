"""Points in a topic, as people name them: a begin, an end, an offset, a time."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from mainstem.broker import Log, TopicPartition
from mainstem.calendar import milliseconds
from mainstem.errors import DefinitionError


class LogPoint(NamedTuple):
    """A place in every partition: its begin, its end, an offset, or a wall-clock time in milliseconds."""

    kind: Literal["earliest", "latest", "offset", "timestamp"]
    value: int = 0


def point_of(text: str, now_ms: int) -> LogPoint:
    """Read ``earliest``, ``latest``, an offset, an ISO 8601 time (UTC unless it says so), or how long ago: ``15m``.

    Raises :class:`~mainstem.errors.DefinitionError`.
    """
    if text in ("earliest", "latest"):
        return LogPoint(text)  # type: ignore[arg-type]  # one of the two words
    if text.isdecimal():
        return LogPoint("offset", int(text))
    with suppress(DefinitionError):
        return LogPoint("timestamp", now_ms - milliseconds(text))
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise DefinitionError(
            f"{text!r} is no point in a topic",
            remedy="write earliest, latest, an offset, a time such as 2026-01-31T08:00:00Z, or how long ago: 15m",
        ) from None
    return LogPoint("timestamp", round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1_000))


async def resolve(log: Log, at: TopicPartition, point: LogPoint) -> int:
    """The offset of a point in a partition; one that lies outside becomes the nearest that is there."""
    start, end = await log.bounds(at)
    match point.kind:
        case "earliest":
            return start
        case "latest":
            return end
        case "offset":
            return max(start, min(end, point.value))
        case "timestamp":
            return max(start, await log.offset_at(at, point.value))
