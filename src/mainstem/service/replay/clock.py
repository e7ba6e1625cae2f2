"""Time as recorded events tell it: it goes on when they do, and what waits for a time is called when that comes."""

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

from mainstem.clock import SystemClock


class Ring:
    """A call that waits for its time; it can be cancelled."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], object]) -> None:
        self.call: Callable[[], object] | None = call

    def cancel(self) -> None:
        """Do not call."""
        self.call = None


class EventClock:
    """The wall clock of a replay stands at the time of the events; the other one is that of the machine."""

    def __init__(self, start_ms: int) -> None:
        """Begin at this time."""
        self._now_ms = start_ms
        self._machine = SystemClock()
        self._rings: list[tuple[int, int, Ring]] = []
        self._number = count()

    def now_ms(self) -> int:
        """The time of the events, in milliseconds since 1970 (UTC)."""
        return self._now_ms

    def monotonic(self) -> float:
        """Seconds of this machine."""
        return self._machine.monotonic()

    def later(self, delay_seconds: float, call: Callable[[], object]) -> Ring:
        """Call when the events have come so much further."""
        ring = Ring(call)
        heappush(self._rings, (self._now_ms + round(delay_seconds * 1_000), next(self._number), ring))
        return ring

    def next_ms(self) -> int | None:
        """When the next call is due, if any waits."""
        while self._rings and self._rings[0][2].call is None:
            heappop(self._rings)
        return self._rings[0][0] if self._rings else None

    def move_to(self, time_ms: int) -> None:
        """It is so late now; time does not go back."""
        self._now_ms = max(self._now_ms, time_ms)

    def ring(self) -> None:
        """Make the calls that are due, in the event loop."""
        loop = asyncio.get_running_loop()
        while (due := self.next_ms()) is not None and due <= self._now_ms:
            _, _, ring = heappop(self._rings)
            if ring.call is not None:
                loop.call_soon(ring.call)
