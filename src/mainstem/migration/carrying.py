"""A record on its way: what it becomes on the other side, and a digest of it there and here.

Two things are added, so that nothing is lost. A record without an id gets the one that follows from where it stands
now, because it will stand elsewhere; and a time of 0 becomes 1, because a cluster takes 0 for now.
"""

from collections.abc import Iterator
from hashlib import blake2b
from typing import Final

from mainstem.broker import Batch, Headers, Record
from mainstem.events import CE_ID, identity, is_structured

DIGEST_BYTES: Final = 16


def carried(batch: Batch) -> list[Record]:
    """The records of a batch as they are to be appended elsewhere."""
    records = []
    common: Headers = dict(batch.common)
    owns = _own_headers(batch)
    columns = zip(batch.offsets, batch.keys, batch.values, batch.timestamps, owns, strict=True)
    for offset, key, value, timestamp_ms, own in columns:
        if CE_ID not in common and CE_ID not in own and not is_structured({**common, **own}):
            own[CE_ID] = identity(None, batch.topic, batch.partition, offset).encode()
        records.append(Record(key, value, timestamp_ms or 1, common, own))
    return records


def arrived(batch: Batch) -> list[Record]:
    """The records of a batch as they are."""
    owns = _own_headers(batch)
    columns = zip(batch.keys, batch.values, batch.timestamps, owns, strict=True)
    return [Record(key, value, timestamp_ms, batch.common, own) for key, value, timestamp_ms, own in columns]


def _own_headers(batch: Batch) -> Iterator[dict[str, bytes]]:
    names = list(batch.own.names())
    if not names:
        return ({} for _ in batch.offsets)
    rows = zip(*(batch.own.column(name) for name in names), strict=True)
    return ({name: value for name, value in zip(names, row, strict=True) if value is not None} for row in rows)


class Digest:
    """A digest of records or rows in their order; equal ones come from equal sequences."""

    __slots__ = ("_hash", "count")

    def __init__(self) -> None:
        """Of nothing yet."""
        self._hash = blake2b(digest_size=DIGEST_BYTES)
        self.count = 0

    def add(self, *parts: bytes | None) -> None:
        """Take in what belongs together; where one part ends and the next begins counts as well."""
        self.count += 1
        update = self._hash.update
        update(len(parts).to_bytes(4, "big"))
        for part in parts:
            if part is None:
                update(b"-")
            else:
                update(b"+%d:" % len(part))
                update(part)

    def add_record(self, record: Record) -> None:
        """Take in a record: key, value, time and headers, whatever order these have."""
        headers = sorted({**record.common, **record.own}.items())
        flat = [part for name, value in headers for part in (name.encode(), value)]
        self.add(record.key, record.value, b"%d" % record.timestamp_ms, *flat)

    def add_digest(self, other: "Digest") -> None:
        """Take in all of another sequence."""
        self._hash.update(other.text.encode())
        self.count += other.count

    @property
    def text(self) -> str:
        """The digest in hexadecimal digits."""
        return self._hash.hexdigest()
