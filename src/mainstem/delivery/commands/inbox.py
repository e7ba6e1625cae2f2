"""Commands: control is events too.

A command is a record in the inbox of the task that holds the key. It is applied in that key's lane and in its commit,
and answered in the group's answers topic, also when it found nothing. No tool reaches into a store from the side.
"""

from typing import Literal

import msgspec
from msgspec import Struct

from mainstem.broker import Record, TopicPartition
from mainstem.delivery.context import Fact

Action = Literal["redrive", "discard"]


class Command(Struct, frozen=True):
    """Something to be done to a parked sequence. ``place`` names it beside the handler, as listings show it.

    ``by`` is who asks for it. A redrive begins at ``at_ms``, in wall-clock milliseconds; without it, or when that has
    passed, at once.
    """

    id: str
    action: Action
    handler: str
    place: bytes
    reason: str = ""
    by: str = ""
    at_ms: int | None = None


class Answer(Struct, frozen=True):
    """What became of a command. ``found`` is how many events it was about; 0 when there was nothing."""

    id: str
    task: int
    found: int
    text: str


encode_command = msgspec.json.Encoder().encode
decode_command = msgspec.json.Decoder(Command).decode
encode_answer = msgspec.json.Encoder().encode
decode_answer = msgspec.json.Decoder(Answer).decode


def answers_topic(group: str) -> str:
    """Where a group answers commands; one partition."""
    return f"{group}.answers"


def answer(group: str, given: Answer, at_ms: int) -> Fact:
    """The record of an answer."""
    record = Record(given.id.encode(), encode_answer(given), at_ms)
    return TopicPartition(answers_topic(group), 0), record
