"""What runs in lanes, and what makes it of records, due timers and commands."""

from mainstem.delivery.works.admission import Admission
from mainstem.delivery.works.alarm import Alarm, Later
from mainstem.delivery.works.hops import Hops, plain_events
from mainstem.delivery.works.works import BatchWork, BrokenWork, EventWork, SievedWork, SpoiltWork

__all__ = [
    "Admission",
    "Alarm",
    "BatchWork",
    "BrokenWork",
    "EventWork",
    "Hops",
    "Later",
    "SievedWork",
    "SpoiltWork",
    "plain_events",
]
