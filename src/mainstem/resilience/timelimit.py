"""How long a call may take: a length, and a moment that a whole chain of calls shares."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import ParamSpec, TypeVar

from msgspec import Struct

from mainstem.clock import Clock, SystemClock
from mainstem.errors import CallTimeout, DefinitionError
from mainstem.resilience.calls import guarding

P = ParamSpec("P")
R = TypeVar("R")


class Deadline(Struct, frozen=True):
    """A moment by which the work has to be done, in milliseconds since 1970.

    As a moment and not as a length it can travel, in a header of an event or of a request, and nobody on the way
    begins to count anew. It is only as exact as the clocks of those who share it agree.
    """

    at_ms: int

    def left_seconds(self, now_ms: int) -> float:
        """How much time is left; 0 when it has passed."""
        return max(0, self.at_ms - now_ms) / 1_000


class TimeLimit:
    """A limit to how long a call takes: ``@TimeLimit(2)`` above an ``async def`` function.

    ``async with limit.call():`` stands around any code, and takes a ``Deadline`` that may be sooner. Both raise
    ``CallTimeout``, which is a ``TimeoutError``. A ``TimeoutError`` from within goes through as it is.
    """

    __slots__ = ("_clock", "name", "seconds")

    def __init__(self, seconds: float, *, name: str = "", clock: Clock | None = None) -> None:
        """``name`` stands in errors. Raises ``DefinitionError`` for a limit that is not above 0."""
        if not seconds > 0:
            raise DefinitionError(
                f"a time limit of {seconds} seconds",
                why="nothing is done in no time",
                remedy="give a number of seconds above 0",
            )
        self.seconds = seconds
        self.name = name
        self._clock = clock or SystemClock()

    @asynccontextmanager
    async def call(self, deadline: Deadline | None = None) -> AsyncGenerator[None, None]:
        """Around one call. Raises ``CallTimeout`` when the limit or the deadline passes first."""
        seconds = self.seconds
        if deadline is not None:
            seconds = min(seconds, deadline.left_seconds(self._clock.now_ms()))
            if not seconds:
                raise CallTimeout(
                    "the deadline of a call had passed before it began",
                    where=self.name,
                    why="what came before it on the way has taken all the time there was",
                    remedy="nothing was sent: give up, or begin anew with another deadline",
                )
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                yield
        except TimeoutError as error:
            if not limit.expired() or isinstance(error, CallTimeout):
                raise
            raise CallTimeout(
                f"a call took longer than {seconds:g} s",
                where=self.name,
                why="the other side is slow, or does not answer",
                remedy="whether it has taken effect is not known: ask, or call again with the same idempotency key",
            ) from error

    def __call__(self, function: Callable[P, Awaitable[R]]) -> Callable[P, Coroutine[object, object, R]]:
        """A function that gives ``function`` so much time."""

        async def call(*args: P.args, **kwargs: P.kwargs) -> R:
            async with self.call():
                return await function(*args, **kwargs)

        return guarding(function, call)
