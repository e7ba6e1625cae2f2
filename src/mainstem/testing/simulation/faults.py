"""What can go wrong, as values: where, what, how often, to whom."""

from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from random import Random
from typing import Final, TypeAlias

from mainstem.calendar import Duration, seconds
from mainstem.errors import DefinitionError

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
"""Where :func:`duplicate`, :func:`refuse_commit` and :func:`lose_answer` happen; nothing else does there."""


@dataclass(frozen=True, slots=True)
class Fail:
    """Raise ``error``; with ``after``, when the function has done its work."""

    error: Exception | type[Exception]
    after: bool


@dataclass(frozen=True, slots=True)
class Slow:
    """Take so much longer."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Crash:
    """Let the process end there, as ``kill -9`` would, and start another in its place; None never does."""

    restart_seconds: float | None


@dataclass(frozen=True, slots=True)
class Pause:
    """Let the process stand still for a while; ``running``, let it run, but unheard and hearing nothing.

    None is long enough for others to take its tasks over.
    """

    seconds: float | None
    running: bool


@dataclass(frozen=True, slots=True)
class Refuse:
    """Let the commit be refused."""


@dataclass(frozen=True, slots=True)
class LoseAnswer:
    """Let nobody know how the commit ended, whether it ``happened`` or not."""

    happened: bool


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Append what is published twice, as a producer does that has not heard the first answer."""


Act: TypeAlias = Fail | Slow | Crash | Pause | Refuse | LoseAnswer | Duplicate


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong ``times`` times (None: always), in one worker or any.

    ``at`` is a function, or the name of a point; in a name, ``*`` stands for anything. Each time it could happen it
    does with ``probability``, which is decided by the seed; but not the first ``skip`` times.
    """

    at: str | Function
    act: Act
    times: int | None = 1
    worker: int | None = None
    probability: float = 1.0
    skip: int = 0


def fail(
    function: Function,
    error: Exception | type[Exception],
    *,
    times: int | None = 1,
    after: bool = False,
    worker: int | None = None,
    probability: float = 1.0,
) -> Fault:
    """Let a function raise ``error``: a handler, or a function or method that handlers call.

    It is not run then; with ``after=True`` it is run first, as a bank that has charged and whose answer is lost.
    """
    return Fault(at=function, act=Fail(error, after), times=times, worker=worker, probability=probability)


def slow(
    function: Function,
    by: Duration,
    *,
    times: int | None = None,
    worker: int | None = None,
    probability: float = 1.0,
) -> Fault:
    """Let a function take longer ``by`` so much. A plain function stops everybody meanwhile, as it does in life."""
    return Fault(at=function, act=Slow(seconds(by)), times=times, worker=worker, probability=probability)


def crash(
    at: str | Function = "*",
    *,
    times: int | None = 1,
    worker: int | None = None,
    probability: float = 1.0,
    skip: int = 0,
    restart_after: Duration | None = "1s",
) -> Fault:
    """Let a worker die at one of :data:`POINTS`, or where a function is called; another one starts in its place."""
    act = Crash(None if restart_after is None else seconds(restart_after))
    return Fault(at=at, act=act, times=times, worker=worker, probability=probability, skip=skip)


def lose_ownership(
    at: str | Function = "*",
    *,
    times: int | None = 1,
    worker: int | None = None,
    probability: float = 1.0,
    skip: int = 0,
    stand_still: bool = False,
) -> Fault:
    """Let another worker take over while the old one is still there, and does not know.

    For more than a session timeout nobody hears its heart, and it hears nothing. It runs on; with ``stand_still`` it
    does not, and goes on later where it was, with a commit in its hands for instance.
    """
    return Fault(
        at=at, act=Pause(None, not stand_still), times=times, worker=worker, probability=probability, skip=skip
    )


def stall(
    at: str | Function = "*",
    *,
    by: Duration,
    times: int | None = 1,
    worker: int | None = None,
    probability: float = 1.0,
    skip: int = 0,
) -> Fault:
    """Let a worker stand still for a while, as a stopped process or a busy machine does."""
    return Fault(
        at=at, act=Pause(seconds(by), running=False), times=times, worker=worker, probability=probability, skip=skip
    )


def refuse_commit(
    *, times: int | None = 1, worker: int | None = None, probability: float = 1.0, skip: int = 0
) -> Fault:
    """Let a task's commit be refused: nothing of it happens."""
    return Fault(at=OUTCOME, act=Refuse(), times=times, worker=worker, probability=probability, skip=skip)


def lose_answer(
    *, happened: bool, times: int | None = 1, worker: int | None = None, probability: float = 1.0, skip: int = 0
) -> Fault:
    """Let the outcome of a task's commit be unknown, whether it ``happened`` or not."""
    return Fault(at=OUTCOME, act=LoseAnswer(happened), times=times, worker=worker, probability=probability, skip=skip)


def duplicate(*, times: int | None = 1, probability: float = 1.0) -> Fault:
    """Let ``world.publish`` append an event twice, with one id."""
    return Fault(at=PUBLISH, act=Duplicate(), times=times, probability=probability)


@dataclass(slots=True)
class Armed:
    """A fault in one simulation, and how often it may still happen."""

    fault: Fault
    random: Random
    left: int | None = field(init=False)
    passed: int = 0

    def __post_init__(self) -> None:
        self.left = self.fault.times

    def fires(self, worker: int | None) -> bool:
        """Whether it happens now, to this worker."""
        fault = self.fault
        if self.left == 0 or fault.worker not in (None, worker):
            return False
        if fault.probability < 1.0 and self.random.random() >= fault.probability:
            return False
        self.passed += 1
        if self.passed <= fault.skip:
            return False
        if self.left is not None:
            self.left -= 1
        return True


def points_of(fault: Fault) -> tuple[str, ...]:
    """The points that a fault names. Raises ``DefinitionError`` for a name that fits none."""
    name = fault.at
    if not isinstance(name, str):
        return ()
    if isinstance(fault.act, Duplicate | Refuse | LoseAnswer):
        return (name,)
    found = tuple(point for point in POINTS if fnmatchcase(point, name))
    if not found:
        raise DefinitionError(
            f"no point is called {name!r}",
            why=f"the points are {', '.join(POINTS)}",
            remedy="name one of them, with * for any part of it; or a function",
        )
    return found
