"""A breaker around calls: it holds the state, reads the clock, and tells which exceptions count."""

from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager
from threading import Lock
from typing import ParamSpec, TypeVar

from mainstem.clock import Clock, SystemClock
from mainstem.errors import BreakerOpen, CallRefused
from mainstem.resilience.breaker.rule import BreakerRule, BreakerState, Ending, Mode, Phase, Refusal
from mainstem.resilience.calls import guarding

P = ParamSpec("P")
R = TypeVar("R")


class CircuitBreaker:
    """A circuit breaker for the calls of one process to one dependency.

    ``@breaker`` stands above an ``async def`` function, ``with breaker.call():`` around any code, in any thread. Both
    raise ``BreakerOpen`` instead of calling while it is open.

    A call has failed when it raises one of ``counts``. What raises one of ``ignores``, or was refused by another
    guard (``CallRefused``), or was cancelled, tells nothing. Everything else is an answer, and so a success: let
    ``counts`` be what says that the dependency is unwell, and a customer's mistake not be among it.
    """

    __slots__ = ("_changed", "_clock", "_counts", "_ignores", "_lock", "name", "rule", "state")

    def __init__(
        self,
        rule: BreakerRule | None = None,
        *,
        name: str = "",
        counts: tuple[type[BaseException], ...] = (Exception,),
        ignores: tuple[type[BaseException], ...] = (),
        changed: Callable[[Phase], object] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """``name`` stands in errors.

        ``changed`` is called with the new phase, in the thread of the call that led there.
        """
        self.rule = rule or BreakerRule()
        self.name = name
        self.state = BreakerState()
        self._counts = counts
        self._ignores: tuple[type[BaseException], ...] = (CallRefused, *ignores)
        self._changed = changed
        self._clock = clock or SystemClock()
        self._lock = Lock()

    @property
    def phase(self) -> Phase:
        """The phase that a call would meet now."""
        return self.rule.phase(self.state, self._now_ms())

    def force(self, mode: Mode) -> None:
        """Open it whatever the calls say, switch it off, let it only look, or leave it to itself again (automatic)."""
        with self._lock:
            self._become(self.rule.forced(self.state, mode))

    @contextmanager
    def call(self) -> Generator[None, None, None]:
        """Around one call. Raises ``BreakerOpen`` without having begun, where the breaker refuses it."""
        with self._lock:
            state, permit = self.rule.admit(self.state, self._now_ms())
            self._become(state)
        if isinstance(permit, Refusal):
            raise self._refused(permit)
        ending: Ending = "cancelled"
        try:
            yield
            ending = "succeeded"
        except BaseException as error:
            ending = self._ending(error)
            raise
        finally:
            with self._lock:
                self._become(self.rule.ended(self.state, permit, self._now_ms(), ending))

    def __call__(self, function: Callable[P, Awaitable[R]]) -> Callable[P, Coroutine[object, object, R]]:
        """A function that calls ``function`` through the breaker."""

        async def call(*args: P.args, **kwargs: P.kwargs) -> R:
            with self.call():
                return await function(*args, **kwargs)

        return guarding(function, call)

    def _ending(self, error: BaseException) -> Ending:
        if isinstance(error, self._ignores):
            return "cancelled"
        if isinstance(error, self._counts):
            return "failed"
        # A cancellation, an exit, a generator that is closed: nobody has answered.
        return "succeeded" if isinstance(error, Exception) else "cancelled"

    def _become(self, state: BreakerState) -> None:
        before, self.state = self.state, state
        if self._changed is not None and state.generation != before.generation:
            self._changed(self.rule.phase(state, self._now_ms()))

    def _refused(self, refusal: Refusal) -> BreakerOpen:
        seconds = refusal.retry_after_ms / 1_000
        return BreakerOpen(
            "the call was not made: the breaker is open"
            if self.state.phase == "open"
            else "the breaker has its probes",
            where=self.name,
            why="too many of the last calls have failed or were slow",
            remedy=f"try again after {seconds:g} s",
            retry_after_seconds=seconds,
        )

    def _now_ms(self) -> int:
        return int(self._clock.monotonic() * 1_000)
