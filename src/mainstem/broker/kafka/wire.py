"""Between the shapes: a record becomes what a producer takes, and messages become columns."""

from collections.abc import Sequence
from typing import Final, TypeAlias, cast

from confluent_kafka import Message

from mainstem.broker import Batch, Headers, Record, TopicPartition
from mainstem.errors import RecordTooLarge

Pair: TypeAlias = tuple[str, str | bytes | None]
"""What the client takes; here it is always a name and bytes."""
_NO_HEADERS: Final[Headers] = {}


class HeaderPairs:
    """Headers as a producer takes them. Those that many records share are made once."""

    __slots__ = ("_common", "_pairs")

    def __init__(self) -> None:
        self._common: Headers = _NO_HEADERS
        self._pairs: list[Pair] = []

    def of(self, record: Record) -> list[Pair]:
        """The headers of a record."""
        if record.common is not self._common:
            self._common = record.common
            self._pairs = list(record.common.items())
        return [*self._pairs, *record.own.items()] if record.own else self._pairs


class MessageHeaders:
    """The header columns of messages; nothing is looked at before somebody asks."""

    __slots__ = ("_messages", "_rows")

    def __init__(self, messages: Sequence[Message]) -> None:
        self._messages: Sequence[Message] | None = messages
        self._rows: list[Headers] = []

    def names(self) -> Sequence[str]:
        """The names that at least one record has."""
        return list(dict.fromkeys(name for row in self._decoded() for name in row))

    def column(self, name: str) -> Sequence[bytes | None]:
        """The header of each record."""
        return [row.get(name) for row in self._decoded()]

    def _decoded(self) -> list[Headers]:
        if self._messages is not None:
            self._rows = [_headers(message) for message in self._messages]
            self._messages = None
        return self._rows


def _headers(message: Message) -> Headers:
    pairs = cast("Sequence[tuple[str, bytes | None]] | None", message.headers())
    if not pairs:
        return _NO_HEADERS
    row = dict(pairs)
    if None in row.values():
        # A header without a value comes from outside; here it counts as one that is not there.
        return {name: value for name, value in row.items() if value is not None}
    return cast("Headers", row)


def batch_of(at: TopicPartition, messages: Sequence[Message], next_offset: int) -> Batch:
    """The messages of one partition, in columns."""
    return Batch(
        at,
        cast("list[int]", [message.offset() for message in messages]),
        (
            [message.key() for message in messages],
            [message.value() for message in messages],
            [message.timestamp()[1] for message in messages],
        ),
        common=_NO_HEADERS,
        own=MessageHeaders(messages),
        next_offset=next_offset,
    )


def size_bytes(record: Record) -> int:
    """What counts against the limit of a topic."""
    return len(record.key or b"") + len(record.value or b"")


def check_sizes(at: TopicPartition, records: Sequence[Record], bytes_max: int) -> None:
    """Refuse what the topic does not take, before any of it is sent."""
    for record in records:
        if size_bytes(record) > bytes_max:
            raise RecordTooLarge(
                f"A record of {size_bytes(record)} bytes is larger than its topic takes",
                where=f"{at.topic}[{at.partition}]",
                why=f"the topic takes records of up to {bytes_max} bytes, keys included",
                remedy="raise record_bytes_max of the topic, or store the content elsewhere and publish where it is",
            )
