"""A breaker around calls: it holds the state, reads the clock, and tells which exceptions count."""

from collections.abc import Awaitable, Callable, Coroutine
from threading import Lock
from types import TracebackType
from typing import ParamSpec, TypeVar

from mainstem.clock import Clock, SystemClock
from mainstem.errors import BreakerOpen, CallRefused
from mainstem.resilience.breaker.rule import BreakerRule, BreakerState, Ending, Mode, Permit, Phase, Refusal
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

    __slots__ = ("_changed", "_counts", "_ignores", "_lock", "_monotonic", "name", "rule", "state")

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
        self._monotonic = (clock or SystemClock()).monotonic
        self._lock = Lock()

    @property
    def phase(self) -> Phase:
        """The phase that a call would meet now."""
        return self.rule.phase(self.state, self._now_ms())

    def force(self, mode: Mode) -> None:
        """Open it whatever the calls say, switch it off, let it only look, or leave it to itself again (automatic)."""
        with self._lock:
            self._become(self.rule.forced(self.state, mode))

    def call(self) -> "OneCall":
        """Around one call. Entering raises ``BreakerOpen`` without having begun, where the breaker refuses it."""
        return OneCall(self)

    def __call__(self, function: Callable[P, Awaitable[R]]) -> Callable[P, Coroutine[object, object, R]]:
        """A function that calls ``function`` through the breaker."""

        async def call(*args: P.args, **kwargs: P.kwargs) -> R:
            permit = self.begin()
            try:
                answer = await function(*args, **kwargs)
            except BaseException as error:
                self.end(permit, error)
                raise
            self.end(permit, None)
            return answer

        return guarding(function, call)

    def begin(self) -> Permit:
        """Leave to make one call, for who can use neither form; raises ``BreakerOpen``. To be given back to ``end``."""
        with self._lock:
            before = self.state
            state, admission = self.rule.admit(before, int(self._monotonic() * 1_000))
            if state is not before:
                self._become(state)
        if isinstance(admission, Refusal):
            raise self._refused(admission)
        return admission

    def end(self, permit: Permit, error: BaseException | None) -> None:
        """One call has ended, with ``error`` or none."""
        ending = "succeeded" if error is None else self._ending(error)
        with self._lock:
            before = self.state
            state = self.rule.ended(before, permit, int(self._monotonic() * 1_000), ending)
            if state.generation == before.generation:
                self.state = state
            else:
                self._become(state)

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
        return int(self._monotonic() * 1_000)


class OneCall:
    """The ``with`` block around one call through a breaker."""

    __slots__ = ("_breaker", "_permit")

    def __init__(self, breaker: CircuitBreaker) -> None:
        """For ``CircuitBreaker.call``."""
        self._breaker = breaker

    def __enter__(self) -> None:
        self._permit = self._breaker.begin()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._breaker.end(self._permit, error)
