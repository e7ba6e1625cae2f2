"""The runtime under every pattern: handlers, their contexts, lanes, parking, and the commit."""

from typing import TYPE_CHECKING

from mainstem.doors import door

if TYPE_CHECKING:
    from mainstem.delivery.caches import Cached as Cached
    from mainstem.delivery.caches import Source as Source
    from mainstem.delivery.commands import AT_ONCE as AT_ONCE
    from mainstem.delivery.commands import Action as Action
    from mainstem.delivery.commands import Answer as Answer
    from mainstem.delivery.commands import Command as Command
    from mainstem.delivery.commands import Order as Order
    from mainstem.delivery.commands import Page as Page
    from mainstem.delivery.commands import Questions as Questions
    from mainstem.delivery.commands import answers_topic as answers_topic
    from mainstem.delivery.commands import decode_answer as decode_answer
    from mainstem.delivery.commands import decode_page as decode_page
    from mainstem.delivery.commands import encode_command as encode_command
    from mainstem.delivery.commands import ends_of as ends_of
    from mainstem.delivery.commands import send as send
    from mainstem.delivery.commit import Point as Point
    from mainstem.delivery.commit import no_point as no_point
    from mainstem.delivery.context import TIMER_TOPIC as TIMER_TOPIC
    from mainstem.delivery.context import Context as Context
    from mainstem.delivery.context import Fact as Fact
    from mainstem.delivery.context import Outputs as Outputs
    from mainstem.delivery.context import Readable as Readable
    from mainstem.delivery.context import Store as Store
    from mainstem.delivery.context import checked_name as checked_name
    from mainstem.delivery.context import due_ms as due_ms
    from mainstem.delivery.context import in_binary_mode as in_binary_mode
    from mainstem.delivery.context import waiting_fact as waiting_fact
    from mainstem.delivery.desk import Acquaintance as Acquaintance
    from mainstem.delivery.failures import LASTING_KEY as LASTING_KEY
    from mainstem.delivery.failures import NO_ALERTS as NO_ALERTS
    from mainstem.delivery.failures import PARKING_STORE as PARKING_STORE
    from mainstem.delivery.failures import Alerts as Alerts
    from mainstem.delivery.failures import Decided as Decided
    from mainstem.delivery.failures import Edit as Edit
    from mainstem.delivery.failures import Entry as Entry
    from mainstem.delivery.failures import Failure as Failure
    from mainstem.delivery.failures import Letter as Letter
    from mainstem.delivery.failures import Letters as Letters
    from mainstem.delivery.failures import Notice as Notice
    from mainstem.delivery.failures import Retry as Retry
    from mainstem.delivery.failures import audit_topic as audit_topic
    from mainstem.delivery.failures import check_alerts as check_alerts
    from mainstem.delivery.failures import decode_entry as decode_entry
    from mainstem.delivery.failures import decode_notice as decode_notice
    from mainstem.delivery.failures import is_notice as is_notice
    from mainstem.delivery.failures import origin_of as origin_of
    from mainstem.delivery.failures import place_alone as place_alone
    from mainstem.delivery.failures import place_of as place_of
    from mainstem.delivery.gates import SEEN_STORE as SEEN_STORE
    from mainstem.delivery.gates import Deduplicate as Deduplicate
    from mainstem.delivery.gates import Limit as Limit
    from mainstem.delivery.gates import relocated_seen as relocated_seen
    from mainstem.delivery.group import GroupRunner as GroupRunner
    from mainstem.delivery.guards import GIVES_WAY as GIVES_WAY
    from mainstem.delivery.guards import Breaker as Breaker
    from mainstem.delivery.guards import KillSwitch as KillSwitch
    from mainstem.delivery.guards import RememberedBreaker as RememberedBreaker
    from mainstem.delivery.guards import RightOfWay as RightOfWay
    from mainstem.delivery.guards import breaker_place as breaker_place
    from mainstem.delivery.guards import remembered_breakers as remembered_breakers
    from mainstem.delivery.handlers import Registration as Registration
    from mainstem.delivery.handlers import compile_handler as compile_handler
    from mainstem.delivery.handlers import declared_outputs as declared_outputs
    from mainstem.delivery.lanes import PROCESS_ENDS as PROCESS_ENDS
    from mainstem.delivery.lanes import enter_handlers as enter_handlers
    from mainstem.delivery.lanes import inside_handler as inside_handler
    from mainstem.delivery.ledger import Counters as Counters
    from mainstem.delivery.ledger import Places as Places
    from mainstem.delivery.ledger import Runnable as Runnable
    from mainstem.delivery.ledger import Strain as Strain
    from mainstem.delivery.ledger import relocated_completed as relocated_completed
    from mainstem.delivery.measures import Outage as Outage
    from mainstem.delivery.measures import Survey as Survey
    from mainstem.delivery.measures import count_sent as count_sent
    from mainstem.delivery.measures import standing_told as standing_told
    from mainstem.delivery.plan import HANDLERS_STORE as HANDLERS_STORE
    from mainstem.delivery.plan import Plan as Plan
    from mainstem.delivery.plan import faults_of as faults_of
    from mainstem.delivery.plan import tasks_for as tasks_for
    from mainstem.delivery.processor import Call as Call
    from mainstem.delivery.processor import ContractEntry as ContractEntry
    from mainstem.delivery.processor import EventEntry as EventEntry
    from mainstem.delivery.processor import KeyOrder as KeyOrder
    from mainstem.delivery.processor import Predicate as Predicate
    from mainstem.delivery.processor import Processor as Processor
    from mainstem.delivery.processor import SubscriptionEntry as SubscriptionEntry
    from mainstem.delivery.roster import relocated_starts as relocated_starts
    from mainstem.delivery.schedules import CRON as CRON
    from mainstem.delivery.schedules import SCHEDULES_TASK as SCHEDULES_TASK
    from mainstem.delivery.schedules import Cron as Cron
    from mainstem.delivery.schedules import Missed as Missed
    from mainstem.delivery.schedules import NextRun as NextRun
    from mainstem.delivery.schedules import Recurring as Recurring
    from mainstem.delivery.schedules import Upcoming as Upcoming
    from mainstem.delivery.schedules import next_by_calendar as next_by_calendar
    from mainstem.delivery.schedules import upcoming as upcoming
    from mainstem.delivery.tasks import Environment as Environment
    from mainstem.delivery.tasks import Unread as Unread
    from mainstem.delivery.upkeep import Keeper as Keeper
    from mainstem.delivery.upkeep import Remembered as Remembered
    from mainstem.delivery.upkeep import Retirement as Retirement
    from mainstem.delivery.upkeep import Rollback as Rollback
    from mainstem.delivery.works import CallLater as CallLater

__all__ = [
    "AT_ONCE",
    "CRON",
    "GIVES_WAY",
    "HANDLERS_STORE",
    "LASTING_KEY",
    "NO_ALERTS",
    "PARKING_STORE",
    "PROCESS_ENDS",
    "SCHEDULES_TASK",
    "SEEN_STORE",
    "TIMER_TOPIC",
    "Acquaintance",
    "Action",
    "Alerts",
    "Answer",
    "Breaker",
    "Cached",
    "Call",
    "CallLater",
    "Command",
    "Context",
    "ContractEntry",
    "Counters",
    "Cron",
    "Decided",
    "Deduplicate",
    "Edit",
    "Entry",
    "Environment",
    "EventEntry",
    "Fact",
    "Failure",
    "GroupRunner",
    "Keeper",
    "KeyOrder",
    "KillSwitch",
    "Letter",
    "Letters",
    "Limit",
    "Missed",
    "NextRun",
    "Notice",
    "Order",
    "Outage",
    "Outputs",
    "Page",
    "Places",
    "Plan",
    "Point",
    "Predicate",
    "Processor",
    "Questions",
    "Readable",
    "Recurring",
    "Registration",
    "Remembered",
    "RememberedBreaker",
    "Retirement",
    "Retry",
    "RightOfWay",
    "Rollback",
    "Runnable",
    "Source",
    "Store",
    "Strain",
    "SubscriptionEntry",
    "Survey",
    "Unread",
    "Upcoming",
    "answers_topic",
    "audit_topic",
    "breaker_place",
    "check_alerts",
    "checked_name",
    "compile_handler",
    "count_sent",
    "declared_outputs",
    "decode_answer",
    "decode_entry",
    "decode_notice",
    "decode_page",
    "due_ms",
    "encode_command",
    "ends_of",
    "enter_handlers",
    "faults_of",
    "in_binary_mode",
    "inside_handler",
    "is_notice",
    "next_by_calendar",
    "no_point",
    "origin_of",
    "place_alone",
    "place_of",
    "relocated_completed",
    "relocated_seen",
    "relocated_starts",
    "remembered_breakers",
    "send",
    "standing_told",
    "tasks_for",
    "upcoming",
    "waiting_fact",
]

__getattr__, __dir__ = door(
    __name__,
    {
        "commands": (
            "send",
            "ends_of",
            "Questions",
            "Order",
            "AT_ONCE",
            "decode_page",
            "Page",
            "Action",
            "Answer",
            "Command",
            "answers_topic",
            "decode_answer",
            "encode_command",
        ),
        "commit": (
            "Point",
            "no_point",
        ),
        "context": (
            "TIMER_TOPIC",
            "waiting_fact",
            "due_ms",
            "checked_name",
            "Fact",
            "Context",
            "Outputs",
            "Readable",
            "Store",
            "in_binary_mode",
        ),
        "desk": ("Acquaintance",),
        "failures": (
            "Alerts",
            "LASTING_KEY",
            "NO_ALERTS",
            "Letters",
            "place_alone",
            "place_of",
            "Edit",
            "Letter",
            "Failure",
            "Decided",
            "Entry",
            "Notice",
            "PARKING_STORE",
            "Retry",
            "audit_topic",
            "check_alerts",
            "decode_entry",
            "decode_notice",
            "is_notice",
            "origin_of",
        ),
        "gates": (
            "Deduplicate",
            "Limit",
            "SEEN_STORE",
            "relocated_seen",
        ),
        "group": ("GroupRunner",),
        "guards": (
            "GIVES_WAY",
            "Breaker",
            "KillSwitch",
            "RememberedBreaker",
            "RightOfWay",
            "breaker_place",
            "remembered_breakers",
        ),
        "handlers": (
            "Registration",
            "compile_handler",
            "declared_outputs",
        ),
        "lanes": (
            "PROCESS_ENDS",
            "enter_handlers",
            "inside_handler",
        ),
        "ledger": (
            "Counters",
            "Places",
            "Runnable",
            "Strain",
            "relocated_completed",
        ),
        "measures": (
            "Survey",
            "Outage",
            "count_sent",
            "standing_told",
        ),
        "plan": (
            "HANDLERS_STORE",
            "Plan",
            "faults_of",
            "tasks_for",
        ),
        "processor": (
            "Call",
            "EventEntry",
            "KeyOrder",
            "Predicate",
            "Processor",
            "ContractEntry",
            "SubscriptionEntry",
        ),
        "roster": ("relocated_starts",),
        "schedules": (
            "SCHEDULES_TASK",
            "upcoming",
            "next_by_calendar",
            "Upcoming",
            "NextRun",
            "CRON",
            "Cron",
            "Missed",
            "Recurring",
        ),
        "tasks": ("Environment", "Unread"),
        "upkeep": ("Keeper", "Remembered", "Retirement", "Rollback"),
        "works": ("CallLater",),
        "caches": (
            "Source",
            "Cached",
        ),
    },
)
