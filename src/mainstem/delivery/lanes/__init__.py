"""Order within a key, concurrency across keys, and how far each partition has come."""

from mainstem.delivery.lanes.inside import PROCESS_ENDS, enter_handlers, inside_handler, lanes_ending
from mainstem.delivery.lanes.pool import Lanes, Work
from mainstem.delivery.lanes.progress import Intake, Progress, Ranges

__all__ = [
    "PROCESS_ENDS",
    "Intake",
    "Lanes",
    "Progress",
    "Ranges",
    "Work",
    "enter_handlers",
    "inside_handler",
    "lanes_ending",
]
