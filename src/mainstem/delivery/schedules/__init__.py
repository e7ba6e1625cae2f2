"""What happens again and again: the calendar of a schedule, and what becomes of the runs that were missed."""

from mainstem.delivery.schedules.cron import Cron
from mainstem.delivery.schedules.orders import Orders
from mainstem.delivery.schedules.recurring import (
    CRON,
    SCHEDULES_TASK,
    Missed,
    Recurring,
    is_schedule,
    next_runs,
    take_run,
)

__all__ = ["CRON", "SCHEDULES_TASK", "Cron", "Missed", "Orders", "Recurring", "is_schedule", "next_runs", "take_run"]
