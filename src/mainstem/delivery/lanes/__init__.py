"""Order within a key, concurrency across keys, and how far each partition has come."""

from mainstem.delivery.lanes.pool import Lanes, Work
from mainstem.delivery.lanes.progress import Intake, Progress, Ranges

__all__ = ["Intake", "Lanes", "Progress", "Ranges", "Work"]
