"""What to answer when a call has failed."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Generic, ParamSpec, TypeVar

from mainstem.errors import CallRefused, DefinitionError
from mainstem.resilience.calls import guarding

P = ParamSpec("P")
R = TypeVar("R")


class Fallback(Generic[R]):
    """Another answer in place of an error: ``@Fallback(lambda error: [])`` above an ``async def`` function.

    It stands outermost, so that it is asked when everything else has given up. Only the errors of ``on`` are answered:
    all others are raised, for an answer that hides a mistake in the program is worse than none.
    """

    __slots__ = ("_instead", "_on")

    def __init__(
        self,
        instead: Callable[[Exception], R],
        *,
        on: tuple[type[Exception], ...] = (CallRefused, ConnectionError, TimeoutError),
    ) -> None:
        """``instead`` is given the error, and its result is the answer.

        Raises ``DefinitionError`` for no errors at all.
        """
        if not on:
            raise DefinitionError(
                "a fallback for no errors", why="it would never be asked", remedy="name the errors in on=(...)"
            )
        self._instead = instead
        self._on = on

    def __call__(self, function: Callable[P, Awaitable[R]]) -> Callable[P, Coroutine[object, object, R]]:
        """A function that answers for ``function`` when that cannot."""

        async def call(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return await function(*args, **kwargs)
            except self._on as error:
                return self._instead(error)

        return guarding(function, call)
