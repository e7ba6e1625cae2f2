"""Who blocks the event loop: meanwhile nothing else in the process gets on, and nobody beats its heart."""

import asyncio
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from mainstem.telemetry import log

FRAMES_MOST: Final = 20


@contextmanager
def blocking_told(seconds: float | None) -> Iterator[None]:
    """Inside the block, a thread beside the event loop warns when it has not turned for so long, and says where it is.

    Once for each time. It asks the loop once in ``seconds``, which costs next to nothing. With None nobody looks.
    """
    if seconds is None:
        yield
        return
    watch = _Watch(asyncio.get_running_loop(), seconds)
    watch.start()
    try:
        yield
    finally:
        watch.end()


class _Watch(threading.Thread):
    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        super().__init__(name="mainstem watch", daemon=True)
        self._loop = loop
        self._loop_thread = threading.get_ident()
        self._seconds = seconds
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(self._seconds):
            turned = threading.Event()
            try:
                self._loop.call_soon_threadsafe(turned.set)
            except RuntimeError:  # closed
                return
            if not turned.wait(self._seconds) and not self._over.is_set():
                self._tell()
                while not (turned.wait(self._seconds) or self._over.is_set()):
                    pass

    def end(self) -> None:
        self._over.set()

    def _tell(self) -> None:
        frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001 - there is no other way to see it
        stack = traceback.format_stack(frame, FRAMES_MOST) if frame is not None else []
        log.warning(
            "the event loop has not turned for %g s: no other event, commit or heartbeat gets on. Make the function "
            "async and await what takes long, or write def, which runs in a thread. It is here:\n%s",
            self._seconds,
            "".join(stack).rstrip(),
        )
