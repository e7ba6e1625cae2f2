"""What a task remembers, as bytes: stores, timers, the header of a value."""

from typing import TYPE_CHECKING

from mainstem.doors import door
from mainstem.state import schedules, timers
from mainstem.state.schedules import Owner, Scheduled
from mainstem.state.task_state import Row, Rows, TaskState
from mainstem.state.timers import Firing, Timer
from mainstem.state.values import Stored, header, unpack

if TYPE_CHECKING:
    from mainstem.state.folded import FoldedRows as FoldedRows
    from mainstem.state.replica import Changelog as Changelog
    from mainstem.state.replica import Replica as Replica
    from mainstem.state.replica import ReplicaFolder as ReplicaFolder

__all__ = [
    "Changelog",
    "Firing",
    "FoldedRows",
    "Owner",
    "Replica",
    "ReplicaFolder",
    "Row",
    "Rows",
    "Scheduled",
    "Stored",
    "TaskState",
    "Timer",
    "header",
    "schedules",
    "timers",
    "unpack",
]

# A copy on this machine needs a database, and only Kafka needs a copy.
__getattr__, __dir__ = door(__name__, {"folded": ("FoldedRows",), "replica": ("Changelog", "Replica", "ReplicaFolder")})
