"""How a process is: as data, and as routes for whoever probes and measures it.

``routes`` need an HTTP server, so they are loaded by who uses them.
"""

from mainstem.service.health.checkup import Checkup, Standing
from mainstem.service.health.entrance import Entrance
from mainstem.service.health.report import GroupHealth, Health, TaskHealth

__all__ = [
    "Checkup",
    "Entrance",
    "GroupHealth",
    "Health",
    "Standing",
    "TaskHealth",
    "routes",
]
