"""The runtime under every pattern: handlers, their contexts, lanes, parking, and the commit."""

from mainstem.delivery.commit import Point, no_point
from mainstem.delivery.context import Context
from mainstem.delivery.failures import (
    Action,
    Answer,
    Command,
    Entry,
    Retry,
    answers_topic,
    decode_answer,
    decode_entry,
    encode_command,
)
from mainstem.delivery.group import GroupRunner
from mainstem.delivery.handlers import Registration, compile_handler, declared_outputs, wanted_types
from mainstem.delivery.lanes import enter_handlers, inside_handler
from mainstem.delivery.ledger import Counters
from mainstem.delivery.outputs import Fact, Outputs
from mainstem.delivery.plan import Plan, faults_of, tasks_for
from mainstem.delivery.processor import Description, Predicate, Processor
from mainstem.delivery.stores import Store
from mainstem.delivery.tasks import Environment, Remembered, Retirement

__all__ = [
    "Action",
    "Answer",
    "Command",
    "Context",
    "Counters",
    "Description",
    "Entry",
    "Environment",
    "Fact",
    "GroupRunner",
    "Outputs",
    "Plan",
    "Point",
    "Predicate",
    "Processor",
    "Registration",
    "Remembered",
    "Retirement",
    "Retry",
    "Store",
    "answers_topic",
    "compile_handler",
    "declared_outputs",
    "decode_answer",
    "decode_entry",
    "encode_command",
    "enter_handlers",
    "faults_of",
    "inside_handler",
    "no_point",
    "tasks_for",
    "wanted_types",
]
