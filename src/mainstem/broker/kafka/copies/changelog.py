"""Changelogs: one compacted topic for each group, in which partition n holds the rows of task n; its other topics.

One topic for all stores, because every partition that a transaction touches costs it a marker, and one offset says how
far a local copy has come.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from mainstem.broker import Change, Record, changelog_of
from mainstem.broker.kafka.calls import unknown_topic
from mainstem.broker.kafka.topics import Topics

_SEPARATOR: Final = b"\x00"
_BEHIND: Final = b"\x01"

Rows: TypeAlias = Mapping[str, Sequence[tuple[bytes, bytes | None]]]
"""By store, keys in their order and their new values, or None for a deletion."""


async def topic_id_of(topics: Topics, group: str) -> str:
    """The id of a group's changelog as it is now: what is remembered may be that of one that is not there any more."""
    topic = changelog_of(group)
    described = await topics.describe([topic])
    if topic not in described:
        raise unknown_topic(topic)
    return described[topic][1]


def change_records(changes: Iterable[Change]) -> list[Record]:
    """Changes as records: compaction keeps the last one of each store and key."""
    prefixes: dict[str, bytes] = {}
    records: list[Record] = []
    for store, key, value in changes:
        try:
            prefix = prefixes[store]
        except KeyError:
            prefix = prefixes[store] = store.encode() + _SEPARATOR
        # Without a time the client takes its own; nobody reads it.
        records.append(Record(prefix + key, value, 0))
    return records


def change_of(key: bytes, value: bytes | None) -> Change:
    """The change that a record stands for."""
    store, _, row = key.partition(_SEPARATOR)
    return Change(store.decode(), row, value)


def changed_rows(changes: Iterable[Change]) -> Rows:
    """What changes come to, one after the other."""
    last: dict[str, dict[bytes, bytes | None]] = {}
    for store, key, value in changes:
        last.setdefault(store, {})[key] = value
    return {store: sorted(rows.items()) for store, rows in last.items()}


def rows_of(last: Mapping[bytes, bytes | None]) -> Rows:
    """What the last records of their keys stand for. It is done for every record of a restore: mostly by C."""
    keys = sorted(last)
    rows: dict[str, Sequence[tuple[bytes, bytes | None]]] = {}
    start = 0
    while start < len(keys):
        store, _, _ = keys[start].partition(_SEPARATOR)
        stop = bisect_left(keys, store + _BEHIND, start)
        cut = len(store) + 1
        rows[store.decode()] = [(key[cut:], last[key]) for key in keys[start:stop]]
        start = stop
    return rows
