"""From a record, a due timer or a command to a work, and from there to what its handlers have done."""

from mainstem.delivery.desk.admission import Admission
from mainstem.delivery.desk.alarm import Alarm, Later
from mainstem.delivery.desk.desk import Desk
from mainstem.delivery.desk.handler import Handler
from mainstem.delivery.desk.hops import Hops, plain_events
from mainstem.delivery.desk.routes import Routes

__all__ = ["Admission", "Alarm", "Desk", "Handler", "Hops", "Later", "Routes", "plain_events"]
