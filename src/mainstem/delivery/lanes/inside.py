"""Whether this code runs on behalf of a handler.

A runner and a worker thread say so once, when they begin; what they start afterwards inherits it.
"""

from contextvars import ContextVar
from typing import Final

_INSIDE: Final = ContextVar("mainstem: inside a handler", default=False)


def enter_handlers() -> None:
    """From here on this task or thread runs handlers."""
    _INSIDE.set(True)


def inside_handler() -> bool:
    """Whether this code was called by a handler, or by what a handler has started."""
    return _INSIDE.get()
