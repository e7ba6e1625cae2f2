"""How many events a task keeps that wait for a handler, and what happens when they are too many: it reads no more."""

from msgspec import Struct

from mainstem.delivery.context import Effects
from mainstem.delivery.failures import LETTERS
from mainstem.delivery.guards.pauses import Pauses
from mainstem.state import TaskState

COUNT_STORE = "$letters"
_ROW = (COUNT_STORE, b"count")
_ENOUGH_PERCENT = 90
"""Below so much of the bound reading goes on; at the bound itself it would begin and stop with every event."""


class _Most(Struct, frozen=True):
    most: int
    pauses: Pauses

    @property
    def reason(self) -> str:
        return f"{self.most:,} parked events are as many as it keeps"


class LetterCount:
    """Counts the letters of a task, in the commits that keep and delete them; so taking over costs one read."""

    __slots__ = ("_bound", "_stored", "count")

    def __init__(self, state: TaskState) -> None:
        row = state.get(*_ROW)
        # What was parked before there was a count is counted once.
        self.count = int(row) if row is not None else sum(1 for _ in state.walk(LETTERS))
        self._stored = 0 if row is None else self.count
        self._bound: _Most | None = None

    def limit(self, most: int, pauses: Pauses) -> None:
        """From ``most`` letters on the inputs stand still, and go on when enough of them have gone."""
        self._bound = _Most(most, pauses)
        self._look()

    def add(self, effects: Effects) -> None:
        """So many more, or fewer, with the next commit."""
        self.count += effects.letters
        self._look()

    def row(self) -> dict[tuple[str, bytes], bytes | None]:
        """What the next commit is to carry of it."""
        if self._stored == self.count:
            return {}
        self._stored = self.count
        return {_ROW: b"%d" % self.count if self.count else None}

    def _look(self) -> None:
        bound = self._bound
        if bound is None:
            return
        if self.count >= bound.most:
            bound.pauses.hold(bound.reason, "redrive or discard some: mainstem dead-letters list")
        elif self.count * 100 <= bound.most * _ENOUGH_PERCENT:
            bound.pauses.release(bound.reason)
