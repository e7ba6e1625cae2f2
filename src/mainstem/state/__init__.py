"""What a task remembers, as bytes: stores, timers, the header of a value."""

from mainstem.state import timers
from mainstem.state.folded import FoldedRows
from mainstem.state.replica import Changelog, Replica, ReplicaFolder
from mainstem.state.task_state import Row, Rows, TaskState
from mainstem.state.timers import Firing, Timer
from mainstem.state.values import Stored, header, unpack

__all__ = [
    "Changelog",
    "Firing",
    "FoldedRows",
    "Replica",
    "ReplicaFolder",
    "Row",
    "Rows",
    "Stored",
    "TaskState",
    "Timer",
    "header",
    "timers",
    "unpack",
]
