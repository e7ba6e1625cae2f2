"""What tasks tell whoever measures: spans and times of handlers, what was committed, and how far behind they are."""

from mainstem.delivery.measures.counted import (
    DEAD_LETTERED,
    DISCARDED,
    DOUBLES,
    LOSSES,
    PARKED,
    REDRIVEN,
    RETRIED,
    TAKEOVERS,
    Counted,
    count_sent,
    of_handler,
)
from mainstem.delivery.measures.lag import standing_told
from mainstem.delivery.measures.runs import Watch, anybody_looks

__all__ = [
    "DEAD_LETTERED",
    "DISCARDED",
    "DOUBLES",
    "LOSSES",
    "PARKED",
    "REDRIVEN",
    "RETRIED",
    "TAKEOVERS",
    "Counted",
    "Watch",
    "anybody_looks",
    "count_sent",
    "of_handler",
    "standing_told",
]
