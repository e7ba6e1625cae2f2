"""What runs in lanes, and what makes it of records, due timers and commands."""

from mainstem.delivery.works.admission import Admission
from mainstem.delivery.works.alarm import Alarm, Later
from mainstem.delivery.works.hops import Hops, plain_events
from mainstem.delivery.works.works import BatchWork, EventWork, SievedWork

__all__ = ["Admission", "Alarm", "BatchWork", "EventWork", "Hops", "Later", "SievedWork", "plain_events"]
