"""From an event to what its handlers have done: routes, handlers, and what becomes of those that fail."""

from mainstem.delivery.desk.acquaintance import Acquaintance
from mainstem.delivery.desk.desk import Desk, Slot, lets_pass
from mainstem.delivery.desk.handler import RAISED, Handler, Raised, failure_of
from mainstem.delivery.desk.routes import BoundRoute, Routes

__all__ = [
    "RAISED",
    "Acquaintance",
    "BoundRoute",
    "Desk",
    "Handler",
    "Raised",
    "Routes",
    "Slot",
    "failure_of",
    "lets_pass",
]
