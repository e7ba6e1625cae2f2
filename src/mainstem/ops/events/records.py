"""Reading a log without a group: up to where it ended when asked, or for ever."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from mainstem.broker import Batch, Log, TopicPartition
from mainstem.calendar import milliseconds
from mainstem.errors import DefinitionError


async def partitions_of(log: Log, topic: str, count: int) -> dict[TopicPartition, tuple[int, int]]:
    """Where each partition begins and ends now."""
    found = {}
    for number in range(count):
        at = TopicPartition(topic, number)
        found[at] = await log.bounds(at)
    return found


async def read(
    log: Log, positions: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int] | None = None
) -> AsyncGenerator[Batch, None]:
    """Batches from ``positions`` on. With ``ends`` it stops behind these; a batch may go on beyond.

    Use it with :func:`contextlib.aclosing` when it may be left early.
    """
    ahead = {} if ends is None else {at: end for at, end in ends.items() if positions[at] < end}
    reader = log.reader(positions)
    try:
        while ends is None or ahead:
            batch = reader.take()
            if batch is not None:
                at = TopicPartition(batch.topic, batch.partition)
                if batch.next_offset >= ahead.get(at, batch.next_offset + 1):
                    del ahead[at]
                yield batch
            elif ends is not None and not any(reader.lag()[at] for at in ahead):
                return  # what compaction has removed at the end is never taken
            else:
                await reader.wait()
    finally:
        reader.close()


async def read_all(log: Log, topic: str, count: int) -> AsyncGenerator[Batch, None]:
    """Everything that a topic has now."""
    bounds = await partitions_of(log, topic, count)
    starts = {at: start for at, (start, _) in bounds.items()}
    ends = {at: end for at, (_, end) in bounds.items()}
    async with aclosing(read(log, starts, ends)) as batches:
        async for batch in batches:
            yield batch


class Point(NamedTuple):
    """A place in every partition: its begin, its end, an offset, or a wall-clock time in milliseconds."""

    kind: Literal["earliest", "latest", "offset", "timestamp"]
    value: int = 0


def point_of(text: str, now_ms: int) -> Point:
    """Read ``earliest``, ``latest``, an offset, an ISO 8601 time (UTC unless it says so), or how long ago: ``15m``.

    Raises :class:`~mainstem.errors.DefinitionError`.
    """
    if text in ("earliest", "latest"):
        return Point(text)  # type: ignore[arg-type]  # one of the two words
    if text.isdecimal():
        return Point("offset", int(text))
    with suppress(DefinitionError):
        return Point("timestamp", now_ms - milliseconds(text))
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise DefinitionError(
            f"{text!r} is no point in a topic",
            remedy="write earliest, latest, an offset, a time such as 2026-01-31T08:00:00Z, or how long ago: 15m",
        ) from None
    return Point("timestamp", round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1_000))


async def resolve(log: Log, at: TopicPartition, point: Point) -> int:
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
