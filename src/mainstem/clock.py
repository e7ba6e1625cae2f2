"""Time, as something that is handed in.

Nothing else in the library reads a clock, which is what makes simulation and replay possible. Waiting is not here: it
belongs to the event loop, and a simulation brings a loop whose time is a ``ManualClock``.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """Two readings of time: one that people agree on, one that never goes back."""

    def now_ms(self) -> int:
        """Wall clock time, in milliseconds since 1970 (UTC). It may jump, in either direction."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment. It never goes back; only differences mean something."""
        ...


class SystemClock:
    """The clocks of the operating system."""

    __slots__ = ()

    def now_ms(self) -> int:
        """Wall clock time, in milliseconds since 1970 (UTC)."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment; the same scale as the running event loop's ``time()``."""
        return time.monotonic()


class ManualClock:
    """A clock that stands still until it is moved."""

    __slots__ = ("_elapsed_ns", "_start_ms", "_wall_offset_ns")

    def __init__(self, start_ms: int = 1_357_016_400_000) -> None:
        """Begin at the wall clock time ``start_ms``; ``monotonic()`` begins at zero."""
        self._start_ms = start_ms
        # Whole nanoseconds: a sum of many small floats would drift away from the sum of the advances.
        self._elapsed_ns = 0
        self._wall_offset_ns = 0

    def now_ms(self) -> int:
        """Wall clock time, in milliseconds since 1970 (UTC)."""
        return self._start_ms + (self._elapsed_ns + self._wall_offset_ns) // 1_000_000

    def monotonic(self) -> float:
        """Seconds that this clock was advanced by, in all."""
        return self._elapsed_ns / 1_000_000_000

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass on both readings. Raises ``ValueError`` for a negative number: time does not go back."""
        if seconds < 0:
            message = f"time does not go back: advance({seconds})"
            raise ValueError(message)
        self._elapsed_ns += round(seconds * 1_000_000_000)

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward, or with a negative number back, as an operator or NTP would."""
        self._wall_offset_ns += round(seconds * 1_000_000_000)
