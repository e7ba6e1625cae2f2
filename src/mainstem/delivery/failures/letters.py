"""Letters: copies of the events of parked sequences, numbered within each.

A sequence may be long, and a commit is not. So a sequence that is dropped is gone with its mark, in one commit; the
letters that are too many for that commit are deleted a few at a time, whenever a timer of theirs is due. A sequence
that begins meanwhile is numbered on behind them.
"""

from collections.abc import Callable, Iterator

import msgspec
from msgspec import Struct

from mainstem.broker import Batch, Record, TopicPartition, single
from mainstem.delivery.context import TIMER_TOPIC, Effects, no_effects
from mainstem.state import TaskState, Timer, timers

LETTERS = "$parked"
DROPPED = "$dropped"
"""The numbers of letters that are still to be deleted, of sequences that were dropped: the first, and the end."""
RESTORED = "$restored"
"""What sequences have got back from files."""
SWEEP = "$sweep:"
"""A timer whose name begins so is for deleting letters of the handler named behind it."""

LETTERS_AT_ONCE = 1_000
"""So many letters of a dropped sequence are deleted in one commit."""
_MOVED_AT_ONCE = 16
"""A letter may hold a million bytes."""
_NUMBER_BYTES = 8
_KEY_LENGTH_BYTES = 4


class Edit(Struct, frozen=True):
    """Somebody has changed the value of a letter, at this wall-clock time."""

    at_ms: int
    by: str
    reason: str


class Letter(Struct, frozen=True, omit_defaults=True):
    """A copy of a record that waits, bytes and headers as they came.

    One that somebody has edited says so, and keeps the value that it came with.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]
    edits: tuple[Edit, ...] = ()
    original: bytes | None = None
    owed: tuple[str, ...] | None = None
    """The handlers that have yet to handle it, in order; None stands for the one that its sequence is named by."""

    @property
    def origin(self) -> str:
        """Where the event stood, in text."""
        return f"{self.topic}/{self.partition}@{self.offset}"

    def edited(self, value: bytes, edit: Edit) -> "Letter":
        """The same letter with another value; the first one is kept."""
        original = self.original if self.edits else self.value
        return msgspec.structs.replace(self, value=value, original=original, edits=(*self.edits, edit))

    def owed_by(self, sequence: str) -> tuple[str, ...]:
        """The handlers that have yet to handle it, in a sequence of this name."""
        return (sequence,) if self.owed is None else self.owed

    def is_of(self, other: "Letter") -> bool:
        """Whether both are copies of one record."""
        return (self.offset, self.partition, self.topic) == (other.offset, other.partition, other.topic)

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


_encode = msgspec.msgpack.Encoder().encode
_letter = msgspec.msgpack.Decoder(Letter).decode
_numbers = msgspec.msgpack.Decoder(tuple[int, int]).decode


class Taken(Struct, frozen=True, omit_defaults=True):
    """Which letters a sequence has got back: by the file's id, the number of the first one, and the end.

    They come back from the last one to the first. While some are missing, ``unfinished`` names their file.
    """

    letters: dict[str, tuple[int, int]] = {}
    unfinished: str = ""

    def after(self, archive: str, numbers: range) -> "Taken":
        """The same, with these letters of a file in front of those that have come from it before."""
        end = self.letters[archive][1] if archive in self.letters else numbers.stop
        letters = {**self.letters, archive: (numbers.start, end)}
        return Taken(letters, archive if numbers.start else "")


_taken = msgspec.msgpack.Decoder(Taken).decode


def place_of(letter: Letter) -> bytes:
    """What names a sequence beside its handler."""
    return place_at(letter.key, letter.topic, letter.partition, letter.offset)


def place_alone(letter: Letter) -> bytes:
    """What names the sequence of an event that holds up nobody; of one with a key it still has the key's lane."""
    if letter.key is None:
        return place_of(letter)
    # The length in front keeps the key apart from what follows it.
    origin = f"{letter.topic}/{letter.partition}/{letter.offset}".encode()
    return b"a" + len(letter.key).to_bytes(_KEY_LENGTH_BYTES, "big") + letter.key + origin


def place_at(key: bytes | None, topic: str, partition: int, offset: int) -> bytes:
    """The key; a keyless event waits alone, under its place in the log."""
    return f"o{topic}/{partition}/{offset}".encode() if key is None else b"k" + key


def origin_of(row: bytes) -> tuple[TopicPartition, int] | None:
    """Where the event stood that waits alone under this row of a sequence; None for a key, and for a firing."""
    place = row[2 + int.from_bytes(row[:2], "big") :]
    origin = place[1:] if place.startswith(b"o") else _origin_alone(place)
    if not origin or origin.startswith(TIMER_TOPIC.encode()):
        return None
    topic, partition, offset = origin.decode().rsplit("/", 2)
    return TopicPartition(topic, int(partition)), int(offset)


def _origin_alone(place: bytes) -> bytes:
    key = key_of(place) if place.startswith(b"a") else None
    return b"" if key is None else place[1 + _KEY_LENGTH_BYTES + len(key) :]


def key_of(place: bytes) -> bytes | None:
    """The key whose events a sequence holds; None for a keyless event."""
    if place.startswith(b"a"):
        start = 1 + _KEY_LENGTH_BYTES
        return place[start : start + int.from_bytes(place[1:start], "big")]
    return place[1:] if place.startswith(b"k") else None


def lane_of(place: bytes) -> bytes:
    """The lane in which a sequence is worked off: the key's; a keyless one has a lane to itself."""
    # In any lane, a redrive and the timer it sets would work the same event off side by side.
    key = key_of(place)
    return place if key is None else key


def row_of(handler: str, place: bytes) -> bytes:
    """The key of what is kept of a sequence beside its letters."""
    name = handler.encode()
    return len(name).to_bytes(2, "big") + name + place


def rows_of(handler: str) -> tuple[bytes, bytes]:
    """The bounds of such keys of one handler."""
    start = row_of(handler, b"")
    return start, start[:-1] + bytes([start[-1] + 1])


def _letter_row(handler: str, place: bytes, number: int) -> bytes:
    row = row_of(handler, place)
    # The length in front keeps the rows of one sequence together, and apart from those of a longer key.
    return len(row).to_bytes(4, "big") + row + number.to_bytes(_NUMBER_BYTES, "big")


def _nothing(_store: str, _key: bytes) -> None:
    """A look at rows that sees none."""


def set_timer(state: TaskState | None, effects: Effects, name: str, place: bytes, due_ms: int | None) -> None:
    """Set a timer of a sequence, or cancel it (None); without a state there is none of this name and place yet."""
    read = effects.over(_nothing if state is None else state.get)
    if due_ms is None:
        timers.cancel(read, effects.write, name, place)
    else:
        timers.put(read, effects.write, Timer(due_ms, name, place))
        effects.wake_at(due_ms)


def put_for(owed: tuple[str, ...], old: str, new: str) -> tuple[str, ...]:
    """The same handlers, with one of them under another name."""
    return tuple(new if each == old else each for each in owed)


class Letters:
    """The letters of one task. Changes go into the effects of whoever makes them."""

    __slots__ = ("_some_dropped", "_state")

    def __init__(self, state: TaskState) -> None:
        self._state = state
        self._some_dropped = bool(state.scan(DROPPED, limit=1))
        """False when surely none are still to be deleted, so that no sequence that begins need look."""

    def get(self, handler: str, place: bytes, number: int) -> Letter | None:
        """A letter by its number."""
        row = self._state.get(LETTERS, _letter_row(handler, place, number))
        return None if row is None else _letter(row)

    def put(self, effects: Effects, sequence: tuple[str, bytes], letter: Letter, number: int) -> None:
        """Keep one letter more of a sequence: of a handler, at a place."""
        self.put_again(effects, sequence, letter, number)
        effects.letters += 1

    def put_again(self, effects: Effects, sequence: tuple[str, bytes], letter: Letter, number: int) -> None:
        """Keep a letter in place of the one that there is."""
        effects.writes[LETTERS, _letter_row(*sequence, number)] = _encode(letter)

    def fresh(self, effects: Effects, sequence: tuple[str, bytes], number: int) -> Letter | None:
        """A letter, if it is among these effects."""
        row = effects.writes.get((LETTERS, _letter_row(*sequence, number)))
        return None if row is None else _letter(row)

    def delete(self, effects: Effects, handler: str, place: bytes, numbers: range) -> None:
        """Delete these; not more than a commit can bear."""
        rows = [_letter_row(handler, place, number) for number in numbers]
        # Of a sequence that was dropped, some in the middle may have been worked off before.
        if len(rows) > 1:
            self._state.prefetch(LETTERS, rows)
        for row in rows:
            effects.letters -= len(rows) == 1 or self._state.get(LETTERS, row) is not None
            effects.writes[LETTERS, row] = None

    def first_free(self, handler: str, place: bytes) -> int:
        """Where a new sequence begins to count."""
        return self._dropped(handler, place).stop

    def move(self, old: str, new: str, place: bytes, numbers: range) -> Iterator[Effects]:
        """Give letters to another name, one with each step; those that went before are passed over."""
        for key, row in self._walk(old, place, numbers):
            number = int.from_bytes(key[-_NUMBER_BYTES:], "big")
            letter = _letter(row)
            owed = None if letter.owed is None else put_for(letter.owed, old, new)
            moved = _encode(msgspec.structs.replace(letter, owed=owed))
            yield Effects([], {(LETTERS, key): None, (LETTERS, _letter_row(new, place, number)): moved})

    def owe(
        self, handler: str, place: bytes, numbers: range, change: Callable[[tuple[str, ...]], tuple[str, ...]]
    ) -> Iterator[Effects]:
        """Change who has yet to handle these, one with each step; those of which it is true already are passed over."""
        for key, row in self._walk(handler, place, numbers):
            letter = _letter(row)
            before = letter.owed_by(handler)
            if (owed := change(before)) != before:
                yield Effects([], {(LETTERS, key): _encode(msgspec.structs.replace(letter, owed=owed))})

    def _walk(self, handler: str, place: bytes, numbers: range) -> Iterator[tuple[bytes, bytes]]:
        start, stop = _letter_row(handler, place, numbers.start), _letter_row(handler, place, numbers.stop)
        return self._state.walk(LETTERS, start, stop, at_once=_MOVED_AT_ONCE)

    # -- those that nobody waits for any more

    def drop(self, effects: Effects, handler: str, place: bytes, numbers: range, now_ms: int) -> None:
        """Delete these, now or, when they are too many, soon."""
        dropped = self._dropped(handler, place)
        if dropped:
            # A sequence that began since then was numbered on.
            numbers = range(dropped.start, numbers.stop)
        if len(numbers) > LETTERS_AT_ONCE:
            self._leave(effects, handler, place, numbers, now_ms)
            return
        self.delete(effects, handler, place, numbers)
        if dropped:
            self._leave(effects, handler, place, range(0), None)

    def sweep(self, effects: Effects, handler: str, place: bytes, again_ms: int) -> None:
        """Delete some of those that were dropped; the others at ``again_ms``."""
        dropped = self._dropped(handler, place)
        some, rest = dropped[:LETTERS_AT_ONCE], dropped[LETTERS_AT_ONCE:]
        self.delete(effects, handler, place, some)
        self._leave(effects, handler, place, rest, again_ms if rest else None)

    def sweep_all(self, handler: str) -> Iterator[Effects]:
        """Delete all that were dropped, some with each step."""
        for key, _ in self._state.walk(DROPPED, *rows_of(handler)):
            place = key[2 + len(handler.encode()) :]
            rest = self._dropped(handler, place)
            while rest:
                step, some, rest = no_effects(), rest[:LETTERS_AT_ONCE], rest[LETTERS_AT_ONCE:]
                self.delete(step, handler, place, some)
                step.write(DROPPED, key, _encode((rest.start, rest.stop)))
                yield step
            step = no_effects()
            self._leave(step, handler, place, rest, None)
            yield step

    def _dropped(self, handler: str, place: bytes) -> range:
        row = self._state.get(DROPPED, row_of(handler, place)) if self._some_dropped else None
        return range(0) if row is None else range(*_numbers(row))

    def _leave(self, effects: Effects, handler: str, place: bytes, numbers: range, due_ms: int | None) -> None:
        row = _encode((numbers.start, numbers.stop)) if numbers else None
        effects.writes[DROPPED, row_of(handler, place)] = row
        self._some_dropped = self._some_dropped or row is not None
        set_timer(self._state, effects, SWEEP + handler, place, due_ms)


class Restored:
    """What the sequences of one task have got back from files, so that nothing comes back twice.

    A row for a sequence that has ever been restored; it stays as long as its handler does, for so does the file.
    """

    __slots__ = ("_some", "_state")

    def __init__(self, state: TaskState) -> None:
        self._state = state
        self._some = bool(state.scan(RESTORED, limit=1))
        """False when surely nothing was ever restored, so that no decision need look."""

    def of(self, handler: str, place: bytes) -> Taken:
        """What a sequence has got back."""
        row = self._state.get(RESTORED, row_of(handler, place)) if self._some else None
        return Taken() if row is None else _taken(row)

    def put(self, effects: Effects, sequence: tuple[str, bytes], taken: Taken) -> None:
        """Remember it, in the commit in which the letters come back."""
        self._some = True
        effects.writes[RESTORED, row_of(*sequence)] = _encode(taken)

    def end(self, effects: Effects, sequence: tuple[str, bytes]) -> None:
        """Nobody waits for the missing letters any more; they may still come, when nothing else waits there."""
        taken = self.of(*sequence)
        if taken.unfinished:
            self.put(effects, sequence, Taken(taken.letters))

    def move(self, old: str, new: str) -> Iterator[Effects]:
        """Give what is remembered of a handler to another name, a row with each step."""
        for key, row in self._state.walk(RESTORED, *rows_of(old)):
            self._some = True
            place = key[2 + len(old.encode()) :]
            yield Effects([], {(RESTORED, key): None, (RESTORED, row_of(new, place)): row})

    def forget_all(self, handler: str) -> Iterator[Effects]:
        """The handler is not there any more, and nothing can be restored for it."""
        for key, _ in self._state.walk(RESTORED, *rows_of(handler)):
            yield Effects([], {(RESTORED, key): None})
