"""What a task remembers, as bytes: stores, timers, the header of a value."""

from mainstem.state import timers
from mainstem.state.task_state import Row, Rows, TaskState
from mainstem.state.timers import Firing, Timer
from mainstem.state.values import Stored, header, unpack

__all__ = ["Firing", "Row", "Rows", "Stored", "TaskState", "Timer", "header", "timers", "unpack"]
