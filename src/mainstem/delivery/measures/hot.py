"""A key that makes a large share of what a task reads: all its events take turns in one lane."""

from collections import Counter
from typing import Final

from mainstem.broker import Batch
from mainstem.clock import Clock

SAMPLE: Final = 16
"""About so many keys of a batch are looked at, and of no more than one batch between two commits."""
WINDOW: Final = 2_048
LEAST: Final = 64
"""Of fewer keys nothing can be said."""
HOT_SHARE: Final = 0.2
FRESH_SECONDS: Final = 60.0


class HotKeys:
    """Counts a few keys now and then; what was counted counts less and less."""

    __slots__ = ("_clock", "_counts", "_sampled_at", "_total", "due")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts: Counter[bytes | None] = Counter()
        self._total = 0
        self._sampled_at = 0.0
        self.due = True
        """Whether the next batch is to be looked at."""

    def sample(self, batch: Batch) -> None:
        """Look at some keys of a batch."""
        self.due = False
        self._sampled_at = self._clock.monotonic()
        keys = batch.keys[:: max(1, len(batch) // SAMPLE)]
        self._counts.update(keys)
        self._total += len(keys)
        if self._total >= WINDOW:
            self._counts = Counter({key: count // 2 for key, count in self._counts.items() if count > 1})
            self._total = self._counts.total()

    def hottest(self) -> tuple[bytes, float] | None:
        """The key that was read most often lately, and its share; None where none stands out, or little is read."""
        if self._total < LEAST or self._clock.monotonic() - self._sampled_at > FRESH_SECONDS:
            return None
        found = ((key, count) for key, count in self._counts.items() if key is not None)
        key, count = max(found, key=lambda each: each[1], default=(b"", 0))
        share = count / self._total
        return (key, share) if share >= HOT_SHARE else None
