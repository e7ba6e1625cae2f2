"""``mainstem schedules``: list, show, cancel, run-now, pause, resume."""

from mainstem.ops.schedules.commands import schedules

__all__ = ["schedules"]
