"""What runs in lanes, and what makes it of records, due timers and commands."""

from mainstem.delivery.works.admission import Admission
from mainstem.delivery.works.alarm import Alarm, CallLater
from mainstem.delivery.works.hops import Hops, plain_events
from mainstem.delivery.works.works import BatchWork, BrokenWork, EventWork, SievedWork, SpoiltWork

__all__ = [
    "Admission",
    "Alarm",
    "BatchWork",
    "BrokenWork",
    "CallLater",
    "EventWork",
    "Hops",
    "SievedWork",
    "SpoiltWork",
    "plain_events",
]
