"""What tasks tell whoever measures: spans and times of handlers, what was committed, and how far behind they are."""

from mainstem.delivery.measures.counted import (
    COMMITTING,
    DEAD_LETTERED,
    LOSSES,
    PARKED,
    REDRIVEN,
    RETRIED,
    TAKEOVERS,
    Counted,
    of_handler,
)
from mainstem.delivery.measures.runs import Watch

__all__ = [
    "COMMITTING",
    "DEAD_LETTERED",
    "LOSSES",
    "PARKED",
    "REDRIVEN",
    "RETRIED",
    "TAKEOVERS",
    "Counted",
    "Watch",
    "of_handler",
]
