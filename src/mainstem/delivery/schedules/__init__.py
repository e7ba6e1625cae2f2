"""What happens again and again: the calendar of a schedule, and what becomes of the runs that were missed."""

from mainstem.delivery.schedules.agenda import NextRun, Upcoming, next_by_calendar, upcoming
from mainstem.delivery.schedules.calendar import CRON, Calendar, Missed, Recurring, is_schedule
from mainstem.delivery.schedules.cron import Cron
from mainstem.delivery.schedules.decisions import LaterDecisions
from mainstem.delivery.schedules.recurring import SCHEDULES_TASK, next_runs, take_run

__all__ = [
    "CRON",
    "SCHEDULES_TASK",
    "Calendar",
    "Cron",
    "LaterDecisions",
    "Missed",
    "NextRun",
    "Recurring",
    "Upcoming",
    "is_schedule",
    "next_by_calendar",
    "next_runs",
    "take_run",
    "upcoming",
]
