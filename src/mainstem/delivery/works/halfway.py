"""Events that an earlier owner has left halfway, behind a checkpoint, and that have not been read again yet.

Such an event kept the lane of its key. The lane knows of it again as soon as its batch is there; a timer of the key
that is due before that waits here.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from mainstem.broker import TopicPartition
from mainstem.delivery.failures import Halfway
from mainstem.delivery.lanes import Progress, Work

LONGEST_SECONDS = 60.0
"""An event may never come back, or wait behind something that waits for one of these."""


class Returning:
    """Adds works to the lanes, but those of the keys whose events are halfway when these have been read."""

    __slots__ = ("_add", "_awaited", "_kept")

    def __init__(
        self,
        add: Callable[[Sequence[Work]], None],
        halfway: Iterable[Halfway] = (),
        progress: Mapping[TopicPartition, Progress] | None = None,
    ) -> None:
        """Only those are awaited that are still to be read, by ``progress``."""
        self._add = add
        self._awaited = [each for each in halfway if _comes_back(each, progress or {})]
        self._kept: list[Work] = []

    @property
    def some(self) -> bool:
        """Whether any event is awaited."""
        return bool(self._awaited)

    def add(self, works: Sequence[Work]) -> None:
        """Add works, or keep them until the events of their keys are there."""
        if self._awaited:
            keys = {each.key for each in self._awaited}
            self._kept += [work for work in works if work.key in keys]
            works = [work for work in works if work.key not in keys]
        self._add(works)

    def read(self, at: TopicPartition, next_offset: int) -> None:
        """What a partition holds before this offset has been added to the lanes."""
        left = [each for each in self._awaited if each.at != at or each.offset >= next_offset]
        if len(left) < len(self._awaited):
            self._await(left)

    def give_up(self) -> int:
        """Wait no longer; for how many events that was."""
        count = len(self._awaited)
        self._await([])
        return count

    def _await(self, left: list[Halfway]) -> None:
        self._awaited = left
        kept, self._kept = self._kept, []
        self.add(kept)


def _comes_back(event: Halfway, progress: Mapping[TopicPartition, Progress]) -> bool:
    found = progress.get(event.at)
    if found is None or event.offset < found.position():
        return False
    return not any(first <= event.offset <= last for first, last in found.completed())
