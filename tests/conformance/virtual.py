"""An event loop that does not wait: when nothing is left to do, its clock jumps to the next timer."""

import asyncio
import selectors
import time
from collections.abc import Mapping
from typing import Any

from mainstem.clock import ManualClock


class JumpingSelector(selectors.BaseSelector):
    """Asks the operating system what has happened, and moves the clock when nothing has."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._selector = selectors.DefaultSelector()

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._selector.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._selector.unregister(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            return self._selector.select()
        found = self._selector.select(0)
        if not found and timeout > 0:
            # A moment, and no more than a second, for threads: the model rule has one.
            time.sleep(0.00002)
            self._clock.advance(min(timeout, 1.0))
        elif timeout == 0:
            # Who does not wait gets no further than a real machine would let it.
            self._clock.advance(0.00001)
        return found

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._selector.get_map()

    def close(self) -> None:
        self._selector.close()


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its time is a manual clock."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(JumpingSelector(clock))
        self._manual = clock

    def time(self) -> float:
        return self._manual.monotonic()
