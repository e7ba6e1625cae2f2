"""Which offset has become which: a table of runs, made while both sides are read side by side."""

from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mainstem.broker import TopicPartition


class Run(NamedTuple):
    """So many records whose offsets rise by one on both sides."""

    source: int
    target: int
    length: int


class PartitionPlaces:
    """The runs of one partition, and where its copy ends."""

    __slots__ = ("_runs", "_sources", "end")

    def __init__(self, sources: "array[int] | Sequence[int]", targets: "array[int] | Sequence[int]", end: int) -> None:
        """Offsets of the same records on both sides, rising; ``end`` is where the next record will be appended."""
        runs: list[Run] = []
        for source, target in zip(sources, targets, strict=True):
            if runs:
                last = runs[-1]
                if source - last.source == target - last.target == last.length:
                    runs[-1] = Run(last.source, last.target, last.length + 1)
                    continue
            runs.append(Run(source, target, 1))
        self._runs = runs
        self._sources = [run.source for run in runs]
        self.end = end

    def first_from(self, offset: int) -> int:
        """The place of the first record at or behind ``offset``; the end where there is none."""
        index = bisect_right(self._sources, offset) - 1
        if index >= 0:
            run = self._runs[index]
            if offset < run.source + run.length:
                return run.target + offset - run.source
        return self._runs[index + 1].target if index + 1 < len(self._runs) else self.end

    def last_before(self, offset: int) -> int:
        """The place of the last record before ``offset``; -1 where there is none."""
        index = bisect_right(self._sources, offset - 1) - 1
        if index < 0:
            return -1
        run = self._runs[index]
        return run.target + min(offset - 1 - run.source, run.length - 1)


class Translation:
    """The places of all partitions that were moved."""

    def __init__(self, partitions: Mapping[TopicPartition, PartitionPlaces], topic_ids: Mapping[str, str]) -> None:
        """``topic_ids`` are those that the topics have where they are now."""
        self._partitions = partitions
        self.topic_ids = topic_ids

    def __contains__(self, at: object) -> bool:
        """Whether a partition was moved."""
        return at in self._partitions

    def first_from(self, at: TopicPartition, offset: int) -> int:
        """The place of the first record at or behind ``offset``; the end where there is none.

        In a partition that is not there any more an offset stays what it was.
        """
        places = self._partitions.get(at)
        return offset if places is None else places.first_from(offset)

    def last_before(self, at: TopicPartition, offset: int) -> int:
        """The place of the last record before ``offset``; -1 where there is none."""
        places = self._partitions.get(at)
        return offset - 1 if places is None else places.last_before(offset)
