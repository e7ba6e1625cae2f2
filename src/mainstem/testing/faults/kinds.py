"""What can go wrong: where, what, how often, to whom."""

from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Final

from mainstem.calendar import Duration, seconds
from mainstem.errors import DefinitionError
from mainstem.testing.faults.acts import (
    OUTCOME,
    POINTS,
    PUBLISH,
    READ,
    Act,
    AssignTwice,
    Crash,
    Duplicate,
    Fail,
    Function,
    Hold,
    Jump,
    LoseAnswer,
    Outage,
    Pause,
    Refuse,
    Restart,
    Slow,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong ``times`` times (None: always), in one worker or any.

    ``at`` is a function, or the name of a point; in a name, ``*`` stands for anything. Each time it could happen it
    does with ``probability``, which is decided by the seed; but not the first ``skip`` times. Where no probability is
    stated it is 1, and in a search one that each seed draws.
    """

    at: str | Function
    act: Act
    times: int | None = 1
    worker: int | None = None
    probability: float | None = None
    skip: int = 0


def fail(
    function: Function,
    error: Exception | type[Exception],
    *,
    times: int | None = 1,
    after: bool = False,
    worker: int | None = None,
    probability: float | None = None,
) -> Fault:
    """Let a function raise ``error``: a handler, or a function or method that handlers call.

    It is not run then; with ``after=True`` it is run first, as a bank that has charged and whose answer is lost.
    """
    _check_function("fail", function)
    return Fault(at=function, act=Fail(error, after), times=times, worker=worker, probability=probability)


def slow(
    function: Function,
    by: Duration,
    *,
    times: int | None = None,
    worker: int | None = None,
    probability: float | None = None,
) -> Fault:
    """Let a function take longer ``by`` so much. A plain function stops everybody meanwhile, as it does in life."""
    _check_function("slow", function)
    return Fault(at=function, act=Slow(seconds(by)), times=times, worker=worker, probability=probability)


def crash(
    at: str | Function = "*",
    *,
    times: int | None = 1,
    worker: int | None = None,
    probability: float | None = None,
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
    probability: float | None = None,
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
    probability: float | None = None,
    skip: int = 0,
) -> Fault:
    """Let a worker stand still for a while, as a stopped process or a busy machine does."""
    return Fault(
        at=at, act=Pause(seconds(by), running=False), times=times, worker=worker, probability=probability, skip=skip
    )


def refuse_commit(
    *, times: int | None = 1, worker: int | None = None, probability: float | None = None, skip: int = 0
) -> Fault:
    """Let a task's commit be refused: nothing of it happens."""
    return Fault(at=OUTCOME, act=Refuse(), times=times, worker=worker, probability=probability, skip=skip)


def lose_answer(
    *, happened: bool, times: int | None = 1, worker: int | None = None, probability: float | None = None, skip: int = 0
) -> Fault:
    """Let the outcome of a task's commit be unknown, whether it ``happened`` or not."""
    return Fault(at=OUTCOME, act=LoseAnswer(happened), times=times, worker=worker, probability=probability, skip=skip)


def duplicate(*, times: int | None = 1, probability: float | None = None) -> Fault:
    """Let ``world.publish`` append an event twice, with one id."""
    return Fault(at=PUBLISH, act=Duplicate(), times=times, probability=probability)


def rebalance(
    at: str = "*",
    *,
    times: int | None = 1,
    worker: int | None = None,
    probability: float | None = None,
    skip: int = 0,
) -> Fault:
    """Let a worker be stopped as SIGTERM does, and start again: its tasks go to others, and come back."""
    return Fault(at=at, act=Restart(), times=times, worker=worker, probability=probability, skip=skip)


def assign_twice(
    at: str = "*",
    *,
    times: int | None = 1,
    worker: int | None = None,
    probability: float | None = None,
    skip: int = 0,
) -> Fault:
    """Let another worker be told that it has this one's tasks as well. Both believe it, until the group is asked."""
    return Fault(at=at, act=AssignTwice(), times=times, worker=worker, probability=probability, skip=skip)


def outage(
    at: str = "*", *, by: Duration = "20s", times: int | None = 1, probability: float | None = None, skip: int = 0
) -> Fault:
    """Let the broker be away for a while: nobody commits, reads, publishes or is heard."""
    return Fault(at=at, act=Outage(seconds(by)), times=times, probability=probability, skip=skip)


def jump(
    by: Duration,
    at: str = "*",
    *,
    back: bool = False,
    times: int | None = 1,
    probability: float | None = None,
    skip: int = 0,
) -> Fault:
    """Set the wall clock forward, or ``back``, as an operator does, or a machine that has found its time server."""
    length = seconds(by)
    return Fault(at=at, act=Jump(-length if back else length), times=times, probability=probability, skip=skip)


def reorder(
    *,
    by: Duration = "2s",
    times: int | None = 3,
    worker: int | None = None,
    probability: float | None = None,
    skip: int = 0,
) -> Fault:
    """Let what one partition holds be read later than what others hold; in a partition the order stays what it is."""
    return Fault(at=READ, act=Hold(seconds(by)), times=times, worker=worker, probability=probability, skip=skip)


USUAL: Final = (
    crash("commit.*", times=2),
    crash("writer.*", times=2),
    crash("handler.*", times=2),
    lose_ownership("*"),
    lose_ownership("commit.*", stand_still=True),
    stall("*", by="4s", times=2),
    refuse_commit(),
    lose_answer(happened=True),
    lose_answer(happened=False),
    duplicate(),
    rebalance(),
    assign_twice(),
    outage(),
    jump("2m"),
    jump("30s", back=True),
    reorder(),
)
"""What goes wrong around any service sooner or later: a search draws some of these for each seed."""


def _check_function(what: str, given: object) -> None:
    if not callable(given):
        name = given if isinstance(given, str) and given.isidentifier() else "send"
        raise DefinitionError(
            f"{what}({given!r}, ...) names no function",
            why="a name could be that of several; only points are named",
            remedy=f"pass the function itself: {what}({name}, ...)",
        )


def points_of(fault: Fault) -> tuple[str, ...]:
    """The points that a fault names. Raises ``DefinitionError`` for a name that fits none."""
    name = fault.at
    if not isinstance(name, str):
        return ()
    if isinstance(fault.act, Duplicate | Refuse | LoseAnswer | Hold):
        return (name,)
    found = tuple(point for point in POINTS if fnmatchcase(point, name))
    if not found:
        near = get_close_matches(name, POINTS, n=1)
        raise DefinitionError(
            f"no point is called {name!r}",
            why=f"the points are {', '.join(POINTS)}",
            remedy=f"did you mean {near[0]!r}?"
            if near
            else "name one of them, with * for any part; or pass a function",
        )
    return found
