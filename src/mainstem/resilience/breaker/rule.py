"""When a circuit breaker opens, and when it closes again: steps over a state that the caller keeps.

The three phases are those of M. Nygard's "Release It!"; windows, minimum and slow calls are as in Resilience4j, with
fewer calls and probes, because a Python process makes fewer. What is added: a call that began in an earlier phase tells
nothing about this one, and a probe that nobody reports is given up, so that no lost process keeps a breaker half-open.
"""

from typing import Final, Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import force_setattr, replace

from mainstem.errors import DefinitionError
from mainstem.options import Stated
from mainstem.resilience.breaker.outcomes import CallsWindow, Outcomes, Tally, Window

Phase = Literal["closed", "open", "half_open"]
Mode = Literal["automatic", "forced_open", "disabled", "metrics_only"]
Ending = Literal["succeeded", "failed", "cancelled"]


class BreakerState(Struct, frozen=True, array_like=True):
    """What a breaker remembers. ``generation`` counts the changes of phase and mode; ``until_ms`` ends an open phase.

    ``openings`` counts how often it has opened without closing; ``probes`` are the times at which probes began that
    have not been reported yet, ``proved`` how many have succeeded.
    """

    phase: Phase = "closed"
    mode: Mode = "automatic"
    generation: int = 0
    until_ms: int = 0
    openings: int = 0
    outcomes: Outcomes | None = None
    probes: tuple[int, ...] = ()
    proved: int = 0


class Permit(Struct, frozen=True, array_like=True, gc=False):
    """Leave to make one call, to be given back to ``BreakerRule.ended`` with its outcome."""

    generation: int
    began_ms: int


class Refusal(Struct, frozen=True, array_like=True, gc=False):
    """No leave. ``retry_after_ms`` is when to ask again, at the latest."""

    retry_after_ms: int


Admission: TypeAlias = Permit | Refusal

CLOSED: Final = BreakerState()


class BreakerRule(Struct, frozen=True, kw_only=True, metaclass=Stated):
    """A breaker as a value.

    Closed, it lets all calls through and looks at them in ``window``: with at least ``minimum_calls`` there, a share of
    failures of ``failure_rate`` or more opens it, and so does a share of ``slow_rate`` or more of calls that took at
    least ``slow_ms`` (never, without one). Open, it refuses all for ``open_ms``, twice as long each further time in a
    row up to ``longest_open_ms``. Then it is half-open: exactly ``probes`` calls are let through. All of them have
    to succeed, and none be slow, to close it; the first that does not opens it again. A probe that is cancelled, or not
    reported within ``probe_lost_ms``, gives its place to another.
    """

    window: Window = CallsWindow()
    failure_rate: float = 0.5
    minimum_calls: int = 20
    slow_ms: int | None = None
    slow_rate: float = 1.0
    open_ms: int = 60_000
    longest_open_ms: int = 0
    probes: int = 3
    probe_lost_ms: int = 60_000

    def __post_init__(self) -> None:
        """Refuse a rule that could never open, or never close, with ``DefinitionError``."""
        if self.longest_open_ms == 0:
            force_setattr(self, "longest_open_ms", self.open_ms)
        window = self.window
        faults = {
            "failure_rate": not 0 < self.failure_rate <= 1,
            "slow_rate": not 0 < self.slow_rate <= 1,
            "slow_ms": self.slow_ms is not None and not self.slow_ms > 0,
            "minimum_calls": self.minimum_calls < 1
            or (isinstance(window, CallsWindow) and self.minimum_calls > window.calls),
            "open_ms": self.open_ms < 1,
            "longest_open_ms": self.longest_open_ms < self.open_ms,
            "probes": self.probes < 1,
            "probe_lost_ms": self.probe_lost_ms < 1,
        }
        for name in (name for name, wrong in faults.items() if wrong):
            raise DefinitionError(
                f"a breaker with {name}={getattr(self, name)!r}",
                why="such a breaker would never open, or never close again",
                remedy="rates are above 0 and at most 1, times and numbers from 1; minimum_calls is at most what a "
                "CallsWindow holds, longest_open_ms at least open_ms",
            )

    def admit(self, state: BreakerState | None, now_ms: int) -> tuple[BreakerState, Admission]:
        """Ask to make a call: the state to keep, and a permit or a refusal. ``None`` is the state of a first call."""
        if state is None:
            state = CLOSED
        if state.mode == "forced_open":
            return state, Refusal(self.open_ms)
        if state.phase == "closed":
            return state, Permit(state.generation, now_ms)
        if state.phase == "open":
            if now_ms < state.until_ms:
                return state, Refusal(state.until_ms - now_ms)
            state = replace(state, phase="half_open", generation=state.generation + 1, probes=(), proved=0)
        running = tuple(began for began in state.probes if now_ms < began + self.probe_lost_ms)
        if len(running) + state.proved >= self.probes:
            return state, Refusal(max(1, min(self.open_ms, running[0] + self.probe_lost_ms - now_ms)))
        return replace(state, probes=(*running, now_ms)), Permit(state.generation, now_ms)

    def ended(self, state: BreakerState | None, permit: Permit, now_ms: int, ending: Ending) -> BreakerState:
        """The state after a call has ended. What began in another generation, or was given up, changes nothing.

        "cancelled" is a call that has told nothing: neither good nor bad, it only gives its place back.
        """
        if state is None:
            state = CLOSED
        if permit.generation != state.generation:
            return state
        failed = ending == "failed"
        slow = self.slow_ms is not None and now_ms - permit.began_ms >= self.slow_ms
        if state.phase == "half_open":
            return self._probed(state, permit, now_ms, ending, bad=failed or slow)
        if ending == "cancelled" or state.mode == "disabled":
            return state
        outcomes = self.window.add(state.outcomes, now_ms, failed=failed, slow=slow)
        if (failed or slow) and state.mode == "automatic" and self._too_bad(self.window.tally(outcomes, now_ms)):
            return self._opened(state, now_ms)
        # As ``replace``, which takes twice as long: this is done for every call.
        return BreakerState("closed", state.mode, state.generation, 0, state.openings, outcomes)

    def forced(self, state: BreakerState | None, mode: Mode) -> BreakerState:
        """The state in another mode, closed and with an empty window.

        "forced_open" refuses all, "disabled" lets all through and looks at none, "metrics_only" lets all through and
        looks at them, "automatic" is the breaker itself.
        """
        return BreakerState(mode=mode, generation=(state or CLOSED).generation + 1)

    def phase(self, state: BreakerState | None, now_ms: int) -> Phase:
        """The phase that a call at ``now_ms`` would meet."""
        state = state or CLOSED
        if state.mode == "forced_open":
            return "open"
        return "half_open" if state.phase == "open" and now_ms >= state.until_ms else state.phase

    def tally(self, state: BreakerState | None, now_ms: int) -> Tally:
        """The calls in the window of the closed phase."""
        return self.window.tally((state or CLOSED).outcomes, now_ms)

    def _too_bad(self, tally: Tally) -> bool:
        calls, failed, slow = tally
        if calls < self.minimum_calls:
            return False
        return failed >= self.failure_rate * calls or (self.slow_ms is not None and slow >= self.slow_rate * calls)

    def _probed(self, state: BreakerState, permit: Permit, now_ms: int, ending: Ending, *, bad: bool) -> BreakerState:
        if permit.began_ms not in state.probes:
            return state
        place = state.probes.index(permit.began_ms)
        probes = state.probes[:place] + state.probes[place + 1 :]
        if ending == "cancelled":
            return replace(state, probes=probes)
        if bad:
            return self._opened(state, now_ms)
        if state.proved + 1 < self.probes:
            return replace(state, probes=probes, proved=state.proved + 1)
        return BreakerState(mode=state.mode, generation=state.generation + 1)

    def _opened(self, state: BreakerState, now_ms: int) -> BreakerState:
        # Beyond 2**40 times any open time the cap has long been reached.
        open_ms = min(self.longest_open_ms, self.open_ms << min(state.openings, 40))
        return BreakerState(
            phase="open",
            mode=state.mode,
            generation=state.generation + 1,
            until_ms=now_ms + open_ms,
            openings=state.openings + 1,
        )
