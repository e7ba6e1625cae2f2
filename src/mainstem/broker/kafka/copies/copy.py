"""A local copy, as far as Kafka is concerned: it takes changes between two offsets of a changelog."""

from collections.abc import Sequence
from typing import Protocol, cast

from mainstem.broker import Batch
from mainstem.broker.kafka.copies.changelog import Rows, rows_of


class Copy(Protocol):
    """A local copy of one partition of a changelog."""

    next: int
    """The offset behind everything that it has taken in."""

    @property
    def asked(self) -> bool:
        """Whether another process of this machine needs it; asked of a standby's copy, and often."""
        ...

    def hurry(self, *, much: bool) -> None:
        """Much is to be taken in, or not any more."""
        ...

    def apply(self, changes: Rows, before: int, after: int, *, whole: bool) -> None:
        """Take in the changes between two offsets; refused when it has not come exactly as far as ``before``.

        ``whole`` says that there is nothing more to take in at this time.
        """
        ...

    def close(self) -> None:
        """Let it go."""
        ...


class Copies(Protocol):
    """Where the local copies are. All of it blocks for a moment."""

    def identity(self) -> str:
        """What the folder of the copies is called, by all processes that share it."""
        ...

    def open(self, group: str, task: int, topic_id: str, start: int, end: int) -> Copy:
        """The copy of a task that is owned here; one that cannot be what this changelog says is begun anew.

        A standby's copy that is open in this process becomes the owner's.
        """
        ...

    def standby(self, group: str, task: int, topic_id: str, start: int, end: int) -> Copy | None:
        """The copy of a task that another machine runs, never read before it is the owner's; None while it is held."""
        ...


def take_in(copy: Copy, batches: Sequence[Batch]) -> None:
    """Apply what was read of its changelog, at least one batch."""
    last: dict[bytes, bytes | None] = {}
    for batch in batches:
        # Without a key nothing can be in a compacted topic.
        last.update(zip(cast("Sequence[bytes]", batch.keys), batch.values, strict=True))
    copy.apply(rows_of(last), copy.next, batches[-1].next_offset, whole=False)
