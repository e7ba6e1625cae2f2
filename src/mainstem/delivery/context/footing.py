"""What the runs of a handler share in one incarnation of its task."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from msgspec import Struct

from mainstem.clock import Clock
from mainstem.delivery.context.effects import Effects, Outputs, Through
from mainstem.delivery.context.firing import Stamps
from mainstem.delivery.context.refusals import checked_name, no_memory, used_after_its_run
from mainstem.delivery.context.stores import Store
from mainstem.errors import IncarnationOver
from mainstem.events import Declaration
from mainstem.identifiers import Derivation
from mainstem.state import TaskState


class Incarnation:
    """One taking-over of a task. Once it is over, nothing that still runs on its behalf can do anything."""

    __slots__ = ("alive", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True

    def check(self) -> None:
        """Raise :class:`IncarnationOver` when the task has been lost."""
        if not self.alive:
            raise IncarnationOver(
                f"{self.name} is no longer owned by this process",
                why="another owner has taken the task over, or it was given back",
                remedy="nothing: the event is handled again by the new owner, from the last commit",
            )


class Run(Protocol):
    """One run of a handler, as a checkpoint sees it."""

    @property
    def handler(self) -> str:
        """The handler's name."""
        ...

    @property
    def event_id(self) -> str:
        """The id of the event it runs for."""
        ...

    @property
    def key(self) -> bytes | None:
        """Its key."""
        ...

    @property
    def topic(self) -> str:
        """Where it was read from."""
        ...

    @property
    def partition(self) -> int:
        """The partition of that topic."""
        ...

    @property
    def offset(self) -> int:
        """Its place there."""
        ...


class Surroundings(Struct, frozen=True):
    """What a task lends its handlers.

    ``checkpoint`` commits the effects of a run, with how many outputs and timers it has caused, and notes who was
    through before; it returns once that is durable. ``stamps`` order what they schedule; None where nothing is
    remembered. ``bare`` are the inputs whose records carry no envelope, by topic. ``replaying``: events are recorded.
    ``caches`` are what stands beside the stores of caches, by their names.
    """

    state: TaskState
    outputs: Outputs
    clock: Clock
    stores: Mapping[str, Store[object]]
    checkpoint: Callable[[Run, int, Effects, list[Through]], Awaitable[None]]
    stamps: Stamps | None
    bare: Mapping[str, Declaration] = {}
    replaying: bool = False
    caches: Mapping[str, object] = {}


class Footing:
    """What all contexts of a handler stand on, in one incarnation of its task."""

    __slots__ = (
        "bare",
        "batch",
        "caches",
        "checkpoint",
        "clock",
        "declared",
        "derivation",
        "handler",
        "incarnation",
        "latest",
        "outputs",
        "replaying",
        "stamps",
        "state",
        "stores",
        "timers",
    )

    def __init__(
        self,
        handler: str,
        derivation: Derivation,
        incarnation: Incarnation,
        surroundings: Surroundings,
        timer_names: frozenset[str],
        *,
        batch: bool = False,
    ) -> None:
        """``derivation`` stands for service, group and handler; outputs get ids from it. ``batch``: it takes lists."""
        self.batch = batch
        self.handler = handler
        self.derivation = derivation
        self.incarnation = incarnation
        self.state = surroundings.state
        self.outputs = surroundings.outputs
        self.latest = surroundings.outputs.replaceable
        self.clock = surroundings.clock
        self.checkpoint = surroundings.checkpoint
        self.stamps = surroundings.stamps
        self.timers = timer_names
        self.bare = surroundings.bare
        self.caches = surroundings.caches
        self.replaying = surroundings.replaying
        self.declared = surroundings.stores
        self.stores: set[str] = set()

    @property
    def place(self) -> str:
        """Where something has happened, for errors."""
        return f"handler {self.handler}"

    def stamp(self) -> int:
        """Orders what is scheduled; raises :class:`~mainstem.errors.DefinitionError` where nothing is remembered."""
        if self.stamps is None:
            raise no_memory(self.handler)
        return self.stamps.next()

    def handle(self, event_id: bytes, name: str | None) -> str:
        """What names an event that is published later: its id, or the name it is given."""
        return event_id.decode() if name is None else checked_name(name, self.place)

    def used_after_its_run(self, where: str) -> IncarnationOver:
        """A context of this handler was used when its run was over."""
        return used_after_its_run(self.handler, where)
