"""What can befall a process, a commit or a call, as values; and where."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

Function: TypeAlias = Callable[..., object]

POINTS: Final = (
    "handler.begin",
    "handler.end",
    "commit.cut",
    "commit.append",
    "commit.changes",
    "commit.positions",
    "commit.commit",
    "writer.lock-taken",
    "writer.begun",
    "writer.before-commit",
    "writer.committed",
    "writer.before-acknowledge",
    "commit.committed",
)
"""Where a worker can be interrupted: around a handler, at the steps of a commit, and at those of the write transaction.

They are reached in this order. Up to ``writer.before-commit`` nothing of a commit is durable, after it everything is.
"""

PUBLISH: Final = "publish"
OUTCOME: Final = "outcome"
READ: Final = "read"
"""Where a test publishes, a commit ends, a batch is read; each has faults of its own, and no other happens there."""


@dataclass(frozen=True, slots=True)
class Fail:
    """Raise ``error``; with ``after``, when the function has done its work."""

    error: Exception | type[Exception]
    after: bool

    def __str__(self) -> str:
        name = self.error.__name__ if isinstance(self.error, type) else repr(self.error)
        return f"raises {name}{', when it has done its work' if self.after else ''}"


@dataclass(frozen=True, slots=True)
class Slow:
    """Take so much longer."""

    seconds: float

    def __str__(self) -> str:
        return f"takes {self.seconds:g} s longer"


@dataclass(frozen=True, slots=True)
class Crash:
    """Let the process end there, as ``kill -9`` would, and start another in its place; None never does."""

    restart_seconds: float | None

    def __str__(self) -> str:
        return "dies"


@dataclass(frozen=True, slots=True)
class Pause:
    """Let the process stand still for a while; ``running``, let it run, but unheard and hearing nothing.

    None is long enough for others to take its tasks over.
    """

    seconds: float | None
    running: bool

    def __str__(self) -> str:
        return "is cut off" if self.running else "stands still"


@dataclass(frozen=True, slots=True)
class Restart:
    """Let the process be told to stop, drain, and start again, so that its tasks go to others and come back."""

    def __str__(self) -> str:
        return "is restarted"


@dataclass(frozen=True, slots=True)
class AssignTwice:
    """Let another worker be told, falsely, that it has the tasks of this one as well."""

    def __str__(self) -> str:
        return "has its tasks assigned to another one as well"


@dataclass(frozen=True, slots=True)
class Outage:
    """Let the broker be away from everybody for so long."""

    seconds: float

    def __str__(self) -> str:
        return f"finds the broker away, for {self.seconds:g} s"


@dataclass(frozen=True, slots=True)
class Jump:
    """Set the wall clock of all forward by so much, or back."""

    seconds: float

    def __str__(self) -> str:
        return f"sees the clock jump {'forward' if self.seconds > 0 else 'back'} by {abs(self.seconds):g} s"


@dataclass(frozen=True, slots=True)
class Hold:
    """Let what is read next from this partition arrive so much later than what the others hold."""

    seconds: float

    def __str__(self) -> str:
        return f"is given it {self.seconds:g} s late"


@dataclass(frozen=True, slots=True)
class Refuse:
    """Let the commit be refused."""

    def __str__(self) -> str:
        return "has its commit refused"


@dataclass(frozen=True, slots=True)
class LoseAnswer:
    """Let nobody know how the commit ended, whether it ``happened`` or not."""

    happened: bool

    def __str__(self) -> str:
        return f"does not hear how its commit ended; it has {'' if self.happened else 'not '}happened"


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Append what is published twice, as a producer does that has not heard the first answer."""

    def __str__(self) -> str:
        return "is published twice"


Act: TypeAlias = (
    Fail | Slow | Crash | Pause | Restart | AssignTwice | Outage | Jump | Hold | Refuse | LoseAnswer | Duplicate
)
