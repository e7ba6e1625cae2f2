"""What a process is told by signals: to drain, and told twice, to end at once. It ends in any case, after a while."""

import asyncio
import faulthandler
import os
import signal
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final, NoReturn, Protocol

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
ONE_WISH_SECONDS: Final = 0.3
"""Signals that come together are one: who ends a process and its group, as ``timeout`` does, sends it two at once."""
OVERTIME_SECONDS: Final = 10.0
"""Whoever has had its grace, and does not come to an end by itself, has so long before it is ended."""
UNDRAINED: Final = (
    b"ended without draining: nothing is lost. What was committed stays; what was not has not happened, and is done "
    b"again at the next start\n"
)


class Patient(Protocol):
    """Something that may take a while to end."""

    grace_seconds: float | None


def longest_grace(services: Iterable[Patient], usual_seconds: float) -> float:
    """The longest time that any of them has to finish what it has begun."""
    return max(
        (usual_seconds if each.grace_seconds is None else each.grace_seconds for each in services),
        default=usual_seconds,
    )


def end_within(seconds: float) -> None:
    """End the process after so long by force, with code 1, and say where each thread stands: all of them may hang.

    No thread of Python's is needed for it, so it holds until the interpreter is gone.
    """
    faulthandler.dump_traceback_later(seconds, exit=True, file=2)


@contextmanager
def signalled(grace_seconds: float) -> Iterator[asyncio.Event]:
    """An event that the first signal sets; a second one ends the process, also one whose event loop is blocked.

    What comes within ``ONE_WISH_SECONDS`` of the first belongs to it.
    Where the block has not ended ``OVERTIME_SECONDS`` after the grace period, the process ends by force.
    """
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    first: float | None = None

    def hear(number: int, _frame: object) -> None:
        nonlocal first
        if first is not None:
            if loop.time() - first > ONE_WISH_SECONDS:
                _end_now(number)
            return
        first = loop.time()
        end_within(grace_seconds + OVERTIME_SECONDS)
        loop.call_soon_threadsafe(stopped.set)

    before = {each: signal.signal(each, hear) for each in SIGNALS}
    try:
        yield stopped
    finally:
        faulthandler.cancel_dump_traceback_later()
        for each, handler in before.items():
            signal.signal(each, handler or signal.SIG_DFL)


@asynccontextmanager
async def unless(stopped: asyncio.Event) -> AsyncIterator[None]:
    """Give up what stands in the block as soon as the event is set, and go on behind it."""
    limit = asyncio.timeout(None)

    def give_up(done: asyncio.Task[object]) -> None:
        if not done.cancelled():
            with suppress(RuntimeError):  # the block has just ended by itself
                limit.reschedule(asyncio.get_running_loop().time())

    try:
        async with limit:
            watching = asyncio.create_task(stopped.wait())
            watching.add_done_callback(give_up)
            try:
                yield
            finally:
                watching.cancel()
    except TimeoutError:
        if not limit.expired():
            raise


def _end_now(number: int) -> NoReturn:
    """End as a power cut would. An exception could be caught, and Python waits for its threads."""
    # Not by way of the log: whatever was interrupted may hold its lock.
    with suppress(OSError):
        os.write(2, UNDRAINED)
    os._exit(128 + number)
