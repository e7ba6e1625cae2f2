"""What a process is told by signals: to drain, and told twice, to end at once."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, NoReturn

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
UNDRAINED: Final = (
    b"ended without draining: nothing is lost. What was committed stays; what was not has not happened, and is done "
    b"again at the next start\n"
)


@contextmanager
def signalled() -> Iterator[asyncio.Event]:
    """An event that the first signal sets; a second one ends the process, also one whose event loop is blocked."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    signals = 0

    def hear(number: int, _frame: object) -> None:
        nonlocal signals
        signals += 1
        if signals > 1:
            _end_now(number)
        loop.call_soon_threadsafe(stopped.set)

    before = {each: signal.signal(each, hear) for each in SIGNALS}
    try:
        yield stopped
    finally:
        for each, handler in before.items():
            signal.signal(each, handler or signal.SIG_DFL)


def _end_now(number: int) -> NoReturn:
    """End as a power cut would. An exception could be caught, and Python waits for its threads."""
    # Not by way of the log: whatever was interrupted may hold its lock.
    with suppress(OSError):
        os.write(2, UNDRAINED)
    os._exit(128 + number)
