"""How far a task has come in each partition.

Events complete out of order. The committed position is the contiguous watermark in read order: the first offset read
and not completed, or where reading goes on. It is never "offset + 1": markers and compaction leave gaps. Offsets
completed beyond the position are kept as ranges, so that nothing is handled twice after a restart.
"""

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Sequence

from mainstem.broker import Batch

Ranges = list[tuple[int, int]]
"""Offsets as inclusive ranges, rising."""


class Intake:
    """One batch in progress. ``low`` is the first index that is not done; ``ahead`` the done ones beyond it."""

    __slots__ = ("ahead", "batch", "low")

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.low = 0
        self.ahead: set[int] = set()

    def done(self, index: int) -> None:
        """The record at ``index`` is completed."""
        if index != self.low:
            self.ahead.add(index)
            return
        index += 1
        ahead = self.ahead
        if ahead:
            while index in ahead:
                ahead.remove(index)
                index += 1
        self.low = index

    def done_many(self, indexes: Iterable[int]) -> None:
        """All these are completed."""
        for index in indexes:
            self.done(index)

    def is_done(self, index: int) -> bool:
        """Whether the record at ``index`` is completed."""
        return index < self.low or index in self.ahead

    @property
    def open(self) -> bool:
        """Whether anything of the batch is still to be done."""
        return self.low < len(self.batch)


class Progress:
    """The intakes of one partition, in read order, and the position that may be committed."""

    __slots__ = ("_completed", "_intakes", "_position")

    def __init__(self, position: int) -> None:
        self._position = position
        self._completed: Ranges = []
        self._intakes: deque[Intake] = deque()

    def restore(self, completed: Sequence[tuple[int, int]]) -> None:
        """Before anything is read: what an earlier owner had completed beyond the position."""
        self._completed = list(completed)

    def admit(self, batch: Batch) -> Intake:
        """Take a batch into work; what was completed before is done already."""
        intake = Intake(batch)
        if self._completed:
            offsets = batch.offsets
            for first, last in self._completed:
                intake.done_many(range(bisect_left(offsets, first), bisect_right(offsets, last)))
            behind = batch.next_offset
            self._completed = [(max(first, behind), last) for first, last in self._completed if last >= behind]
        self._intakes.append(intake)
        return intake

    def position(self) -> int:
        """The first offset that a new owner would have to handle or look at."""
        intakes = self._intakes
        while intakes and not intakes[0].open:
            self._position = intakes.popleft().batch.next_offset
        if intakes and intakes[0].low:
            self._position = intakes[0].batch.offsets[intakes[0].low]
        return self._position

    @property
    def oldest_ms(self) -> int | None:
        """The timestamp of the first record that was read and is not done; None when all are done."""
        first = next((each for each in self._intakes if each.open), None)
        return None if first is None else first.batch.timestamps[first.low]

    def completed(self) -> Ranges:
        """What is completed beyond :meth:`position`, including what has not been read again yet."""
        ranges: Ranges = []
        for intake in self._intakes:
            if not intake.low and not intake.ahead:
                continue
            offsets = intake.batch.offsets
            done = sorted({*(range(intake.low) if intake is not self._intakes[0] else ()), *intake.ahead})
            for index in done:
                _extend(ranges, offsets[index], joined=index > 0 and intake.is_done(index - 1))
        return ranges + self._completed

    @property
    def highest(self) -> int:
        """Behind the highest completed offset: where a handler that is new begins."""
        ranges = self.completed()
        return max(self.position(), ranges[-1][1] + 1 if ranges else 0)


def _extend(ranges: Ranges, offset: int, *, joined: bool) -> None:
    # Offsets inside a gap belong to nobody, so neighbours in a batch join into one range across it.
    if ranges and (joined or ranges[-1][1] == offset - 1):
        ranges[-1] = (ranges[-1][0], offset)
    else:
        ranges.append((offset, offset))
