"""The parked sequences of a group, as its audit topic tells, and which of them are wanted."""

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from mainstem.broker import Broker, read_all
from mainstem.delivery import LASTING_KEY, Entry, Notice, audit_topic, decode_entry, decode_notice, is_notice
from mainstem.ops.arguments import group_named


class Wanted(Struct, frozen=True, kw_only=True):
    """Which sequences are meant; what is empty or None says nothing. Ages are in milliseconds."""

    handlers: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    older_than_ms: int | None = None
    newer_than_ms: int | None = None
    parked: bool = False
    """Also those that have a next try."""

    @property
    def narrows(self) -> bool:
        """Whether some filter is set."""
        named = self.handlers or self.keys or self.errors or self.topics
        return bool(named) or {self.older_than_ms, self.newer_than_ms} != {None}

    def holds(self, entry: Entry, now_ms: int) -> bool:
        """Whether a sequence is meant."""
        age_ms = now_ms - entry.at_ms
        return (
            (self.parked or entry.status == "dead-lettered")
            and (not self.handlers or entry.handler in self.handlers)
            and (not self.keys or name_of(entry) in self.keys)
            and (not self.errors or entry.failure.error_type in self.errors)
            and (not self.topics or entry.letter.topic in self.topics)
            and (self.older_than_ms is None or age_ms > self.older_than_ms)
            and (self.newer_than_ms is None or age_ms < self.newer_than_ms)
        )


def name_of(entry: Entry) -> str:
    """What a person calls a sequence: its key; or, of an event without one, its place in the log."""
    return entry.place[1:].decode(errors="replace") if entry.key is None else entry.key


async def groups_of(broker: Broker, group: str | None) -> list[str]:
    """This group, or all. Raises :class:`~mainstem.errors.NotFound`."""
    return list(await broker.admin.groups()) if group is None else [(await group_named(broker, group)).name]


class Told(Struct, frozen=True):
    """What waits in a group, oldest first: the sequences that it has parked, and what holds up more than one key."""

    parked: list[Entry]
    held_up: list[Notice]


async def told_by(broker: Broker, group: str) -> Told:
    """What waits in a group, as its audit topic has it now."""
    entries: dict[tuple[int, bytes | None], Entry] = {}
    notices: dict[tuple[int, bytes | None], Notice] = {}
    async for batch in read_all(broker, audit_topic(group)):
        take_in(entries, batch.partition, zip(batch.keys, batch.values, strict=True))
        for key, value in zip(batch.keys, batch.values, strict=True):
            if value is not None and is_notice(key):
                notices[batch.partition, key] = decode_notice(value)
    return Told(
        sorted(entries.values(), key=lambda entry: (entry.at_ms, entry.task, entry.place)),
        sorted((each for each in notices.values() if not each.over), key=lambda each: (each.at_ms, each.task)),
    )


async def parked(broker: Broker, group: str) -> list[Entry]:
    """Everything that a group has parked, oldest first."""
    return (await told_by(broker, group)).parked


def take_in(
    entries: dict[tuple[int, bytes | None], Entry],
    partition: int,
    records: Iterable[tuple[bytes | None, bytes | None]],
) -> None:
    """Let later records of the audit topic replace earlier ones; a tombstone ends a sequence."""
    for key, value in records:
        if key is not None and key.startswith(LASTING_KEY):
            continue  # it has changed or left for good, and may be large; or it is a notice
        entry = None if value is None else decode_entry(value)
        if entry is None:
            entries.pop((partition, key), None)
        else:
            entries[partition, key] = entry


def payload_of(value: bytes | None) -> object:
    """A payload as JSON has it; bytes that are none stay bytes."""
    if value is None:
        return None
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return value
