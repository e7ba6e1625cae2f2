"""Parking: a key whose event cannot be handled now waits for that handler alone, and every other key flows.

The events of a parked key are kept, as copies and in order, in the task's own stores, and so commit, move and survive
with everything else. A mark per handler and key says how many wait, what went wrong and when to try again; without a
next try the sequence is a dead letter. Both the look at the mark and the working off happen in the key's lane.
"""

import traceback
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from mainstem.delivery.context import Effects
from mainstem.delivery.failures.letters import Letter, Letters, place_of, row_of, rows_of, set_timer
from mainstem.state import TaskState

PARKING_STORE = "$parking"
RETRY = "$retry:"
"""A timer whose name begins so belongs to a parked sequence of the handler named behind it."""

TRACE_CHARACTERS = 4_000


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

    def again(self, at_ms: int) -> "Mark":
        """The same sequence, to be tried then, with its failures forgiven."""
        return Mark(self.first, self.end, at_ms, msgspec.structs.replace(self.failure, failures=0))


_encode = msgspec.msgpack.Encoder().encode
_mark = msgspec.msgpack.Decoder(Mark).decode


class Parking:
    """The parked sequences of one task. Changes go into the effects of whoever makes them."""

    __slots__ = ("_state", "letters", "some")

    def __init__(self, state: TaskState) -> None:
        self._state = state
        self.letters = Letters(state)
        self.some = bool(state.scan(PARKING_STORE, limit=1))
        """False when surely nothing is parked, so that nobody need look."""

    def look_again(self) -> None:
        """Find out whether anything is parked still; for now and then, not for every event."""
        self.some = bool(self._state.scan(PARKING_STORE, limit=1))

    def prefetch(self, handlers: list[str], keys: list[bytes]) -> None:
        """Read the marks that a batch will ask for, at once."""
        self._state.prefetch(PARKING_STORE, [row_of(handler, b"k" + key) for handler in handlers for key in keys])

    def mark(self, handler: str, place: bytes, effects: Effects | None = None) -> Mark | None:
        """The mark of a sequence, as ``effects`` leave it."""
        read = self._state.get if effects is None else effects.over(self._state.get)
        row = read(PARKING_STORE, row_of(handler, place))
        return None if row is None else _mark(row)

    def is_parked(self, handler: str, key: bytes) -> bool:
        """Whether a key is parked for a handler."""
        return self._state.get(PARKING_STORE, row_of(handler, b"k" + key)) is not None

    def of(self, handler: str) -> Iterator[tuple[bytes, Mark]]:
        """The sequences of a handler as (place, mark), however many."""
        for key, row in self._state.walk(PARKING_STORE, *rows_of(handler)):
            yield key[2 + len(handler.encode()) :], _mark(row)

    def first(self, handler: str, place: bytes, mark: Mark) -> Letter:
        """The event that a sequence is waiting for."""
        letter = self.letters.get(handler, place, mark.first)
        assert letter is not None, "a mark names a letter that is not there"
        return letter

    def letter_at(self, handler: str, place: bytes, mark: Mark, number: int) -> Letter | None:
        """The event with so many before it in its sequence."""
        return self.letters.get(handler, place, mark.first + number) if 0 <= number < mark.waiting else None

    # -- changes

    def park(self, effects: Effects, handler: str, letter: Letter, failure: Failure, next_ms: int | None) -> Mark:
        """Begin a sequence with an event that has failed."""
        place = place_of(letter)
        number = self.letters.first_free(handler, place)
        mark = Mark(number, number + 1, next_ms, failure)
        self.letters.put(effects, handler, letter, number)
        self.write_mark(effects, handler, place, mark)
        return mark

    def add_behind(self, effects: Effects, handler: str, letter: Letter, mark: Mark) -> None:
        """Let a later event of the key wait behind the sequence."""
        place = place_of(letter)
        self.letters.put(effects, handler, letter, mark.end)
        effects.writes[PARKING_STORE, row_of(handler, place)] = _encode(msgspec.structs.replace(mark, end=mark.end + 1))

    def take_first(self, effects: Effects, handler: str, place: bytes, mark: Mark) -> Mark | None:
        """Remove the first event of a sequence; None, and no mark any more, when it was the last."""
        self.letters.delete(effects, handler, place, range(mark.first, mark.first + 1))
        if mark.waiting == 1:
            self._forget(effects, handler, place)
            return None
        # The next one has not failed yet, and is tried at once; the timer's row stays until the sequence is done, so
        # that whoever takes the task over in between goes on with it.
        left = Mark(mark.first + 1, mark.end, mark.next_ms, msgspec.structs.replace(mark.failure, failures=0))
        effects.writes[PARKING_STORE, row_of(handler, place)] = _encode(left)
        return left

    def drop(self, effects: Effects, handler: str, place: bytes, mark: Mark, now_ms: int) -> None:
        """Give a whole sequence up. It is gone with this; letters that are too many for a commit are swept later."""
        self._forget(effects, handler, place)
        self.letters.drop(effects, handler, place, range(mark.first, mark.end), now_ms)

    def move_mark(self, effects: Effects, old: str, new: str, place: bytes, mark: Mark) -> None:
        """Give a sequence to another name, once its letters are there."""
        if mark.next_ms is not None:
            self._forget(effects, old, place)
            self.write_mark(effects, new, place, mark)
            return
        # Dead letters, of which there may be a million, have no timer that would have to be looked for.
        effects.writes[PARKING_STORE, row_of(old, place)] = None
        effects.writes[PARKING_STORE, row_of(new, place)] = _encode(mark)

    def write_mark(self, effects: Effects, handler: str, place: bytes, mark: Mark) -> None:
        """Store a mark, and the timer for its next try."""
        self.some = True
        effects.writes[PARKING_STORE, row_of(handler, place)] = _encode(mark)
        set_timer(self._state, effects, RETRY + handler, place, mark.next_ms)

    def _forget(self, effects: Effects, handler: str, place: bytes) -> None:
        effects.writes[PARKING_STORE, row_of(handler, place)] = None
        set_timer(self._state, effects, RETRY + handler, place, None)
