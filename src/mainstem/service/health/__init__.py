"""How a process is: as data, and as routes for whoever probes and measures it."""

from mainstem.service.health.checkup import Checkup, Standing
from mainstem.service.health.report import STARTING, GroupHealth, Health, TaskHealth

__all__ = [
    "STARTING",
    "Checkup",
    "GroupHealth",
    "Health",
    "Standing",
    "TaskHealth",
]
