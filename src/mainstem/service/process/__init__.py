"""The process around the services: what it says of itself, as data and as routes, and what it is told by signals.

``routes`` need an HTTP server, so they are loaded by who uses them.
"""

from mainstem.service.process.checkup import Checkup
from mainstem.service.process.collector import loaded_for_good
from mainstem.service.process.entrance import Entrance
from mainstem.service.process.report import GroupHealth, Health, TaskHealth
from mainstem.service.process.signals import (
    ONE_WISH_SECONDS,
    OVERTIME_SECONDS,
    end_within,
    longest_grace,
    signalled,
    unless,
)
from mainstem.service.process.stalls import blocking_told

__all__ = [
    "ONE_WISH_SECONDS",
    "OVERTIME_SECONDS",
    "Checkup",
    "Entrance",
    "GroupHealth",
    "Health",
    "TaskHealth",
    "blocking_told",
    "end_within",
    "loaded_for_good",
    "longest_grace",
    "routes",
    "signalled",
    "unless",
]
