"""A breaker in one task: who may run, who waits in his lane, who is parked until it closes.

Its phases and counts are those of ``mainstem.resilience``. What has to outlive the task is a row of its own, which is
not undone with what a handler has done.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from mainstem.clock import Clock
from mainstem.delivery.failures import Retry, Verdict, row_of
from mainstem.delivery.guards.breaker import Fuse, is_final
from mainstem.delivery.guards.held import HeldSequences
from mainstem.delivery.guards.notices import Absorb, Notices
from mainstem.delivery.guards.pauses import Pauses
from mainstem.resilience import BreakerState, Ending, LastCalls, Permit
from mainstem.telemetry import GROUP, HANDLER, Counter, log

OPENED: Final = Counter("mainstem.breakers.opened", "{breaker}", "Breakers of handlers that have opened.")

BREAKERS_STORE: Final = "$breakers"
LONGEST_SLEEP_SECONDS: Final = 30.0
"""The wall clock may jump, so a sleeper looks at it now and then."""

encode_state = msgspec.msgpack.Encoder().encode
decode_state = msgspec.msgpack.Decoder(BreakerState).decode


def breaker_place(key: bytes | None) -> bytes:
    """What names a breaker beside its handler, in its row and in a command."""
    return b"" if key is None else b"k" + key


class Shared(Struct, frozen=True):
    """What all breakers of a task share. ``free`` lets those go on that were parked by the breaker of this name.

    ``changed`` hears of each whose row is to be written anew, ``uneasy`` of every change of a kill switch. Without
    ``keeps`` nothing outlives the task.
    """

    task: str
    group: str
    clock: Clock
    pauses: Pauses
    notices: Notices
    held: HeldSequences
    absorb: Absorb
    free: Callable[[bytes], None]
    changed: Callable[["Gate"], None]
    uneasy: Callable[["Gate"], None]
    keeps: bool


class _Waiter(Struct, eq=False):
    future: "asyncio.Future[bool]"
    permit: Permit | None = None


class Gate:
    """The breaker of one handler; or of one key of it, whose events are parked instead of waiting."""

    __slots__ = (
        "_alarm",
        "_cursor",
        "_ended",
        "_tried",
        "_waiting",
        "fuse",
        "handler",
        "key",
        "row",
        "shared",
        "state",
        "under_way",
    )

    def __init__(self, handler: str, key: bytes | None, fuse: Fuse, shared: Shared, row: bytes | None = None) -> None:
        """``row`` is what an earlier owner has left."""
        self.handler = handler
        self.key = key
        self.fuse = fuse
        self.shared = shared
        self.state = BreakerState() if row is None else decode_state(row)
        self.row = row
        """As it was when it was last asked for; None where there is none."""
        self.under_way = 0
        """How many runs have leave, and have not ended."""
        self._tried: set[bytes] = set()
        self._waiting: deque[_Waiter] = deque()
        self._alarm: asyncio.TimerHandle | None = None
        self._cursor = b""
        self._ended = False

    @property
    def name(self) -> bytes:
        """The key of its row, and what parked sequences know it by."""
        return row_of(self.handler, breaker_place(self.key))

    @property
    def label(self) -> str:
        """What a person calls it."""
        return self.handler if self.key is None else f"{self.handler} for {self.key.decode(errors='replace')}"

    @property
    def at_rest(self) -> bool:
        """Whether it is closed, and has no failure to remember."""
        return self.state.phase == "closed" and not self._failing

    def write(self, rows: dict[tuple[str, bytes], bytes | None]) -> None:
        """Put into ``rows`` what the next commit is to carry of it."""
        state = self.state
        if state.phase == "half_open":
            # Whoever takes over begins with all the probes.
            state = replace(state, phase="open", probes=(), proved=0)
        row = None if self.at_rest else encode_state(state)
        if row != self.row:
            self.row = rows[BREAKERS_STORE, self.name] = row

    @property
    def _failing(self) -> bool:
        outcomes = self.state.outcomes
        if isinstance(outcomes, LastCalls):
            return bool(outcomes.failed or outcomes.slow)
        return outcomes is not None and any(each.failed or each.slow for each in outcomes.slices)

    def wake(self) -> None:
        """It may be time to let somebody go on."""
        self._stir()

    # -- what a run does

    def ask(self) -> Permit | None:
        """Leave for one run; None where it has to wait, or the event to be parked."""
        permit = None if self._waiting else self._admit()
        if permit is not None:
            self.under_way += 1
        return permit

    async def turn(self) -> Permit:
        """Keep the lane, and wait for leave to run."""
        waiter = _Waiter(asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        self._stir()
        # Whoever is cancelled here ends with his task, and with this breaker.
        await self.shared.pauses.stand(waiter.future)
        assert waiter.permit is not None
        self.under_way += 1
        return waiter.permit

    def went_well(self, permit: Permit | None) -> None:
        """A run has succeeded."""
        self._back(permit)
        if self.fuse.kills and self.state.phase == "closed":
            if self._tried or self._failing:
                self._tried.clear()
                self.state = BreakerState(generation=self.state.generation)
                self._store()
        elif permit is not None:
            self._end(permit, "succeeded")

    def failed(self, permit: Permit | None, error: Exception, verdict: Verdict, retry: Retry, place: bytes) -> bool:
        """A run has failed, of an event at this place; whether that is why the breaker is not closed."""
        self._back(permit)
        ending = self.fuse.ending(error, verdict, retry)
        if self.fuse.kills and self.state.phase == "closed":
            if ending == "failed" and is_final(verdict) and place not in self._tried:
                self._tried.add(place)
                self._end(Permit(self.state.generation, self._now_ms()), ending)
        elif permit is not None:
            self._end(permit, ending)
        return ending == "failed" and self.state.phase != "closed"

    def _back(self, permit: Permit | None) -> None:
        if permit is not None:
            self.under_way -= 1

    def close(self) -> None:
        """Somebody says that what it waits for is there again; what has failed before counts no more."""
        self.state = self.fuse.rule.forced(self.state, "automatic")
        self._tried.clear()
        self._closed()
        self._store()
        self._stir()

    # -- taking over and ending

    def begin(self) -> None:
        """Go on with what an earlier owner has left. Its probes have gone with it."""
        if self.state.phase != "closed":
            self.shared.notices.say("open", self.label, "it was open when the task was taken over")
        self.shared.uneasy(self)
        self._stir()

    def stop(self) -> None:
        """Do nothing more."""
        self._ended = True
        if self._alarm is not None:
            self._alarm.cancel()

    # -- the state

    def _admit(self) -> Permit | None:
        state, now = self.state, self._now_ms()
        longest = now + self.fuse.rule.longest_open_ms
        if state.phase == "open" and state.until_ms > longest:
            # The clock was ahead when it opened.
            state = replace(state, until_ms=longest)
        self.state, admission = self.fuse.rule.admit(state, now)
        return admission if isinstance(admission, Permit) else None

    def _end(self, permit: Permit, ending: Ending) -> None:
        before = self.state
        self.state = state = self.fuse.rule.ended(before, permit, self._now_ms(), ending)
        if state is before:
            return
        if state.generation != before.generation:
            if state.phase == "closed":
                self._closed()
            elif before.phase == "closed":
                self._opened(before)
        self._store()
        if state.phase != "closed" or state.generation != before.generation:
            self._stir()

    def _opened(self, before: BreakerState) -> None:
        shared = self.shared
        self._tried.clear()
        tally = self.fuse.rule.tally(before, self._now_ms())
        because = f"{tally.failed + 1} of the last {tally.calls + 1} have failed"
        log.warning("%s: the breaker of %s is open: %s", shared.task, self.label, because)
        OPENED.add(1, {GROUP: shared.group, HANDLER: self.handler})
        shared.notices.say("open", self.label, because)

    def _closed(self) -> None:
        shared = self.shared
        log.warning("%s: the breaker of %s is closed again", shared.task, self.label)
        shared.notices.over("open", self.label)
        shared.free(self.name)

    def _store(self) -> None:
        if self.fuse.kills:
            self.shared.uneasy(self)
        if self.shared.keeps and not (self.row is None and self.at_rest):
            self.shared.changed(self)

    # -- those that wait

    def _stir(self) -> None:
        """Let those go on who may; then those who are parked, when nobody waits in a lane."""
        while self._waiting and (permit := self._admit()) is not None:
            waiter = self._waiting.popleft()
            waiter.permit = permit
            waiter.future.set_result(True)
        wait_ms = self._wait_ms()
        if wait_ms == 0 and not self._waiting:
            self._probe_parked()
        self._hold(still=bool(wait_ms) or (wait_ms == 0 and self._probes_itself()))
        self._arm(wait_ms)

    def _wait_ms(self) -> int | None:
        """How long nobody may run; 0 where some may, None where all may."""
        if self.state.phase == "closed":
            return None
        return max(0, self.state.until_ms - self._now_ms()) if self.state.phase == "open" else 0

    def _probes_itself(self) -> bool:
        """Whether somebody tries who is here already. Otherwise the next event that comes is a probe, and has to."""
        if self._waiting or self.shared.held.some(self.name):
            return True
        now, lost_ms = self._now_ms(), self.fuse.rule.probe_lost_ms
        return any(now < began + lost_ms for began in self.state.probes)

    def _probe_parked(self) -> None:
        state = self.state
        places = self.fuse.rule.probes - (len(state.probes) + state.proved if state.phase == "half_open" else 0)
        if places <= 0:
            return
        # Another one next time: what always fails must not be the only one that is tried.
        effects, self._cursor = self.shared.held.probe(self.name, places, self._now_ms(), self._cursor)
        if effects.writes:
            self.shared.absorb(effects)

    def _hold(self, *, still: bool) -> None:
        if self.key is not None:
            return
        reason = f"the breaker of {self.handler} is open"
        if still:
            self.shared.pauses.hold_standing(reason)
        else:
            self.shared.pauses.release(reason)

    def _arm(self, wait_ms: int | None) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if wait_ms is None or self._ended:
            return
        if wait_ms == 0 and not self._probes_itself():
            return
        seconds = min((wait_ms or self.fuse.rule.open_ms) / 1_000, LONGEST_SLEEP_SECONDS)
        self._alarm = asyncio.get_running_loop().call_later(seconds, _wake, self)

    def _now_ms(self) -> int:
        return self.shared.clock.now_ms()


def _wake(gate: Gate) -> None:
    # A function, and no method: somebody sleeps until then, and a simulation must not skip it as housekeeping.
    gate.wake()
