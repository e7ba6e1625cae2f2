"""The parent's eye on its workers: one that stands still is ended, and another one starts.

Somebody has stopped it, or a call into C never comes back: to everybody else it is silent. The group gives its tasks
away after the session timeout, but a lock that it holds, such as that of a file, is free only when the process is gone.
"""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

TICK: Final = b"."
"""The event loop of a worker has turned."""
LOOKED_AT: Final = b"d"
"""It has, and a debugger looks on: standing still may be what somebody wants."""

TICKS_IN_TIME: Final = 8
LONGEST_TICK_SECONDS: Final = 1.0
STOPPED_SESSIONS: Final = 1.25
"""A worker that has been stopped for so many session timeouts is ended: its tasks are somebody else's by then."""
LATE_SECONDS: Final = 1.0
"""A parent that has stood still for so long itself knows nothing of the others, and begins anew."""


class Limits(Struct, frozen=True):
    """For how long a worker may stand still. With a ``hung_seconds`` of 0 nobody looks."""

    session_seconds: float
    hung_seconds: float

    @property
    def tick_seconds(self) -> float:
        """How often workers say that they turn, and how often it is looked whether they stand still."""
        return min(LONGEST_TICK_SECONDS, self.session_seconds / TICKS_IN_TIME, self.hung_seconds / TICKS_IN_TIME)


class Pulse:
    """What is known of one worker. All times are those of one monotonic clock."""

    def __init__(self, pid: int, limits: Limits, now: float) -> None:
        """It has just been made, and turns only once it has said so: what it imports may take long."""
        self._pid = pid
        self._limits = limits
        self._turned: float | None = None
        self._debugged = False
        self._stopped: float | None = None
        self._looked = now

    def hear(self, said: bytes, now: float) -> None:
        """It has said this."""
        if said:
            self._turned, self._debugged = now, said.endswith(LOOKED_AT)

    def fault(self, now: float, *, started: bool) -> str | None:
        """Why it is to be ended. ``started``: its services run; what they open before that may take long as well."""
        late = now - self._looked > self._limits.tick_seconds + LATE_SECONDS
        self._looked = now
        stopped, traced = standing(self._pid)
        if late or traced or self._debugged:
            self._stopped, self._turned = None, self._turned and now
            return None
        self._stopped = (self._stopped or now) if stopped else None
        if self._stopped is not None:
            seconds = now - self._stopped
            over = seconds > self._limits.session_seconds * STOPPED_SESSIONS
            return f"has been stopped for {seconds:.1f} s, by SIGSTOP or a terminal" if over else None
        seconds = 0 if self._turned is None else now - self._turned
        if started and seconds > self._limits.hung_seconds:
            return f"is blocked: its event loop has not turned for {seconds:.1f} s"
        return None


def standing(pid: int) -> tuple[bool, bool]:
    """Whether a process has been stopped by a signal, and whether another one traces it. On Linux; else neither."""
    found = {}
    with suppress(OSError):
        found = dict(
            line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "\t" in line
        )
    return found.get("State", "").startswith("T"), found.get("TracerPid", "0").strip() != "0"


def debugged() -> bool:
    """Whether a debugger looks at the thread that asks."""
    if sys.version_info >= (3, 12) and sys.monitoring.get_tool(sys.monitoring.DEBUGGER_ID) is not None:
        return True
    return sys.gettrace() is not None
