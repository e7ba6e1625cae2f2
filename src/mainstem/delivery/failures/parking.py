"""Parking: a key whose event cannot be handled now waits for that handler alone, and every other key flows.

The events of a parked key are kept, as copies and in order, in the task's own stores, and so commit, move and survive
with everything else. A mark per handler and key says how many wait, what went wrong and when to try again; without a
next try the sequence is a dead letter. Both the look at the mark and the working off happen in the key's lane.
"""

import traceback
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from mainstem.broker import Batch, Record, TopicPartition, single
from mainstem.delivery.context import Effects
from mainstem.state import TaskState, Timer, timers

MARKS = "$parking"
LETTERS = "$parked"
RETRY = "$retry:"
"""A timer whose name begins so belongs to a parked sequence of the handler named behind it."""

TRACE_CHARACTERS = 4_000
SEQUENCES_MOST = 1_000_000
_SEQUENCE = 8


class Failure(Struct, frozen=True):
    """What went wrong, told in text. Times are wall-clock milliseconds."""

    failures: int
    first_ms: int
    last_ms: int
    error_type: str
    error: str
    trace: str

    @classmethod
    def of(cls, error: BaseException, now_ms: int, before: "Failure | None" = None) -> "Failure":
        """One failure more."""
        try:
            said = str(error)
        except Exception as second:  # noqa: BLE001 - an exception that cannot be told must not stop the task
            said = f"(its text cannot be had: {type(second).__name__})"
        trace = "".join(traceback.format_exception(error))
        return cls(
            failures=1 + (before.failures if before else 0),
            first_ms=before.first_ms if before else now_ms,
            last_ms=now_ms,
            error_type=type(error).__qualname__,
            error=_sayable(said[:TRACE_CHARACTERS]),
            trace=_sayable(trace[-TRACE_CHARACTERS:]),
        )


def _sayable(text: str) -> str:
    """Lone surrogates, as names of files bring them along, have no form in bytes."""
    return text.encode(errors="backslashreplace").decode()


class Letter(Struct, frozen=True):
    """A copy of a record that waits, bytes and headers as they came."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]

    @classmethod
    def of(cls, batch: Batch, index: int) -> "Letter":
        """Copy a record out of its batch."""
        return cls(
            batch.topic,
            batch.partition,
            batch.offsets[index],
            batch.timestamps[index],
            batch.keys[index],
            batch.values[index],
            batch.headers(index),
        )

    def batch(self) -> Batch:
        """The record as a batch of one, to be handled again."""
        record = Record(self.key, self.value, self.timestamp_ms, self.headers)
        return single(TopicPartition(self.topic, self.partition), self.offset, record)


class Mark(Struct, frozen=True):
    """A parked sequence. ``next_ms`` None makes it a dead letter; ``failure`` is that of its first event."""

    first: int
    end: int
    next_ms: int | None
    failure: Failure

    @property
    def waiting(self) -> int:
        """How many events wait, the failed one included."""
        return self.end - self.first

    def again(self, now_ms: int) -> "Mark":
        """The same sequence, to be tried now, with its failures forgiven."""
        return Mark(self.first, self.end, now_ms, msgspec.structs.replace(self.failure, failures=0))


_encode = msgspec.msgpack.Encoder().encode
_mark = msgspec.msgpack.Decoder(Mark).decode
_letter = msgspec.msgpack.Decoder(Letter).decode


def place_of(letter: Letter) -> bytes:
    """What names a sequence beside its handler."""
    return place_at(letter.key, letter.topic, letter.partition, letter.offset)


def place_at(key: bytes | None, topic: str, partition: int, offset: int) -> bytes:
    """The key; a keyless event waits alone, under its place in the log."""
    return f"o{topic}/{partition}/{offset}".encode() if key is None else b"k" + key


def key_of(place: bytes) -> bytes | None:
    """The key whose events a sequence holds; None for a keyless event."""
    return place[1:] if place.startswith(b"k") else None


def lane_of(place: bytes) -> bytes:
    """The lane in which a sequence is worked off: the key's; a keyless one has a lane to itself."""
    # In any lane, a redrive and the timer it sets would work the same event off side by side.
    key = key_of(place)
    return place if key is None else key


def _row(handler: str, place: bytes) -> bytes:
    name = handler.encode()
    return len(name).to_bytes(2, "big") + name + place


def _letter_row(handler: str, place: bytes, number: int) -> bytes:
    row = _row(handler, place)
    # The length in front keeps the rows of one sequence together, and apart from those of a longer key.
    return len(row).to_bytes(4, "big") + row + number.to_bytes(_SEQUENCE, "big")


class Parking:
    """The parked sequences of one task. Changes go into the effects of whoever makes them."""

    __slots__ = ("_state", "some")

    def __init__(self, state: TaskState) -> None:
        self._state = state
        self.some = bool(state.scan(MARKS, limit=1))
        """False when surely nothing is parked, so that nobody need look."""

    def look_again(self) -> None:
        """Find out whether anything is parked still; for now and then, not for every event."""
        self.some = bool(self._state.scan(MARKS, limit=1))

    def prefetch(self, handlers: list[str], keys: list[bytes]) -> None:
        """Read the marks that a batch will ask for, at once."""
        self._state.prefetch(MARKS, [_row(handler, b"k" + key) for handler in handlers for key in keys])

    def mark(self, handler: str, place: bytes, effects: Effects | None = None) -> Mark | None:
        """The mark of a sequence, as ``effects`` leave it."""
        read = self._state.get if effects is None else effects.over(self._state.get)
        row = read(MARKS, _row(handler, place))
        return None if row is None else _mark(row)

    def is_parked(self, handler: str, key: bytes) -> bool:
        """Whether a key is parked for a handler."""
        return self._state.get(MARKS, _row(handler, b"k" + key)) is not None

    def marks(self, limit: int) -> Iterator[tuple[str, bytes, Mark]]:
        """Sequences as (handler, place, mark), in no particular order."""
        for key, row in self._state.scan(MARKS, limit=limit):
            end = 2 + int.from_bytes(key[:2], "big")
            yield key[2:end].decode(), key[end:], _mark(row)

    def first(self, handler: str, place: bytes, mark: Mark) -> Letter:
        """The event that a sequence is waiting for."""
        row = self._state.get(LETTERS, _letter_row(handler, place, mark.first))
        assert row is not None, "a mark names a letter that is not there"
        return _letter(row)

    # -- changes

    def park(self, effects: Effects, handler: str, letter: Letter, failure: Failure, next_ms: int | None) -> Mark:
        """Begin a sequence with an event that has failed."""
        mark = Mark(0, 1, next_ms, failure)
        self._write_letter(effects, handler, letter, 0)
        self.write_mark(effects, handler, place_of(letter), mark)
        return mark

    def add_behind(self, effects: Effects, handler: str, letter: Letter, mark: Mark) -> None:
        """Let a later event of the key wait behind the sequence."""
        place = place_of(letter)
        self._write_letter(effects, handler, letter, mark.end)
        effects.writes[MARKS, _row(handler, place)] = _encode(msgspec.structs.replace(mark, end=mark.end + 1))

    def take_first(self, effects: Effects, handler: str, place: bytes, mark: Mark) -> Mark | None:
        """Remove the first event of a sequence; None, and no mark any more, when it was the last."""
        effects.writes[LETTERS, _letter_row(handler, place, mark.first)] = None
        if mark.waiting == 1:
            self._forget(effects, handler, place)
            return None
        # The next one has not failed yet, and is tried at once; the timer's row stays until the sequence is done, so
        # that whoever takes the task over in between goes on with it.
        left = Mark(mark.first + 1, mark.end, mark.next_ms, msgspec.structs.replace(mark.failure, failures=0))
        effects.writes[MARKS, _row(handler, place)] = _encode(left)
        return left

    def drop(self, effects: Effects, handler: str, place: bytes, mark: Mark) -> None:
        """Remove a whole sequence."""
        for number in range(mark.first, mark.end):
            effects.writes[LETTERS, _letter_row(handler, place, number)] = None
        self._forget(effects, handler, place)

    def rename(self, effects: Effects, old: str, new: str) -> None:
        """Move every sequence of one handler to another name."""
        for handler, place, mark in list(self.marks(SEQUENCES_MOST)):
            if handler != old:
                continue
            for number in range(mark.first, mark.end):
                row = self._state.get(LETTERS, _letter_row(old, place, number))
                effects.write(LETTERS, _letter_row(old, place, number), None)
                effects.write(LETTERS, _letter_row(new, place, number), row)
            self._forget(effects, old, place)
            self.write_mark(effects, new, place, mark)

    def write_mark(self, effects: Effects, handler: str, place: bytes, mark: Mark) -> None:
        """Store a mark, and the timer for its next try."""
        self.some = True
        effects.writes[MARKS, _row(handler, place)] = _encode(mark)
        self._timer(effects, handler, place, mark.next_ms)

    def _forget(self, effects: Effects, handler: str, place: bytes) -> None:
        effects.writes[MARKS, _row(handler, place)] = None
        self._timer(effects, handler, place, None)

    def _write_letter(self, effects: Effects, handler: str, letter: Letter, number: int) -> None:
        self.some = True
        effects.writes[LETTERS, _letter_row(handler, place_of(letter), number)] = _encode(letter)

    def _timer(self, effects: Effects, handler: str, place: bytes, next_ms: int | None) -> None:
        read = effects.over(self._state.get)
        if next_ms is None:
            timers.cancel(read, effects.write, RETRY + handler, place)
        else:
            timers.put(read, effects.write, Timer(next_ms, RETRY + handler, place))
            effects.wake_ms = next_ms if effects.wake_ms is None else min(effects.wake_ms, next_ms)
