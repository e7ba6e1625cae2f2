"""Calls shared out among backends: the balancer of one process."""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from threading import Lock
from typing import Generic, TypeVar

from mainstem.clock import Clock, SystemClock
from mainstem.errors import CallRefused
from mainstem.resilience.balancing.backends import Backend, HealthRule, Mark
from mainstem.resilience.balancing.strategies import Strategy

S = TypeVar("S")


class Balancer(Generic[S]):
    """``with balancer.call(key) as name:`` chooses a backend for one call, and learns from how it ends. For any thread.

    What raises one of ``counts`` is a failure of the backend; what was refused by a guard (``CallRefused``) is not, and
    neither is a cancellation.
    """

    __slots__ = ("_backends", "_clock", "_counts", "_health", "_lock", "_marks", "_state", "_strategy")

    def __init__(
        self,
        strategy: Strategy[S],
        backends: Iterable[Backend],
        *,
        health: HealthRule | None = None,
        counts: tuple[type[BaseException], ...] = (Exception,),
        clock: Clock | None = None,
    ) -> None:
        """``backends`` may be changed later, by ``use``."""
        self._strategy = strategy
        self._backends = tuple(backends)
        self._health = health or HealthRule()
        self._counts = counts
        self._clock = clock or SystemClock()
        self._lock = Lock()
        self._marks: dict[str, Mark] = {}
        self._state: S | None = None

    def use(self, backends: Iterable[Backend]) -> None:
        """Choose among these from now on."""
        with self._lock:
            self._backends = tuple(backends)

    def fit(self) -> tuple[str, ...]:
        """The names of those that are not set aside now."""
        with self._lock:
            return tuple(each.name for each in self._health.fit(self._marks, self._backends, self._now_ms()))

    @contextmanager
    def call(self, key: str = "") -> Generator[str, None, None]:
        """The name of the backend to call. Raises ``NoBackend`` when there is none."""
        began = self._clock.monotonic()
        with self._lock:
            fit = self._health.fit(self._marks, self._backends, int(began * 1_000))
            self._state, name = self._strategy.choose(self._state, fit, key)
        good: bool | None = None
        try:
            yield name
            good = True
        except BaseException as error:
            if isinstance(error, Exception) and not isinstance(error, CallRefused):
                good = not isinstance(error, self._counts)
            raise
        finally:
            self._ended(name, began, good=good)

    def _ended(self, name: str, began: float, *, good: bool | None) -> None:
        now = self._clock.monotonic()
        with self._lock:
            if self._state is not None:
                self._state = self._strategy.ended(self._state, name, (now - began) * 1_000)
            if good:
                self._marks = self._health.succeeded(self._marks, name, int(now * 1_000))
            elif good is not None:
                self._marks = self._health.failed(self._marks, name, int(now * 1_000))

    def _now_ms(self) -> int:
        return int(self._clock.monotonic() * 1_000)
