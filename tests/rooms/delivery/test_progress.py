"""How far a task has come in a partition, against a plain model."""

from itertools import pairwise

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mainstem.broker import Batch, NoColumns, TopicPartition
from mainstem.delivery.lanes import Intake, Progress, Ranges

AT = TopicPartition("t", 0)


def batch_of(offsets: list[int], next_offset: int) -> Batch:
    """Records at these offsets."""
    size = len(offsets)
    columns = ([None] * size, [b""] * size, [0] * size)
    return Batch(AT, offsets, columns, common={}, own=NoColumns(), next_offset=next_offset)


class AgainstAModel(RuleBasedStateMachine):
    """A log with gaps is read in batches of any size, completed in any order, committed and taken over at any time."""

    @initialize(offsets=st.sets(st.integers(0, 40), min_size=1, max_size=25), lead=st.integers(0, 3))
    def begin(self, offsets: set[int], lead: int) -> None:
        """A partition that is there already."""
        self.log = sorted(offsets)
        self.end = self.log[-1] + 1 + lead
        self.handled: dict[int, int] = {}
        self.start = self.log[0]
        self.take_over(self.start, [])
        self.committed: tuple[int, Ranges, dict[int, int]] = (self.start, [], {})

    def take_over(self, position: int, completed: Ranges) -> None:
        """Begin at a committed position."""
        self.progress = Progress(position)
        self.progress.restore(completed)
        self.reading = position
        self.intakes: list[Intake] = []

    @rule(count=st.integers(1, 6), gap=st.integers(0, 5))
    def read(self, count: int, gap: int) -> None:
        """The next records come as one batch; it may know of a part of the gap behind it."""
        offsets = [offset for offset in self.log if offset >= self.reading][:count]
        following = [offset for offset in self.log if offset > (offsets[-1] if offsets else self.reading)]
        if not offsets:
            return
        next_offset = min(offsets[-1] + 1 + gap, following[0] if following else self.end)
        intake = self.progress.admit(batch_of(offsets, next_offset))
        self.reading = next_offset
        self.intakes.append(intake)
        for index, offset in enumerate(offsets):
            assert intake.is_done(index) == (offset in self.handled)

    def open(self) -> list[tuple[Intake, int]]:
        """What is being worked on."""
        return [
            (intake, index)
            for intake in self.intakes
            for index in range(len(intake.batch))
            if not intake.is_done(index)
        ]

    @precondition(lambda self: self.open())
    @rule(data=st.data(), several=st.integers(1, 4))
    def complete(self, data: st.DataObject, several: int) -> None:
        """Some records are done, in any order."""
        for intake, index in data.draw(st.permutations(self.open()))[:several]:
            offset = intake.batch.offsets[index]
            intake.done(index)
            self.handled[offset] = self.handled.get(offset, 0) + 1

    @rule()
    def commit(self) -> None:
        """Position and completed ranges are written down, with the effects they belong to."""
        position = self.progress.position()
        self.committed = (position, self.progress.completed(), dict(self.handled))

    @rule()
    def die(self) -> None:
        """The next owner begins at the last commit, and its effects are all that is left."""
        position, completed, handled = self.committed
        self.handled = dict(handled)
        self.take_over(position, completed)

    @invariant()
    def once_in_effect(self) -> None:
        """Nothing is handled twice within what counts."""
        assert all(count == 1 for count in getattr(self, "handled", {}).values())

    @invariant()
    def the_position_is_the_watermark(self) -> None:
        """It is the first record read and not done, or where reading goes on; nothing unfinished lies before it."""
        if not hasattr(self, "progress"):
            return
        position = self.progress.position()
        undone = [intake.batch.offsets[index] for intake, index in self.open()]
        lies_before = [offset for offset in self.log if offset < position]
        assert all(offset in self.handled for offset in lies_before)
        if undone:
            assert position <= undone[0]
            assert not [offset for offset in self.log if position <= offset < undone[0]]
        else:
            assert position == self.reading

    @invariant()
    def the_ranges_are_what_is_done_beyond(self) -> None:
        """They hold every record that is done behind the position, no other, in rising order without touching."""
        if not hasattr(self, "progress"):
            return
        position, ranges = self.progress.position(), self.progress.completed()
        inside = [offset for offset in self.log if any(first <= offset <= last for first, last in ranges)]
        assert inside == [offset for offset in self.log if offset >= position and offset in self.handled]
        assert all(first <= last for first, last in ranges)
        assert all(before[1] < after[0] for before, after in pairwise(ranges))

    @invariant()
    def a_new_handler_begins_behind_everything(self) -> None:
        """Behind the highest completed record, at or beyond the position."""
        if not hasattr(self, "progress"):
            return
        done = [offset for offset in self.log if offset in self.handled]
        assert self.progress.highest == max([self.progress.position(), *(offset + 1 for offset in done)])


AgainstAModel.TestCase.settings = settings(max_examples=200, stateful_step_count=30)
TestAgainstAModel = AgainstAModel.TestCase


def test_neighbours_across_a_gap_join() -> None:
    """Offsets that a transaction marker has taken belong to nobody, so the ranges around one are one range."""
    progress = Progress(0)
    intake = progress.admit(batch_of([0, 2, 5, 9], 12))
    intake.done_many([1, 2, 3])
    assert (progress.position(), progress.completed(), progress.highest) == (0, [(2, 9)], 10)
    intake.done(0)
    assert (progress.position(), progress.completed(), progress.highest) == (12, [], 12)


def test_a_batch_without_records_moves_the_position() -> None:
    """A stretch of the log that holds nothing but markers is passed over."""
    progress = Progress(0)
    progress.admit(batch_of([], 7))
    assert progress.position() == 7


def test_what_has_not_been_read_again_stays_completed() -> None:
    """A new owner that has read nothing yet commits the completed set as it was."""
    progress = Progress(3)
    progress.restore([(5, 9), (12, 12)])
    assert (progress.position(), progress.completed(), progress.highest) == (3, [(5, 9), (12, 12)], 13)
    progress.admit(batch_of([3, 5, 6], 7))
    assert progress.completed() == [(5, 6), (7, 9), (12, 12)]
