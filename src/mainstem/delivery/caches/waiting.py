"""What the caches of a task have still to write: kept as timers of the keys, and counted, so that they stay bounded."""

from itertools import islice

from mainstem.delivery.caches.bound import Bound
from mainstem.delivery.failures import Parking, place_at
from mainstem.delivery.ledger import Ledger
from mainstem.state import TaskState, timers

_COUNTED_ANEW_PERCENT = 10


class TaskCache:
    """A cache in one incarnation of a task."""

    __slots__ = ("_count", "_ledger", "_parking", "_since", "_timer", "bound")

    def __init__(self, bound: Bound, timer: str, ledger: Ledger) -> None:
        """``timer`` is the name of the timers of those keys that wait to be written."""
        self.bound = bound
        self._timer = timer
        self._ledger = ledger
        self._parking = Parking(ledger.state)
        self._count = self._counted()
        self._since = 0

    def is_full(self) -> bool:
        """Whether as many keys wait as may: then what is put next is written at once, and its handler waits."""
        if self._count >= self.bound.most:
            # Handlers that have failed have let nobody wait, and were counted.
            self._since += 1
            if self._since * 100 > self.bound.most * _COUNTED_ANEW_PERCENT:
                self._count, self._since = self._counted(), 0
        return self._count >= self.bound.most

    def begins_to_wait(self) -> None:
        """A key more waits to be written."""
        self._count += 1

    def is_written(self) -> None:
        """A key waits no more."""
        self._count = max(0, self._count - 1)

    def is_parked(self, handler: str, key: bytes) -> bool:
        """Whether writing a key has failed, and is to be tried again, or is a dead letter."""
        return self._parking.mark(handler, place_at(key, "", 0, 0)) is not None

    async def committed(self, store: str, key: bytes) -> None:
        """Return when the value that is kept for a key is committed."""
        if self._ledger.state.is_pending(store, key):
            await self._ledger.committed()

    def _counted(self) -> int:
        state: TaskState = self._ledger.state
        return sum(1 for _ in islice(timers.named(state, self._timer), self.bound.most)) if self.bound.most else 0
