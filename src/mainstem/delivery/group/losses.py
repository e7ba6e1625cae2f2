"""Tasks that are lost again and again while the membership stays the same: something else is wrong then."""

from typing import Final

from mainstem.errors import BrokerError, CommitRefused, IncarnationOver

LOSSES_MOST: Final = 3


class Losses:
    """How often in a row each task of a group has been lost, with nothing done in between."""

    def __init__(self, group: str) -> None:
        self._group = group
        self._counts: dict[int, int] = {}

    def count(self, task: int, error: BrokerError | IncarnationOver) -> None:
        """A task was lost. Raises CommitRefused when that was once too often."""
        self._counts[task] = self._counts.get(task, 0) + 1
        if self._counts[task] >= LOSSES_MOST:
            raise CommitRefused(
                f"task {task} of {self._group!r} was lost {LOSSES_MOST} times while the group stayed the same",
                why=str(error),
                remedy="look for another process that uses this group's name with other members, and at the broker",
            ) from error

    def forgive(self, task: int) -> None:
        """A task has got on since."""
        self._counts.pop(task, None)

    def forget(self) -> None:
        """The assignment has changed: all begin anew."""
        self._counts.clear()
