"""Commands: control is events too.

A command is a record in the inbox of the task that holds the key. It is applied in that key's lane and in its commit,
and answered in the group's answers topic, also when it found nothing. No tool reaches into a store from the side.
"""

from typing import Final, Literal

import msgspec
from msgspec import Struct

from mainstem.broker import Record, TopicPartition
from mainstem.delivery.context import Fact
from mainstem.delivery.failures import Failure, Letter

Action = Literal[
    "redrive", "discard", "edit", "read", "restore", "publish-later", "cancel", "run", "pause", "resume", "close"
]
LATER_ACTIONS: Final[frozenset[Action]] = frozenset({"publish-later", "cancel", "run", "pause", "resume"})
"""Commands about what is to happen later; ``close`` is about a breaker, the others about parked sequences."""


class Command(Struct, frozen=True, omit_defaults=True):
    """Something to be done to a parked sequence. ``place`` names it beside the handler, as listings show it.

    Or to an event that is to be published later, and then ``place`` says whose it is; ``value`` is what is to be
    published, ``at_ms`` when. Or to the schedule of a handler: a run, now, or a pause until it is resumed. Or to the
    breakers of a handler, which are closed: the one that ``place`` names, or all of them.

    ``by`` is who asks for it. A redrive begins at ``at_ms``, in wall-clock milliseconds; without it, or when that has
    passed, at once. A discard that names the ``origin`` of the first event does nothing unless ``number`` events wait,
    as whoever asks has seen. An edit gives ``value`` to the letter of this origin, ``number`` places behind the first
    one, which has been edited so many times. A read answers with letters, from the ``number``th on.

    A restore brings ``letters`` back from the file of the id ``archive``; the first of them has ``number`` before it in
    its sequence, and those behind them have been brought before. Where a discard with an ``archive`` does nothing, that
    file holds copies of what is not given up, and they cannot be brought back from it.
    """

    id: str
    action: Action
    handler: str
    place: bytes
    reason: str = ""
    by: str = ""
    at_ms: int | None = None
    number: int = 0
    origin: str = ""
    edits: int = 0
    value: bytes = b""
    letters: tuple[Letter, ...] = ()
    failure: Failure | None = None
    archive: str = ""


class Answer(Struct, frozen=True, omit_defaults=True):
    """What became of a command. ``found`` is how many events it was about; 0 when there was nothing.

    One that was not carried out for another reason is ``refused``. Long ``contents`` come in several ``parts``.
    """

    id: str
    task: int
    found: int
    text: str
    refused: bool = False
    part: int = 0
    parts: int = 1
    contents: bytes = b""


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
