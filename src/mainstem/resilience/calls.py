"""What all guards around a call have in common."""

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import ParamSpec, TypeVar

from mainstem.errors import DefinitionError

P = ParamSpec("P")
R = TypeVar("R")


def guarding(
    function: Callable[P, Awaitable[R]], call: Callable[P, Coroutine[object, object, R]]
) -> Callable[P, Coroutine[object, object, R]]:
    """``call`` under the name of ``function``, around which it stands.

    Raises ``DefinitionError`` for a plain function.
    """
    if not inspect.iscoroutinefunction(function) and not inspect.iscoroutinefunction(type(function).__call__):
        raise DefinitionError(
            f"a guard around {getattr(function, '__qualname__', repr(function))}, which is no coroutine function",
            why="a guard may wait, and it learns how a call has ended when it has been awaited",
            remedy="write async def; plain code asks the guard itself",
        )
    return wraps(function)(call)
