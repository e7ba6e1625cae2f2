"""Whom to give a call to: strategies that look at the order, the weights, or the key."""

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from mainstem.resilience.balancing.backends import Backend, demand_some
from mainstem.resilience.balancing.ring import HashRing, point_of

S = TypeVar("S")


class Strategy(Protocol[S]):
    """A way of choosing as a value. The state is plain data, kept by the caller; no clock, no chance.

    A strategy that looks at the calls under way is told of their ends; to the others ``ended`` means nothing.
    """

    def choose(self, state: S | None, backends: Sequence[Backend], key: str = "") -> tuple[S, str]:
        """The state to keep, and the name of the one to call. Raises ``NoBackend`` when there is none.

        ``backends`` are those that are fit now; they may be others each time. ``None`` is the state of a first choice.
        """
        ...

    def ended(self, state: S, name: str, elapsed_ms: float) -> S:
        """The state after a call to ``name`` has ended."""
        ...


class RoundRobin(Struct, frozen=True):
    """One after the other, in the order of the list. The state is how many were chosen."""

    def choose(self, state: int | None, backends: Sequence[Backend], key: str = "") -> tuple[int, str]:  # noqa: ARG002 - as Strategy says
        """The next one."""
        demand_some(backends)
        turn = state or 0
        return turn + 1, backends[turn % len(backends)].name

    def ended(self, state: int, name: str, elapsed_ms: float) -> int:  # noqa: ARG002 - as Strategy says
        """Nothing changes."""
        return state


class Weighted(Struct, frozen=True):
    """By weight, and evenly mixed: weights 5, 1, 1 give a a b a c a a, and never five in a row (nginx's smooth way).

    In as many choices as the weights add up to, each is chosen as often as its weight. The state is each one's credit.
    """

    def choose(
        self,
        state: dict[str, int] | None,
        backends: Sequence[Backend],
        key: str = "",  # noqa: ARG002 - as Strategy says
    ) -> tuple[dict[str, int], str]:
        """The one with the most credit, which pays for it with the sum of all weights."""
        demand_some(backends)
        held = state or {}
        credit = {each.name: held.get(each.name, 0) + each.weight for each in backends}
        name = max(credit, key=credit.__getitem__)
        credit[name] -= sum(each.weight for each in backends)
        return credit, name

    def ended(self, state: dict[str, int], name: str, elapsed_ms: float) -> dict[str, int]:  # noqa: ARG002 - as Strategy says
        """Nothing changes."""
        return state


class KeyHash(Struct, frozen=True):
    """By the hash of the key, modulo the number of backends: no memory and no preparation.

    When one comes or goes nearly all keys move. Where that matters take ``RingHash``.
    """

    def choose(self, state: None, backends: Sequence[Backend], key: str = "") -> tuple[None, str]:  # noqa: ARG002 - as Strategy says
        """The one that the key falls to."""
        demand_some(backends)
        return None, backends[point_of(key) % len(backends)].name

    def ended(self, state: None, name: str, elapsed_ms: float) -> None:
        """Nothing changes."""


class RingHash(Struct, frozen=True):
    """By a consistent hash ring: a key stays where it is while its backend is fit, else it goes to the next one.

    ``ring`` holds all backends, also those that are not fit now.
    """

    ring: HashRing

    def choose(self, state: None, backends: Sequence[Backend], key: str = "") -> tuple[None, str]:  # noqa: ARG002 - as Strategy says
        """The first on the ring, from the key's point on, that is among ``backends``."""
        demand_some(backends)
        fit = {each.name for each in backends}
        for name in self.ring.walk(key):
            if name in fit:
                return None, name
        # Backends that the ring does not know: there is no better place for the key than any.
        return KeyHash().choose(None, backends, key)

    def ended(self, state: None, name: str, elapsed_ms: float) -> None:
        """Nothing changes."""


class Session(Struct, Generic[S], frozen=True, array_like=True):
    """Whom a session was given to, and the state of the strategy that chose."""

    name: str
    inner: S


class Sticky(Struct, Generic[S], frozen=True):
    """The same as last time, while that one is fit; else whom ``first`` chooses, for good.

    The state belongs to one session: keep it where the session is, as a cookie or as a row by its key.
    """

    first: Strategy[S]

    def choose(self, state: Session[S] | None, backends: Sequence[Backend], key: str = "") -> tuple[Session[S], str]:
        """The one of last time."""
        if state is not None and any(each.name == state.name for each in backends):
            return state, state.name
        inner, name = self.first.choose(None if state is None else state.inner, backends, key)
        return Session(name, inner), name

    def ended(self, state: Session[S], name: str, elapsed_ms: float) -> Session[S]:
        """What ``first`` makes of it."""
        return Session(state.name, self.first.ended(state.inner, name, elapsed_ms))
