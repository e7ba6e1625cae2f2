"""What a producer knows, kept outside the database: which numbers it has tried to publish, and which were acknowledged.

A line is in the file before its publish begins (``try``), or before the producer believes its acknowledgement
(``ack``, synced). Numbers are used once: what was tried and not acknowledged is never tried again.
"""

import os
from pathlib import Path
from typing import NamedTuple


class Burst(NamedTuple):
    """Events that were published together, all or none: their first and last number."""

    first: int
    last: int


class Account(NamedTuple):
    """A journal that was read: what is certain, and what nobody was told about."""

    producer: str
    acknowledged: list[Burst]
    in_doubt: list[Burst]

    @property
    def next_number(self) -> int:
        """The first number that was never tried."""
        return max((burst.last for burst in (*self.acknowledged, *self.in_doubt)), default=-1) + 1


class Journal:
    """The journal of one producer, open for writing."""

    def __init__(self, path: Path) -> None:
        """Go on with the journal at ``path``, or begin it."""
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def tries(self, burst: Burst) -> None:
        """These are about to be published."""
        os.write(self._descriptor, b"try %d %d\n" % burst)

    def acknowledged(self, burst: Burst) -> None:
        """These were acknowledged."""
        os.write(self._descriptor, b"ack %d %d\n" % burst)
        os.fsync(self._descriptor)


def read_journal(path: Path) -> Account:
    """Read a journal; its name is the producer's. A last line that was cut off by a kill counts as not written."""
    tried: dict[Burst, bool] = {}
    for line in path.read_text().splitlines(keepends=True) if path.exists() else ():
        if not line.endswith("\n"):
            break
        word, first, last = line.split()
        tried[Burst(int(first), int(last))] = word == "ack"
    return Account(
        path.stem,
        [burst for burst, acknowledged in tried.items() if acknowledged],
        [burst for burst, acknowledged in tried.items() if not acknowledged],
    )
