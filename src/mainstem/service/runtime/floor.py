"""What a process stands on: time, ids and chance, of this machine or of a simulation."""

import random
from collections.abc import Callable

from msgspec import Struct

from mainstem.clock import Clock, SystemClock
from mainstem.delivery import CallLater, Point, Processor, no_point
from mainstem.identifiers import Identifiers
from mainstem.schemas.writers import Writers


class Floor(Struct, frozen=True, kw_only=True):
    """What a process stands on: time, ids and chance. A simulation hands in its own.

    With ``threads`` false, plain functions run on the event loop. ``point`` hears the named steps of every commit, and
    ``around`` is given each handler with its group's name, and may put something around it.
    ``later`` calls on the time of recorded events, where these are replayed; ``writers`` know the schemas that they
    were written with.
    """

    clock: Clock
    identifiers: Identifiers
    chance: random.Random
    threads: bool = True
    point: Point = no_point
    around: Callable[[str, Processor], Processor] | None = None
    later: CallLater | None = None
    writers: Writers | None = None

    @classmethod
    def of_this_machine(cls) -> "Floor":
        """The clock and the randomness of the operating system."""
        clock = SystemClock()
        identifiers = Identifiers(clock)
        return cls(clock=clock, identifiers=identifiers, chance=random.Random(identifiers.new()))  # noqa: S311 - jitter
