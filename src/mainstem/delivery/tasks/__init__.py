"""One incarnation of a task: admission, works, timers, the reading and the committing."""

from mainstem.delivery.plan import HANDLERS_STORE
from mainstem.delivery.tasks.roster import known_handlers, relocated_starts, struck_out
from mainstem.delivery.tasks.task import Environment, Task

__all__ = ["HANDLERS_STORE", "Environment", "Task", "known_handlers", "relocated_starts", "struck_out"]
