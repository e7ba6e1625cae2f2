"""Whether this code runs on behalf of a handler.

A runner and a worker thread say so once, when they begin; what they start afterwards inherits it.
"""

from asyncio import CancelledError
from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

_ENDING: Final[ContextVar[Callable[[], bool] | None]] = ContextVar("mainstem: inside a handler", default=None)


PROCESS_ENDS: Final = "the process ends"
"""The message of a cancellation that ends whatever it meets, as a simulation sweeps up a process that has died."""


def _never() -> bool:
    return False


def enter_handlers(ending: Callable[[], bool] = _never) -> None:
    """From here on this task or thread runs handlers; ``ending`` says whether its lanes are being stopped."""
    _ENDING.set(ending)


def inside_handler() -> bool:
    """Whether this code was called by a handler, or by what a handler has started."""
    return _ENDING.get() is not None


def lanes_ending(cancellation: CancelledError) -> bool:
    """Whether a cancellation of this task ends its lanes; if not, a handler has brought it upon itself."""
    ending = _ENDING.get()
    return ending is None or ending() or PROCESS_ENDS in cancellation.args
