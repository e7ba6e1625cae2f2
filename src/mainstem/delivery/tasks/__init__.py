"""One incarnation of a task: admission, works, timers, the reading and the committing."""

from mainstem.delivery.tasks.task import Environment, Task

__all__ = ["Environment", "Task"]
