"""Order within a key, concurrency across keys, and how far each partition has come."""

from mainstem.delivery.lanes.inside import enter_handlers, inside_handler, lanes_ending
from mainstem.delivery.lanes.pool import Lanes, Work
from mainstem.delivery.lanes.progress import Intake, Progress, Ranges

__all__ = ["Intake", "Lanes", "Progress", "Ranges", "Work", "enter_handlers", "inside_handler", "lanes_ending"]
