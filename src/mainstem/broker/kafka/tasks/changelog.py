"""Changelogs: one compacted topic for each group, in which partition n holds the rows of task n; its other topics.

One topic for all stores, because every partition that a transaction touches costs it a marker, and one offset says how
far a local copy has come.
"""

from typing import Final

from mainstem.broker import Change, GroupSpec, Record, TopicPartition, TopicSpec

REGISTRY: Final = TopicPartition("mainstem.groups", 0)
HISTORY_BYTES: Final = 1_000_000
_SEPARATOR: Final = b"\x00"


def changelog_of(group: str) -> str:
    """The topic that holds the stores of a group."""
    return f"{group}.changelog"


def own_topics(group: GroupSpec, record_bytes_max: int) -> tuple[TopicSpec, ...]:
    """What a group needs beside its inputs, whose records have at most so many bytes."""
    # A parked event is a row: the largest event, with its headers and history.
    row_bytes_max = record_bytes_max + HISTORY_BYTES
    return (
        TopicSpec(REGISTRY.topic, 1, compact=True),
        TopicSpec(group.inbox, group.tasks),
        TopicSpec(changelog_of(group.name), group.tasks, compact=True, record_bytes_max=row_bytes_max),
    )


def change_record(change: Change) -> Record:
    """A change as a record: compaction keeps the last one of each store and key."""
    # Without a time the client takes its own; nobody reads it.
    return Record(change.store.encode() + _SEPARATOR + change.key, change.value, 0)


def change_of(key: bytes, value: bytes | None) -> Change:
    """The change that a record stands for."""
    store, _, row = key.partition(_SEPARATOR)
    return Change(store.decode(), row, value)
