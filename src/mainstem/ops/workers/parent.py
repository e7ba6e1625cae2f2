"""A worker's line to its parent: bytes say that it has started, and that it turns. Its end: the parent has died."""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from mainstem.ops.workers.watchdog import LOOKED_AT, TICK, debugged
from mainstem.service import OVERTIME_SECONDS
from mainstem.telemetry import log

CONFIGURATION_FAULT: Final = 78
"""The code with which a worker ends that would fail again in the same way: sysexits.h calls it EX_CONFIG."""

STARTED: Final = b"1"


class Parent:
    """The other end of the line. The kernel closes it when the parent dies, however it dies."""

    def __init__(self, descriptor: int) -> None:
        """``descriptor`` is the worker's end, inherited from the parent."""
        os.set_inheritable(descriptor, False)
        self._line = socket.socket(fileno=descriptor)

    def tell_started(self) -> None:
        """The services run."""
        with suppress(ConnectionError):
            self._line.send(STARTED)

    def tick(self, seconds: float) -> None:
        """Say again and again, so many seconds apart, that the event loop turns in which this is called."""
        # A parent that stands still reads nothing; then there is nobody to be told.
        with suppress(ConnectionError, BlockingIOError):
            self._line.send(LOOKED_AT if debugged() else TICK, socket.MSG_DONTWAIT)
        asyncio.get_running_loop().call_later(seconds, self.tick, seconds)

    def watch(self, grace_seconds: float) -> None:
        """From now on drain when the parent dies, and end by force when draining takes longer than it may."""
        threading.Thread(target=self._wait, args=(grace_seconds, os.kill), name="parent", daemon=True).start()

    def _wait(self, grace_seconds: float, kill: Callable[[int, int], None]) -> None:
        # A parent that dies with something unread resets the line instead of ending it.
        with suppress(ConnectionError):
            while self._line.recv(1):
                pass
        log.warning("the parent process has died: draining")
        kill(os.getpid(), signal.SIGTERM)
        # Nobody else would end a handler that never returns.
        threading.Event().wait(grace_seconds + OVERTIME_SECONDS)
        kill(os.getpid(), signal.SIGKILL)
