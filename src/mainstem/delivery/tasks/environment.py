"""What the tasks of a process share."""

import random
from concurrent.futures import Executor
from dataclasses import dataclass, field

from mainstem.broker import Broker
from mainstem.clock import Clock
from mainstem.delivery.commit import Point, no_point
from mainstem.delivery.guards import RightOfWay
from mainstem.delivery.measures import Outage
from mainstem.delivery.works import CallLater
from mainstem.schemas.writers import Writers
from mainstem.settings import Settings


@dataclass(frozen=True, slots=True)
class Environment:
    """What the tasks of a process share. Without an ``executor``, plain functions run in place, as a simulation wants.

    ``point`` hears the named steps of a commit. ``right_of_way`` is shared with the other groups of the service. A
    replay of recorded events brings ``later``, which calls when these have come so many seconds further. ``writers``
    know the schemas that records name which somebody else has written.
    """

    broker: Broker
    clock: Clock
    chance: random.Random
    settings: Settings
    executor: Executor | None
    point: Point = no_point
    later: CallLater | None = None
    outage: Outage = field(default_factory=Outage)
    right_of_way: RightOfWay = field(default_factory=RightOfWay)
    writers: Writers | None = None
