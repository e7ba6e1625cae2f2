"""What takes long, in threads of its own: everybody else is answered meanwhile."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from mainstem.registry.http.refusal import Refused

T = TypeVar("T")

AT_A_TIME: Final = 2
WAITING_MOST: Final = 32


class Apart:
    """Two threads, and a queue that is not long."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(AT_A_TIME, "registry")
        self._taken = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Its result. Raises :class:`Refused` where too many wait; what is waited for no longer is not begun."""
        if self._taken >= AT_A_TIME + WAITING_MOST:
            raise Refused(429, "too many schemas are being compared", {"retry-after": "1"})
        self._taken += 1
        begun = self._threads.submit(work)
        # Whoever asked may be gone before it has ended, and it takes its thread until then.
        loop = asyncio.get_running_loop()
        begun.add_done_callback(lambda _: loop.call_soon_threadsafe(self._leave))
        return await asyncio.wrap_future(begun)

    def _leave(self) -> None:
        self._taken -= 1
