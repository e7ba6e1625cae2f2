"""The parked sequences of a task that wait for a breaker: found by breaker, whatever they are parked by.

The index may have rows of sequences that wait no more; the mark of a sequence says whether it does.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from mainstem.delivery.context import Effects, no_effects
from mainstem.delivery.failures import HELD_STORE, Parking, held_by, held_in
from mainstem.state import TaskState


class HeldSequences:
    """Finds them, and lets them be tried."""

    __slots__ = ("_state", "parking")

    def __init__(self, state: TaskState, parking: Parking) -> None:
        self._state = state
        self.parking = parking

    def some(self, breaker: bytes) -> bool:
        """Whether any may wait for a breaker."""
        return bool(self._rows(breaker, b"", 1))

    def breakers(self) -> Iterator[bytes]:
        """The breakers that some may wait for."""
        start = b""
        while rows := self._state.scan(HELD_STORE, start, limit=1):
            breaker, _ = held_in(rows[0][0])
            yield breaker
            start = held_by(breaker)[1]

    def free(self, breaker: bytes, count: int, now_ms: int) -> Effects | None:
        """Let so many be tried now, that need wait no more; None when there are none."""
        rows = self._rows(breaker, b"", count)
        effects = no_effects()
        for row in rows:
            effects.write(HELD_STORE, row, None)
            self._try_now(effects, row, now_ms, held=b"")
        return effects if rows else None

    def probe(self, breaker: bytes, count: int, now_ms: int, behind: bytes) -> tuple[Effects, bytes]:
        """Let so many be tried now, from behind a row on, and from the first one again; and where to go on."""
        rows = self._rows(breaker, behind, count)
        if behind and len(rows) < count:
            rows += [each for each in self._rows(breaker, b"", count - len(rows)) if each not in rows]
        effects = no_effects()
        for row in rows:
            if not self._try_now(effects, row, now_ms, held=breaker):
                effects.write(HELD_STORE, row, None)
        return effects, rows[-1] if rows else b""

    def _rows(self, breaker: bytes, behind: bytes, count: int) -> list[bytes]:
        start, stop = held_by(breaker)
        return [
            row for row, _ in self._state.scan(HELD_STORE, behind + b"\x00" if behind else start, stop, limit=count)
        ]

    def _try_now(self, effects: Effects, row: bytes, now_ms: int, *, held: bytes) -> bool:
        breaker, (name, place) = held_in(row)
        mark = self.parking.mark(name, place, effects)
        if mark is None or mark.held != breaker:
            return False
        self.parking.write_mark(effects, name, place, replace(mark, next_ms=now_ms, held=held))
        return True
