"""One incarnation of a task: taking it over, reading, committing, and ending."""

from mainstem.delivery.tasks.environment import Environment
from mainstem.delivery.tasks.task import Task
from mainstem.delivery.tasks.unread import Unread

__all__ = ["Environment", "Task", "Unread"]
