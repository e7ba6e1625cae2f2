"""What tasks tell whoever measures: spans and times of handlers, what was committed, and how far behind they are."""

from mainstem.delivery.measures.counted import (
    LOSSES,
    TAKEOVERS,
    Counted,
    count_sent,
)
from mainstem.delivery.measures.hot import HotKeys
from mainstem.delivery.measures.lag import standing_told
from mainstem.delivery.measures.outage import Outage
from mainstem.delivery.measures.runs import Watch, anybody_looks
from mainstem.delivery.measures.survey import Survey
from mainstem.delivery.measures.waits import Waits

__all__ = [
    "LOSSES",
    "TAKEOVERS",
    "Counted",
    "HotKeys",
    "Outage",
    "Survey",
    "Waits",
    "Watch",
    "anybody_looks",
    "count_sent",
    "standing_told",
]
