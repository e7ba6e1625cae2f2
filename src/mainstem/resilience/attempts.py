"""Trying again: the rule, and the calls it is put around."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from random import Random
from threading import Lock
from typing import ParamSpec, TypeVar

from msgspec import Struct

from mainstem.clock import Clock, SystemClock
from mainstem.errors import CallRefused, DefinitionError
from mainstem.identifiers import Identifiers
from mainstem.resilience.backoff import Backoff
from mainstem.resilience.budget import BudgetState, RetryBudget
from mainstem.resilience.calls import guarding

P = ParamSpec("P")
R = TypeVar("R")


class Attempts(Struct, frozen=True, kw_only=True):
    """How often to try, for what, and how soon again.

    At most ``count`` attempts, for an exception that is one of ``on`` and none of ``never``. A wait that would end
    later than ``longest_seconds`` after the first attempt began is not waited: the last error is raised at once. What
    a guard has refused (``CallRefused``) is not tried again unless ``on`` names it or one of its subclasses: that a
    breaker is open does not change within a few tries.
    """

    count: int = 3
    on: tuple[type[Exception], ...] = (ConnectionError, TimeoutError)
    never: tuple[type[Exception], ...] = ()
    backoff: Backoff = Backoff()
    longest_seconds: float = 60.0

    def __post_init__(self) -> None:
        """Refuse a rule that tries nothing, with ``DefinitionError``."""
        if self.count < 1 or not self.on or not self.longest_seconds > 0:
            raise DefinitionError(
                f"{self.count} attempts on {self.on!r} within {self.longest_seconds} seconds",
                why="a call is made once at least, and a rule names what it is for",
                remedy="give count from 1, one exception or more, and longest_seconds above 0",
            )

    def wait_seconds(
        self,
        error: BaseException,
        attempt: int,
        *,
        elapsed_seconds: float,
        chance: Callable[[], float],
        previous_seconds: float | None = None,
    ) -> float | None:
        """How long to wait after ``attempt`` (1 for the first) has failed with ``error``; None for not again.

        ``elapsed_seconds`` have passed since the first attempt began. An error that has a number in
        ``retry_after_seconds`` is believed: the wait is that long at least.
        """
        if attempt >= self.count or not self.covers(error):
            return None
        wait = self.backoff.delay(attempt, chance, previous_seconds)
        asked = getattr(error, "retry_after_seconds", None)
        if isinstance(asked, int | float):
            wait = max(wait, asked)
        return wait if elapsed_seconds + wait <= self.longest_seconds else None

    def covers(self, error: BaseException) -> bool:
        """Whether ``error`` is one to try again for."""
        if not isinstance(error, self.on) or isinstance(error, self.never):
            return False
        return not isinstance(error, CallRefused) or any(issubclass(each, CallRefused) for each in self.on)


class Retrying:
    """Puts attempts around calls: ``@Retrying(Attempts(count=5))`` above an ``async def`` function.

    ``plain`` does the same for a plain function, and holds its thread while it waits. After the last attempt the
    error is raised as it is, with a note of how many there were. A ``budget`` is shared by all calls that are made
    through this one.
    """

    __slots__ = ("_budget", "_chance", "_clock", "_lock", "_purse", "attempts")

    def __init__(
        self,
        attempts: Attempts | None = None,
        *,
        budget: RetryBudget | None = None,
        chance: Callable[[], float] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """``chance`` gives numbers from 0 to below 1 for the jitter, as ``Random.random`` does."""
        self.attempts = attempts or Attempts()
        self._clock = clock or SystemClock()
        self._chance = chance or Random(Identifiers(self._clock).new()).random  # noqa: S311 - jitter
        self._budget = budget
        self._purse: BudgetState | None = None
        self._lock = Lock()

    def __call__(self, function: Callable[P, Awaitable[R]]) -> Callable[P, Coroutine[object, object, R]]:
        """A function that awaits ``function`` until it succeeds or there is no further attempt."""

        async def call(*args: P.args, **kwargs: P.kwargs) -> R:
            run = self._begin()
            while True:
                try:
                    return await function(*args, **kwargs)
                except Exception as error:
                    if (wait := self._again(run, error)) is None:
                        raise
                await asyncio.sleep(wait)

        return guarding(function, call)

    def plain(self, function: Callable[P, R], sleep: Callable[[float], object] = time.sleep) -> Callable[P, R]:
        """The same around a plain function; it waits with ``sleep``."""

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            run = self._begin()
            while True:
                try:
                    return function(*args, **kwargs)
                except Exception as error:
                    if (wait := self._again(run, error)) is None:
                        raise
                sleep(wait)

        return call

    def _begin(self) -> "_Run":
        began = self._clock.monotonic()
        if self._budget is not None:
            with self._lock:
                self._purse = self._budget.called(self._purse, int(began * 1_000))
        return _Run(began)

    def _again(self, run: "_Run", error: Exception) -> float | None:
        run.attempt += 1
        now = self._clock.monotonic()
        wait = self.attempts.wait_seconds(
            error,
            run.attempt,
            elapsed_seconds=now - run.began,
            chance=self._chance,
            previous_seconds=run.previous_seconds,
        )
        if wait is not None and self._budget is not None:
            with self._lock:
                self._purse, granted = self._budget.retry(self._purse, int(now * 1_000))
            wait = wait if granted else None
        if wait is None and self.attempts.covers(error):
            error.add_note(f"after {run.attempt} of at most {self.attempts.count} attempts")
        run.previous_seconds = wait
        return wait


class _Run:
    __slots__ = ("attempt", "began", "previous_seconds")

    def __init__(self, began: float) -> None:
        self.attempt = 0
        self.began = began
        self.previous_seconds: float | None = None
