"""The dead-letter topic: the audit stream of what was parked, given up, redriven and discarded.

It is written in the same commit as the change it tells of. One key per sequence, so that its last records are the
list of what is parked now; a sequence that has been worked off ends with a tombstone. What was discarded is told under
a key of its own, which nothing follows: nothing leaves without a record, and compaction keeps that one with its reason.
What holds up a whole task, or all events that need one thing, is told in a notice: one key for each such cause, so that
the last one says whether it holds still. Partition n speaks of task n.
"""

from typing import Literal, NamedTuple

import msgspec
from msgspec import Struct

from mainstem.broker import Record, TopicPartition
from mainstem.delivery.context import Fact
from mainstem.delivery.failures.letters import Letter, key_of
from mainstem.delivery.failures.parking import Failure, Mark, Sequence

PASSED_OVER = "delivered at least once: nothing waits, and the later events of its key have gone on"

SHOWN_BYTES_MAX = 500_000
"""In JSON bytes take a third more, and a topic takes records of a million bytes unless somebody says otherwise."""

Status = Literal["parked", "dead-lettered", "redriven", "edited", "discarded"]


LASTING = ("edited", "discarded")
"""What has changed or left for good is told under a key of its own, which compaction keeps."""
LASTING_KEY = b"\x00"
"""Such a key begins as no handler's name does."""


class Decided(NamedTuple):
    """Why somebody has decided something, and who it was; both empty where nobody has."""

    reason: str = ""
    by: str = ""


NOBODY = Decided()


class Entry(Struct, frozen=True):
    """What is said about a sequence. Times are wall-clock milliseconds; ``key`` is text where the bytes are.

    ``owes`` are the handlers that have yet to handle some of its events; what is discarded, is discarded for all of
    them. ``left_out_bytes`` is how much of a large letter is not repeated here; the task's store has all of it.
    """

    status: Status
    handler: str
    task: int
    place: bytes
    key: str | None
    waiting: int
    at_ms: int
    next_ms: int | None
    failure: Failure
    letter: Letter
    reason: str = ""
    left_out_bytes: int = 0
    by: str = ""
    owes: tuple[str, ...] = ()

    @property
    def sequence_key(self) -> bytes:
        """The key under which its sequence is told of; of what was discarded it is not the record's own."""
        return _key((self.handler, self.place))


Held = Literal["paused", "open"]


class Notice(Struct, frozen=True):
    """What holds up more than one key: the inputs of a task are paused, or a breaker is open; or it is ``over``.

    ``subject`` says what it is about, ``because`` why, ``at_ms`` since when, or when it ended.
    """

    held: Held
    subject: str
    task: int
    at_ms: int
    because: str = ""
    over: bool = False


def audit_topic(group: str) -> str:
    """Where a group tells what it has parked, given up, redriven and discarded; partition n speaks of task n."""
    return f"{group}.dead-letters"


class Audit:
    """Makes the records of one task's audit stream."""

    __slots__ = ("_at", "_task")

    def __init__(self, group: str, task: int) -> None:
        self._at = TopicPartition(audit_topic(group), task)
        self._task = task

    def tell(
        self, status: Status, sequence: Sequence, mark: Mark, letter: Letter, at_ms: int, decided: Decided = NOBODY
    ) -> Fact:
        """A sequence has this status now."""
        handler, place = sequence
        key = key_of(place)
        shown = _shown(letter)
        entry = Entry(
            status=status,
            handler=handler,
            task=self._task,
            place=place,
            key=None if key is None else key.decode(errors="replace"),
            waiting=mark.waiting,
            at_ms=at_ms,
            next_ms=mark.next_ms,
            failure=mark.failure,
            letter=shown,
            reason=decided.reason,
            left_out_bytes=_size_bytes(letter) - _size_bytes(shown),
            by=decided.by,
            owes=mark.owed_by(handler),
        )
        return self._at, Record(_own_key(entry) if status in LASTING else _key(sequence), encode_entry(entry), at_ms)

    def discarded(self, sequence: Sequence, failure: Failure, letter: Letter, reason: str) -> Fact:
        """One event has failed for good and waits nowhere; it is told of under a key of its own."""
        return self.tell("discarded", sequence, Mark(0, 1, None, failure), letter, failure.last_ms, Decided(reason))

    def notice(self, held: Held, subject: str, at_ms: int, *, because: str = "", over: bool = False) -> Fact:
        """Something holds up more than one key, or does not any more."""
        notice = Notice(held, subject, self._task, at_ms, because, over)
        return self._at, Record(_NOTICE + f"{held} {subject}".encode(), encode_entry(notice), at_ms)

    def worked_off(self, sequence: Sequence, at_ms: int) -> Fact:
        """Nothing waits in a sequence any more."""
        return self._at, Record(_key(sequence), None, at_ms)


_NOTICE = b"\x00notice "


def is_notice(key: bytes | None) -> bool:
    """Whether a record of the audit topic is no entry, but a notice."""
    return key is not None and key.startswith(_NOTICE)


def _key(sequence: Sequence) -> bytes:
    handler, place = sequence
    return handler.encode() + b"\x00" + place


def _own_key(entry: Entry) -> bytes:
    # So that no sequence has it; a key may be discarded again, at another time.
    return LASTING_KEY + f"{entry.status} {entry.letter.origin} {entry.at_ms} ".encode() + entry.sequence_key


def _size_bytes(letter: Letter) -> int:
    return len(letter.value or b"") + len(letter.original or b"") + sum(map(len, letter.headers.values()))


def _shown(letter: Letter) -> Letter:
    """A letter that fits into a record, whatever limit the letter's own topic has."""
    if _size_bytes(letter) <= SHOWN_BYTES_MAX:
        return letter
    without_value = msgspec.structs.replace(letter, value=None, original=None)
    if _size_bytes(without_value) <= SHOWN_BYTES_MAX:
        return without_value
    return msgspec.structs.replace(without_value, headers={})


encode_entry = msgspec.json.Encoder().encode
decode_entry = msgspec.json.Decoder(Entry).decode
decode_notice = msgspec.json.Decoder(Notice).decode
