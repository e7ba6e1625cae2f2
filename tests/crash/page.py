"""A page of memory that a process of the crash tests shares with the one that kills it.

The process says how far its current transaction has come, one byte written at every fault point; whoever kills it
reads there afterwards where it was hit. The other way round it can be asked to do something at a point.
"""

import mmap
import os
import signal
import time
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Final

WRITER_POINTS: Final = ("lock-taken", "begun", "before-commit", "committed", "before-acknowledge")
"""The fault points of a write transaction, in order."""

PREPARED: Final = "prepared"
"""A task's commit is the writer's next work, whatever becomes of the task; the lock has not been taken yet."""

LEAVING_POINTS: Final = ("draining", "releasing", "leaving")
"""A task begins to drain; is to be given back; the group is to be left."""

ARRIVING_POINTS: Final = ("taking-over", "taken-over")
"""A task is to be taken over; was taken over, and nothing of it has been read yet."""

CHECKPOINT_POINTS: Final = ("page-copied", "checkpoint-locked", "checkpoint-done")
"""A page was copied out of the write-ahead log; a checkpoint has taken the write lock; is about to release it."""

INSIDE: Final = frozenset({"begun", "before-commit", "committed"})
"""Between BEGIN and the release of the lock: a commit is open."""

_POINTS: Final = ("nothing", *WRITER_POINTS, PREPARED, *LEAVING_POINTS, *ARRIVING_POINTS, *CHECKPOINT_POINTS)
_CODES: Final = {point: code for code, point in enumerate(_POINTS)}
_NAMES: Final = {code: point for point, code in _CODES.items()}
_REACHED, _ASKED_POINT, _ASKED, _DOING, _READY, _JUDGED, _REFUSED = range(7)
_SIZE: Final = 16

THAT_IS_ALL: Final = "--- that is where everything stands"
"""The last line of what a process says when it is asked where it stands."""


class Ask(IntEnum):
    """What a process can be asked to do at a point."""

    NOTHING = 0
    WAIT = 1
    """Stand still until the question is withdrawn, or the process killed."""
    FAIL = 2
    """Raise, so that the outcome of the transaction is unknown to everyone in it."""
    STOP = 3
    """Stop the whole process, as SIGSTOP does."""
    LOSE_POWER = 4
    """Lose what was not synced, all but some of it, and end as if killed."""


class Doubt(Exception):
    """Raised at a fault point, because somebody asked for it."""


class Page:
    """Both sides of the page."""

    def __init__(self, path: Path, lose_power: Callable[[], None] | None = None) -> None:
        """Open the page at ``path``; it is made empty when it is not there. ``lose_power`` is called when asked."""
        self._lose_power = lose_power
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if os.fstat(descriptor).st_size < _SIZE:
                os.ftruncate(descriptor, _SIZE)
            self._memory = mmap.mmap(descriptor, _SIZE)
        finally:
            os.close(descriptor)

    # -- the side of the process

    def at(self, point: str) -> None:
        """The writer has reached a point."""
        self._memory[_REACHED] = _CODES[point]
        self._obey(point)

    def passing(self, point: str) -> None:
        """The process is at a point that is none of the writer's."""
        self._obey(point)

    def judge(self, *, refused: bool) -> None:
        """The owner epoch of a commit has been looked at."""
        self._memory[_JUDGED] = 1
        if refused:
            self._memory[_REFUSED] = 1

    def tell_ready(self) -> None:
        """The process is up."""
        self._memory[_READY] = 1

    def _obey(self, point: str) -> None:
        memory = self._memory
        ask = memory[_ASKED]
        code = _CODES[point]
        if ask == Ask.NOTHING or memory[_ASKED_POINT] != code:
            return
        memory[_DOING] = code
        if ask == Ask.WAIT:
            while memory[_ASKED] == Ask.WAIT and memory[_ASKED_POINT] == code:
                time.sleep(0.0005)
            # Another thread may stand at another point by now.
            if memory[_DOING] == code:
                memory[_DOING] = 0
            return
        memory[_ASKED] = Ask.NOTHING
        if ask == Ask.STOP:
            os.kill(os.getpid(), signal.SIGSTOP)
            # It takes a moment until every thread stands still, this one included.
            time.sleep(0.05)
        elif ask == Ask.LOSE_POWER:
            assert self._lose_power is not None
            self._lose_power()
            os.kill(os.getpid(), signal.SIGKILL)
        memory[_DOING] = 0
        if ask == Ask.FAIL:
            raise Doubt(point)

    # -- the side of the killer

    @property
    def reached(self) -> str:
        """The point that the writer reached last."""
        return _NAMES[self._memory[_REACHED]]

    @property
    def ready(self) -> bool:
        """Whether the process is up."""
        return bool(self._memory[_READY])

    @property
    def doing(self) -> bool:
        """Whether the process is at the point where it was asked to wait or stop."""
        return 0 < self._memory[_DOING] == self._memory[_ASKED_POINT]

    @property
    def asked(self) -> bool:
        """Whether something is asked that has not been done yet."""
        return self._memory[_ASKED] != Ask.NOTHING

    @property
    def judged(self) -> bool:
        """Whether the owner epoch of a commit has been looked at."""
        return bool(self._memory[_JUDGED])

    @property
    def refused(self) -> bool:
        """Whether a commit was refused because of its owner epoch."""
        return bool(self._memory[_REFUSED])

    def ask(self, ask: Ask, point: str) -> None:
        """Ask for something at the next time the process reaches ``point``; one that waits at another one goes on."""
        self._memory[_ASKED_POINT] = _CODES[point]
        self._memory[_ASKED] = ask

    def forget(self) -> None:
        """As if the writer had not reached any point yet, and no commit had been looked at."""
        self._memory[_REACHED] = self._memory[_JUDGED] = self._memory[_REFUSED] = 0

    def withdraw(self) -> None:
        """Ask for nothing any more; a process that waits goes on."""
        self._memory[_ASKED] = Ask.NOTHING

    def close(self) -> None:
        """Read and write no more."""
        self._memory.close()

    def clear(self) -> None:
        """Forget everything, for the next process that uses the page."""
        self._memory[:] = bytes(_SIZE)
