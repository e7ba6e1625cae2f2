"""What a process says about itself, and what follows from it: whether it is ready, whether it lives."""

from collections.abc import Mapping
from typing import Literal, TypeAlias

from msgspec import Struct

from mainstem.broker import CopyProgress
from mainstem.delivery import Letters, Strain

State: TypeAlias = Literal["starting", "restoring", "running", "draining"]


class TaskHealth(Struct, frozen=True):
    """A task that this process owns.

    ``in_flight`` counts the events that were read and are not finished. For ``still_seconds`` it has had work under way
    and has got on with none of it; that is 0 for a task that has nothing to do. ``paused`` says why its inputs stand
    still, and for how many seconds; it is not stuck then, and goes on by itself. The ``strain`` says which of its
    handlers give way, for how many seconds, and which key is hot.
    ``open_breakers`` are those of its handlers that are not closed, and for how many seconds.
    """

    group: str
    task: int
    in_flight: int
    still_seconds: float
    stuck: bool
    paused: Mapping[str, float] = {}
    strain: Strain = Strain()
    open_breakers: Mapping[str, float] = {}


class GroupHealth(Struct, frozen=True):
    """A group that runs in this process: whether it has run what is assigned to it, and the tasks it owns now.

    ``waits`` say what it has waited for, for longer than a moment: to be let in, to be given tasks, to take one over.
    ``letters`` count the keys that wait for a next try, and for a decision, in these tasks, up to 10,000 of a handler
    in each; ``alerts`` say which thresholds of the service they pass.
    """

    group: str
    stands: bool
    draining: bool
    tasks: tuple[TaskHealth, ...]
    waits: tuple[str, ...] = ()
    letters: Letters = Letters()
    alerts: tuple[str, ...] = ()


class Health(Struct, frozen=True):
    """How a process is.

    It is ``ready`` when every group stands, the broker answers and nothing is being drained; a process that is not
    ready loses nothing by waiting. It is ``live`` unless a task is stuck; only a process that is not live should be
    ended. ``reasons`` say in words what is missing, for both. ``copies`` are the local copies of stores that are not in
    use: a task whose copy is being restored does not run yet, and the state says so; a standby waits for its turn.
    """

    state: State
    ready: bool
    live: bool
    reasons: tuple[str, ...]
    broker: str | None
    groups: tuple[GroupHealth, ...]
    copies: tuple[CopyProgress, ...] = ()

    @classmethod
    def of(
        cls,
        broker: str,
        unreachable: str | None,
        groups: tuple[GroupHealth, ...],
        copies: tuple[CopyProgress, ...] = (),
    ) -> "Health":
        """Judge. ``unreachable`` says why the broker does not answer, or is None."""
        draining = any(each.draining for each in groups)
        restoring = [each for each in copies if each.state == "restoring"]
        missing = [f"group {each.group!r} has not taken over its tasks yet" for each in groups if not each.stands]
        missing += [
            f"task {each.task} of {each.group!r} is being restored: {each.position:,} of {each.end:,}"
            for each in restoring
            if any(group.group == each.group and not group.stands for group in groups)
        ]
        missing += [f"group {each.group!r}: {wait}" for each in groups for wait in each.waits]
        if draining:
            missing = ["it is draining"]
        if unreachable is not None:
            missing.append(f"the broker does not answer: {unreachable}")
        stuck = [
            f"task {task.task} of {task.group!r} has had {task.in_flight} events in flight for "
            f"{task.still_seconds:.0f} s, and has finished none of them"
            for group in groups
            for task in group.tasks
            if task.stuck
        ]
        state: State = "draining" if draining else "restoring" if restoring else "running"
        return cls(state, not missing, not stuck, (*missing, *stuck), broker, groups, copies)


STARTING = Health("starting", ready=False, live=True, reasons=("it is starting",), broker=None, groups=())
"""Before there are groups."""
