"""Tells in the audit topic what holds up more than one key, once when it begins and once when it is over.

A row stands for each as long as it lasts, so that whoever takes the task over tells of the end of what it does not
find.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import msgspec

from mainstem.clock import Clock
from mainstem.delivery.context import Effects
from mainstem.delivery.failures import Audit, Held
from mainstem.state import TaskState

NOTICES_STORE = "$notices"

Absorb: TypeAlias = Callable[[Effects], None]

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[Held, str, int]).decode


class Notices:
    """What holds up one incarnation of a task."""

    __slots__ = ("_absorb", "_audit", "_clock", "_current")

    def __init__(self, audit: Audit, clock: Clock) -> None:
        self._audit = audit
        self._clock = clock
        self._current: dict[tuple[Held, str], tuple[int, str]] = {}
        self._absorb: Absorb | None = None

    def begin(self, state: TaskState, absorb: Absorb) -> None:
        """Tell from now on; first how things are other than the last owner has told."""
        self._absorb = absorb
        told = {
            (held, subject): since for held, subject, since in (_decode(row) for _, row in state.walk(NOTICES_STORE))
        }
        for at in told.keys() - self._current.keys():
            self._tell(at, over=True)
        for at, (since, because) in self._current.items():
            if at in told:
                self._current[at] = told[at], because
            else:
                self._tell(at, since=since, because=because)

    def say(self, held: Held, subject: str, because: str = "") -> None:
        """This holds now; told once."""
        at = held, subject
        if at not in self._current:
            self._current[at] = since, _ = self._clock.now_ms(), because
            self._tell(at, since=since, because=because)

    def over(self, held: Held, subject: str) -> None:
        """This holds no longer."""
        if self._current.pop((held, subject), None) is not None:
            self._tell((held, subject), over=True)

    def of(self, held: Held) -> Mapping[str, float]:
        """What holds now, and for how many seconds."""
        now = self._clock.now_ms()
        return {subject: max(0, now - at) / 1_000 for (kind, subject), (at, _) in self._current.items() if kind == held}

    def _tell(self, at: tuple[Held, str], *, since: int = 0, because: str = "", over: bool = False) -> None:
        if self._absorb is None:
            return
        held, subject = at
        at_ms = self._clock.now_ms() if over else since
        fact = self._audit.notice(held, subject, at_ms, because=because, over=over)
        row = None if over else _encode((held, subject, at_ms))
        self._absorb(Effects([fact], {(NOTICES_STORE, f"{held} {subject}".encode()): row}))
