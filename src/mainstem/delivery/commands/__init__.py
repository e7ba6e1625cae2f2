"""Commands: control is events too. What travels through a group's inbox, and what it does to parked sequences."""

from mainstem.delivery.commands.asking import AT_ONCE, Order, Questions, ends_of, send
from mainstem.delivery.commands.contents import Page, decode_page
from mainstem.delivery.commands.decisions import Decisions, answered
from mainstem.delivery.commands.inbox import (
    LATER_ACTIONS,
    Action,
    Answer,
    Command,
    answer,
    answers_topic,
    decode_answer,
    decode_command,
    encode_command,
)
from mainstem.delivery.commands.restoring import Applied

__all__ = [
    "AT_ONCE",
    "LATER_ACTIONS",
    "Action",
    "Answer",
    "Applied",
    "Command",
    "Decisions",
    "Order",
    "Page",
    "Questions",
    "answer",
    "answered",
    "answers_topic",
    "decode_answer",
    "decode_command",
    "decode_page",
    "encode_command",
    "ends_of",
    "send",
]
