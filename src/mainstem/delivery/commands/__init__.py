"""Commands: control is events too. What travels through a group's inbox, and what it does to parked sequences."""

from mainstem.delivery.commands.contents import Page, decode_page
from mainstem.delivery.commands.decisions import Applied, Decisions, answered
from mainstem.delivery.commands.inbox import (
    Action,
    Answer,
    Command,
    answer,
    answers_topic,
    decode_answer,
    decode_command,
    encode_command,
)

__all__ = [
    "Action",
    "Answer",
    "Applied",
    "Command",
    "Decisions",
    "Page",
    "answer",
    "answered",
    "answers_topic",
    "decode_answer",
    "decode_command",
    "decode_page",
    "encode_command",
]
