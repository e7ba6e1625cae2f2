"""One event's way to a handler: past its breaker, and through the waits between its runs."""

from msgspec import Struct

from mainstem.delivery.failures import Failure, Pause, Retry, RunAgain, Stopped, Verdict, Wait
from mainstem.delivery.guards.breakers import HELD_MS, Breakers
from mainstem.delivery.guards.gate import Gate
from mainstem.delivery.guards.pauses import Turn
from mainstem.resilience import Permit


class Passage(Struct, gc=False):
    """What one event waits for before each of its runs in a handler. ``place`` is what it would be parked by."""

    breakers: Breakers
    turn: Turn
    retry: Retry
    place: bytes
    gate: Gate | None = None
    permit: Permit | None = None

    async def open(self, event: object, again: RunAgain | Pause | None, failure: Failure | None) -> bool:
        """Return when it may be run; False when it is to be parked until its breaker closes.

        Raises :class:`~mainstem.errors.EventRefused` where what its breaker tells it apart by is not as declared.
        """
        gate = self.gate = self.breakers.gate(self.turn.handler, event)
        closed = gate is None or gate.state.phase == "closed"
        # While a breaker is not closed, its waits take the place of those between runs.
        if again is not None and (closed or isinstance(again, Pause)):
            await self.turn.wait(again, failure)
            # It may have been forgotten meanwhile.
            gate = self.gate = self.breakers.gate(self.turn.handler, event)
        if gate is None or (gate.fuse.kills and gate.state.phase == "closed"):
            return True
        self.permit = gate.ask()
        if self.permit is None:
            if gate.key is not None:
                return False
            self.permit = await gate.turn()
        return True

    def went_well(self) -> None:
        """It has succeeded."""
        self.turn.end(well=True)
        if self.gate is not None:
            self.gate.went_well(self.permit)

    def failed(self, error: Exception, verdict: Verdict, *, parks: bool) -> Verdict:
        """A run has failed; what is to be done, which is to wait where that is why its breaker is not closed."""
        gate, permit, self.permit = self.gate, self.permit, None
        if gate is None:
            # The first run had taken the short way.
            gate = self.gate = self.breakers.kill_switch(self.turn.handler)
        waits = gate is not None and gate.failed(permit, error, verdict, self.retry, self.place)
        again = isinstance(verdict, RunAgain | Pause)
        return Wait() if waits and parks and not again else verdict

    def held(self, failure: Failure | None, now_ms: int) -> Stopped:
        """It waits, parked, until its breaker closes; what has not been run has not failed."""
        gate = self.gate
        assert gate is not None
        failure = failure or Failure(0, now_ms, now_ms, "", f"waits until the breaker of {gate.label} closes", "")
        return Stopped(failure, now_ms + HELD_MS, gate.name)
