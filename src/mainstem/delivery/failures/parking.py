"""Parking: a key whose event cannot be handled now waits, for that handler and its party, and every other key flows.

The events of a parked key are kept, as copies and in order, in the task's own stores, and so commit, move and survive
with everything else. A mark per key, named by the handler that has failed, says how many wait, who has yet to handle
any of them, what went wrong and when to try again; without a next try the sequence is a dead letter. Both the look at
the mark and the working off happen in the key's lane. A party are the handlers that share stores.
"""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

import msgspec
from msgspec import Struct

from mainstem.delivery.context import Effects
from mainstem.delivery.failures.letters import Letter, Letters, Restored, put_for, row_of, rows_of, set_timer
from mainstem.delivery.failures.raised import trace_of
from mainstem.state import TaskState

PARKING_STORE = "$parking"
HELD_STORE = "$held"
"""An index: the sequences that wait for a breaker, by breaker. A mark says whether a row of it holds still."""
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
        trace = trace_of(error)
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
    """A parked sequence. ``next_ms`` None makes it a dead letter; ``failure`` is that of its first event.

    ``owes`` are all handlers that have yet to handle some of its events; none stand for the one that it is named by.
    ``held`` names the breaker that it waits for, as its first event does, or nothing.
    """

    first: int
    end: int
    next_ms: int | None
    failure: Failure
    owes: tuple[str, ...] = ()
    held: bytes = b""

    def owed_by(self, sequence: str) -> tuple[str, ...]:
        """The handlers that wait for its end, in a sequence of this name."""
        return self.owes or (sequence,)

    @property
    def waiting(self) -> int:
        """How many events wait, the failed one included."""
        return self.end - self.first

    def again(self, at_ms: int) -> "Mark":
        """The same sequence, to be tried then, with its failures forgiven."""
        return msgspec.structs.replace(self.untried(), next_ms=at_ms)

    def untried(self) -> "Mark":
        """The same sequence; who handles its first event next has not failed yet."""
        return msgspec.structs.replace(self, failure=msgspec.structs.replace(self.failure, failures=0), held=b"")


class Stopped(Struct, frozen=True):
    """A handler that is not run again now; ``next_ms`` None means never by itself, ``held`` names a breaker."""

    failure: Failure
    next_ms: int | None
    held: bytes = b""


Sequence: TypeAlias = tuple[str, bytes]
"""What names a parked sequence: a handler and a place."""

_encode = msgspec.msgpack.Encoder().encode
_mark = msgspec.msgpack.Decoder(Mark).decode


def held_by(breaker: bytes) -> tuple[bytes, bytes]:
    """The bounds of the rows of those that wait for a breaker."""
    start = len(breaker).to_bytes(2, "big") + breaker
    # Behind it comes the length of a handler's name, of which the first byte is never that.
    return start, start + b"\xff"


def held_in(row: bytes) -> tuple[bytes, Sequence]:
    """The breaker in a row of what waits for one, and the sequence."""
    end = 2 + int.from_bytes(row[:2], "big")
    return row[2:end], _named(row[end:])


def _named(row: bytes) -> Sequence:
    """The handler and the place that the key of a row speaks of."""
    end = 2 + int.from_bytes(row[:2], "big")
    return row[2:end].decode(), row[end:]


class Parking:
    """The parked sequences of one task. Changes go into the effects of whoever makes them."""

    __slots__ = ("_starts", "_state", "letters", "names", "restored", "some")

    def __init__(self, state: TaskState) -> None:
        self._state = state
        self.letters = Letters(state)
        self.restored = Restored(state)
        self._starts: list[tuple[str, bytes]] = []
        self.names: tuple[str, ...] = ()
        """By which handlers sequences are named, in order; by others surely none is."""
        self.some = False
        """False when surely nothing is parked, so that nobody need look."""
        self.look_again()

    def look_again(self) -> None:
        """Find out what is parked still; a look for each handler, for now and then, not for every event."""
        names, start = list[str](), b""
        while rows := self._state.scan(PARKING_STORE, start, limit=1):
            name, _ = _named(rows[0][0])
            names.append(name)
            start = rows_of(name)[1]
        self._name(names)

    def _name(self, names: Iterable[str]) -> None:
        self.names = tuple(sorted(names))
        self.some = bool(self.names)
        # What every look at the rows of a key begins with.
        self._starts = [(name, row_of(name, b"")) for name in self.names]

    def prefetch(self, keys: list[bytes]) -> None:
        """Read the marks that a batch will ask for, at once."""
        self._state.prefetch(PARKING_STORE, [start + b"k" + key for _, start in self._starts for key in keys])

    def mark(self, handler: str, place: bytes, effects: Effects | None = None) -> Mark | None:
        """The mark of a sequence, as ``effects`` leave it."""
        read = self._state.get if effects is None else effects.over(self._state.get)
        row = read(PARKING_STORE, row_of(handler, place))
        return None if row is None else _mark(row)

    def is_parked(self, key: bytes) -> bool:
        """Whether a key is parked for anybody."""
        place, get = b"k" + key, self._state.get
        for _, start in self._starts:  # noqa: SIM110 - asked for every event; a generator takes as long as the look
            if get(PARKING_STORE, start + place) is not None:
                return True
        return False

    def holding(
        self, handler: str, party: frozenset[str], place: bytes, effects: Effects, *, fresh: bool = False
    ) -> tuple[str, Mark] | None:
        """The sequence behind which a handler has to wait, by its name: one that owes it already, else its party's.

        With ``fresh`` nobody can have parked anything at this place before these effects.
        """
        found: tuple[str, Mark] | None = None
        writes = effects.writes
        for name, start in self._starts:
            at = PARKING_STORE, start + place
            row = writes[at] if at in writes else None if fresh else self._state.get(*at)
            if row is None:
                continue
            mark = _mark(row)
            owed = mark.owed_by(name)
            if handler in owed:
                # Where parties have grown together there may be several; it must not go on in front of its own events.
                return name, mark
            if found is None and (name in party or not party.isdisjoint(owed)):
                found = name, mark
        return found

    def of(self, handler: str) -> Iterator[tuple[bytes, Mark]]:
        """The sequences of a handler as (place, mark), however many."""
        for key, row in self._state.walk(PARKING_STORE, *rows_of(handler)):
            yield _named(key)[1], _mark(row)

    def owing(self, handler: str) -> Iterator[tuple[str, bytes, Mark]]:
        """The sequences with events that a handler has yet to handle, as (name, place, mark), however many."""
        for key, row in self._state.walk(PARKING_STORE):
            name, place = _named(key)
            mark = _mark(row)
            if handler in mark.owed_by(name):
                yield name, place, mark

    def first(self, handler: str, place: bytes, mark: Mark) -> Letter:
        """The event that a sequence is waiting for."""
        letter = self.letters.get(handler, place, mark.first)
        assert letter is not None, "a mark names a letter that is not there"
        return letter

    # -- changes

    def park(self, effects: Effects, sequence: Sequence, letter: Letter, stopped: Stopped) -> Mark | None:
        """Begin a sequence with an event that has failed; None where there is one, and it waits behind that."""
        handler, place = sequence
        if handler in self.names and (mark := self.mark(handler, place, effects)) is not None:
            self.add_behind(effects, sequence, letter, mark, handler)
            return None
        number = self.letters.first_free(handler, place)
        mark = Mark(number, number + 1, stopped.next_ms, stopped.failure, held=stopped.held)
        self.letters.put(effects, sequence, letter, number)
        self._put_mark(effects, handler, place, mark)
        if stopped.next_ms is not None:
            # There is none to be replaced: it has gone with the mark.
            set_timer(None, effects, RETRY + handler, place, stopped.next_ms)
        return mark

    def add_behind(self, effects: Effects, sequence: Sequence, letter: Letter, mark: Mark, waiting: str) -> None:
        """Let a later event wait behind a sequence for the handler ``waiting``; or the last one for it too."""
        handler, place = sequence
        owes = mark.owed_by(handler)
        owes = owes if waiting in owes else (*owes, waiting)
        last = self.letters.fresh(effects, sequence, mark.end - 1)
        if last is not None and last.is_of(letter):
            end = mark.end
            owed = (*last.owed_by(handler), waiting)
            self.letters.put_again(effects, sequence, msgspec.structs.replace(last, owed=owed), end - 1)
        else:
            end = mark.end + 1
            letter = letter if waiting == handler else msgspec.structs.replace(letter, owed=(waiting,))
            self.letters.put(effects, sequence, letter, mark.end)
        self._put_mark(effects, handler, place, msgspec.structs.replace(mark, end=end, owes=owes))

    def keep_first(self, effects: Effects, sequence: Sequence, mark: Mark, letter: Letter) -> None:
        """The first event of a sequence is not owed any more to some of those it was owed to; others go on with it."""
        self.letters.put_again(effects, sequence, letter, mark.first)
        self._put_mark(effects, *sequence, mark)

    def take_first(self, effects: Effects, handler: str, place: bytes, mark: Mark) -> Mark | None:
        """Remove the first event of a sequence; None, and no mark any more, when it was the last."""
        self.letters.delete(effects, handler, place, range(mark.first, mark.first + 1))
        if mark.waiting == 1:
            self._forget(effects, handler, place)
            return None
        # The next one has not failed yet, and is tried at once; the timer's row stays until the sequence is done, so
        # that whoever takes the task over in between goes on with it.
        left = msgspec.structs.replace(mark.untried(), first=mark.first + 1)
        self._put_mark(effects, handler, place, left)
        return left

    def drop(self, effects: Effects, handler: str, place: bytes, mark: Mark, now_ms: int) -> None:
        """Give a whole sequence up. It is gone with this; letters that are too many for a commit are swept later."""
        self._forget(effects, handler, place)
        self.restored.end(effects, (handler, place))
        self.letters.drop(effects, handler, place, range(mark.first, mark.end), now_ms)

    def move_mark(self, effects: Effects, old: str, new: str, place: bytes, mark: Mark) -> None:
        """Give a sequence to another name, once its letters are there."""
        mark = msgspec.structs.replace(mark, owes=put_for(mark.owes, old, new))
        if mark.next_ms is not None:
            self._forget(effects, old, place)
            self.write_mark(effects, new, place, mark)
            return
        # Dead letters, of which there may be a million, have no timer that would have to be looked for.
        effects.writes[PARKING_STORE, row_of(old, place)] = None
        self._put_mark(effects, new, place, mark)

    def write_mark(self, effects: Effects, handler: str, place: bytes, mark: Mark) -> None:
        """Store a mark, and the timer for its next try."""
        self._put_mark(effects, handler, place, mark)
        set_timer(self._state, effects, RETRY + handler, place, mark.next_ms)

    def _put_mark(self, effects: Effects, handler: str, place: bytes, mark: Mark) -> None:
        if handler not in self.names:
            self._name((*self.names, handler))
        effects.writes[PARKING_STORE, row_of(handler, place)] = _encode(mark)
        if mark.held:
            effects.writes[HELD_STORE, held_by(mark.held)[0] + row_of(handler, place)] = b""

    def _forget(self, effects: Effects, handler: str, place: bytes) -> None:
        effects.writes[PARKING_STORE, row_of(handler, place)] = None
        set_timer(self._state, effects, RETRY + handler, place, None)
