"""What the caches of a task have still to write: kept as timers of the keys, and counted, so that they stay bounded.

A key whose writing has failed has no timer any more: it is parked, and waits as well.
"""

from itertools import chain, islice

from mainstem.delivery.caches.bound import Bound
from mainstem.delivery.failures import Parking, place_at
from mainstem.delivery.ledger import Ledger
from mainstem.state import TaskState, timers

_COUNTED_ANEW_PERCENT = 10


class TaskCache:
    """A cache in one incarnation of a task."""

    __slots__ = ("_count", "_handler", "_ledger", "_parking", "_since", "_timer", "bound")

    def __init__(self, bound: Bound, timer: str, handler: str, ledger: Ledger) -> None:
        """``timer`` is the name of the timers of those keys that wait to be written, and ``handler`` writes them."""
        self.bound = bound
        self._timer = timer
        self._handler = handler
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

    def is_parked(self, key: bytes) -> bool:
        """Whether writing a key has failed, and is to be tried again, or is a dead letter."""
        return self._parking.mark(self._handler, place_at(key, "", 0, 0)) is not None

    async def committed(self, store: str, key: bytes) -> None:
        """Return when the value that is kept for a key is committed."""
        if self._ledger.state.is_pending(store, key):
            await self._ledger.committed()

    def _counted(self) -> int:
        state: TaskState = self._ledger.state
        if not self.bound.most:
            return 0
        begun = (firing for firing in timers.begun(state) if firing.timer.name == self._timer)
        waiting = chain(timers.named(state, self._timer), begun, self._parking.of(self._handler))
        return sum(1 for _ in islice(waiting, self.bound.most))
