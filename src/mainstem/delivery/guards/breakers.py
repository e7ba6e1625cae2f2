"""The breakers of the handlers of one task, in one incarnation of it."""

import asyncio
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final

from msgspec import Struct

from mainstem.delivery.context import Effects
from mainstem.delivery.failures import HELD_STORE, held_by, held_in
from mainstem.delivery.guards.breaker import Fuse
from mainstem.delivery.guards.gate import BREAKERS_STORE, Gate, Shared, decode_state
from mainstem.resilience import BreakerState
from mainstem.state import TaskState

GATES_MOST = 10_000
"""Of one handler; of more, those are forgotten that are closed, have no failure to remember, and nobody running."""

FREED_AT_ONCE = 500
_MOMENT_SECONDS = 0.02
"""Between so many: the other keys and the commits want a turn."""

HELD_MS = 3_600_000
"""What waits for a breaker is tried after this time in any case: it may be one that nobody knows any more."""

_ALL = b""
COUNTED_MOST: Final = 10_000
"""So many sequences that wait for a breaker are counted, and no more."""


class RememberedBreaker(Struct, frozen=True):
    """A breaker as a task has it in its store: open, or closed with failures to remember.

    ``key`` is what its events have in common; None where it is that of all events of the handler. So many parked
    sequences may wait for it, some of them no more.
    """

    handler: str
    key: bytes | None
    state: BreakerState
    waiting: int


def remembered_breakers(state: TaskState) -> Iterator[RememberedBreaker]:
    """The breakers of a task that are not as new."""
    for name, row in state.walk(BREAKERS_STORE):
        handler, key = _named(name)
        start, stop = held_by(name)
        waiting = sum(1 for _ in islice(state.walk(HELD_STORE, start, stop), COUNTED_MOST))
        yield RememberedBreaker(handler, key, decode_state(row), waiting)


def _named(name: bytes) -> tuple[str, bytes | None]:
    end = 2 + int.from_bytes(name[:2], "big")
    return name[2:end].decode(), name[end + 1 :] if name[end:] else None


class Breakers:
    """Finds the breaker of an event, and lets go on what was parked by one that has closed."""

    __slots__ = ("_changed", "_ended", "_fuses", "_gates", "_uneasy", "shared", "some")

    def __init__(self, fuses: Mapping[str, Fuse]) -> None:
        self._fuses = fuses
        self._gates: dict[str, dict[bytes, Gate]] = {handler: {} for handler in fuses}
        self._uneasy: set[str] = set()
        self._changed: dict[Gate, None] = {}
        self._ended = False
        self.some = False
        """Whether the kill switch of some handler has to be told of every event of it."""
        self.shared: Shared | None = None

    @property
    def open(self) -> bool:
        """Whether the kill switch of some handler is not closed."""
        return any(self._gates[each][_ALL].state.phase != "closed" for each in self._uneasy)

    def begin(self, shared: Shared, state: TaskState) -> None:
        """Go on with what an earlier owner has left."""
        self.shared = shared
        for row_key, row in state.walk(BREAKERS_STORE) if shared.keeps else ():
            handler, key = _named(row_key)
            fuse = self._fuses.get(handler)
            if fuse is None or (fuse.fields is None) != (key is None):
                shared.absorb(Effects([], {(BREAKERS_STORE, row_key): None}))
                continue
            gate = self._gates[handler][key or _ALL] = Gate(handler, key, fuse, shared, row)
            gate.begin()
        for name in [*shared.held.breakers()] if shared.keeps else ():
            self.free(name)

    def gate(self, handler: str, event: object) -> Gate | None:
        """The breaker of a handler for an event. Raises :class:`~mainstem.errors.EventRefused`."""
        gates = self._gates.get(handler)
        if gates is None:
            return None
        fuse = self._fuses[handler]
        key = None if fuse.fields is None else fuse.fields[type(event)](event) or b""
        gate = gates.get(key or _ALL)
        if gate is None:
            if len(gates) >= GATES_MOST:
                kept = {each: gate for each, gate in gates.items() if gate.row or gate.under_way or not gate.at_rest}
                gates = self._gates[handler] = kept
            assert self.shared is not None
            gate = gates[key or _ALL] = Gate(handler, key, fuse, self.shared)
        return gate

    def changed(self, gate: Gate) -> None:
        """The next commit is to carry it, as it is then: its row is made once for many events."""
        self._changed[gate] = None

    def rows(self) -> dict[tuple[str, bytes], bytes | None]:
        """What the next commit is to carry of those that have changed."""
        rows: dict[tuple[str, bytes], bytes | None] = {}
        for gate in self._changed:
            gate.write(rows)
        self._changed.clear()
        return rows

    def kill_switch(self, handler: str) -> Gate | None:
        """That of a handler, if it has one."""
        fuse = self._fuses.get(handler)
        return self.gate(handler, None) if fuse is not None and fuse.kills else None

    def went_well(self, handler: str) -> None:
        """A handler has succeeded at an event somewhere else than in a lane."""
        if handler in self._uneasy:
            self._gates[handler][_ALL].went_well(None)

    def look(self, gate: Gate) -> None:
        """Note whether a kill switch has to be told of every event."""
        if gate.state.phase == "closed" and gate.at_rest:
            self._uneasy.discard(gate.handler)
        else:
            self._uneasy.add(gate.handler)
            # Whoever takes the short way asks no one else.
            gate.shared.held.parking.some = True
        self.some = bool(self._uneasy)

    def free(self, name: bytes) -> None:
        """Let go on what was parked by a breaker, if that is closed; many of them a page at a time."""
        shared = self.shared
        assert shared is not None
        if self._ended or any(each.state.phase != "closed" for each in self._of(name)):
            return
        effects = shared.held.free(name, FREED_AT_ONCE, shared.clock.now_ms())
        if effects is not None:
            shared.absorb(effects)
            asyncio.get_running_loop().call_later(_MOMENT_SECONDS, _free, self, name)

    def parked(self, effects: Effects) -> None:
        """Changes have entered the books: what waits, since then, for a breaker that has closed before, goes on."""
        for (store, key), value in effects.writes.items():
            if store == HELD_STORE and value is not None:
                self.free(held_in(key)[0])

    def close(self, handler: str, key: bytes | None) -> int | None:
        """Close the breaker of a handler for a key, or all that it has; how many were open.

        None where the handler has none.
        """
        gates = self._gates.get(handler)
        if gates is None:
            return None
        found = list(gates.values()) if key is None else [gates[key]] if key in gates else []
        found = [each for each in found if each.state.phase != "closed"]
        for each in found:
            each.close()
        return len(found)

    def stop(self) -> None:
        """Do nothing more."""
        self._ended = True
        for gates in self._gates.values():
            for gate in gates.values():
                gate.stop()

    def _of(self, name: bytes) -> list[Gate]:
        handler, key = _named(name)
        gate = self._gates.get(handler, {}).get(key or _ALL)
        return [] if gate is None else [gate]


def _free(breakers: Breakers, name: bytes) -> None:
    # As in ``gate``: somebody waits for it.
    breakers.free(name)
