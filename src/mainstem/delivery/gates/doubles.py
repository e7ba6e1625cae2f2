"""What the handlers of a task have been given, so that an event which comes again is known.

One row for an event, in the commit of that event, under a digest of handler, key and id. The row says where the event
stands, so that one which is parked, tried again or redriven is not taken for a double of itself. In front of the digest
is the time at which every row of the same window has served: rows go by the window, a page at a time, and an event is
looked for in three of them.
"""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from mainstem.broker import Batch, TopicPartition
from mainstem.clock import Clock
from mainstem.delivery.context import Effects, event_id_of, no_effects
from mainstem.delivery.gates.deduplicate import Sieve
from mainstem.delivery.ledger import Ledger, Places
from mainstem.state import Timer, timers

SEEN_STORE: Final = "$seen"
FORGET: Final = "$forget"
"""The name of the timer at which the rows of a window go."""

ROWS_AT_ONCE: Final = 1_000
_END_BYTES: Final = 8
_DIGEST_BYTES: Final = 16
_NO_KEY: Final = b"\x00"


class Seen(Struct, frozen=True, array_like=True):
    """A row: when the event was first given to the handler, and where it stands."""

    at_ms: int
    topic: str
    partition: int
    offset: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Seen).decode


def relocated_seen(row: bytes, places: Places) -> bytes:
    """The row as it must be where the records are moved to."""
    seen = _decode(row)
    offset = places.first_from(TopicPartition(seen.topic, seen.partition), seen.offset)
    return _encode(Seen(seen.at_ms, seen.topic, seen.partition, offset))


class Sieved(Protocol):
    """A handler, as far as it matters here: ``was`` are the names under which it may have seen an event."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def sieve(self) -> Sieve | None:
        """What it looks at, if it does."""
        ...

    @property
    def was(self) -> tuple[str, ...]:
        """The names it had before."""
        ...


class Doubles:
    """The rows of one task. They go into the effects of whoever is given the event."""

    __slots__ = ("_armed", "_clock", "_ledger")

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._armed = next(timers.named(ledger.state, FORGET), None) is not None

    def is_double(self, handler: Sieved, event: object, batch: Batch, index: int, effects: Effects) -> bool:
        """Whether the handler has been given an event before; otherwise it is noted that it is given this one.

        Raises :class:`~mainstem.errors.EventRefused` for an event whose fields have no form in bytes.
        """
        sieve = handler.sieve
        if sieve is None:
            return False
        now = self._clock.now_ms()
        ends, digests = _ends(now, sieve.within_ms), list(_digests(handler, sieve, event, batch, index))
        read = effects.over(self._ledger.state.get)
        rows = [read(SEEN_STORE, end + digest) for digest in digests for end in ends]
        found = [_decode(row) for row in rows if row is not None]
        here = (batch.topic, batch.partition, batch.offsets[index])
        if any((each.topic, each.partition, each.offset) == here for each in found):
            return False
        if any(now - each.at_ms < sieve.within_ms for each in found):
            return True
        effects.write(SEEN_STORE, ends[1] + digests[0], _encode(Seen(now, *here)))
        if not self._armed:
            self._arm(int.from_bytes(ends[1], "big"))
        return False

    def lane(self, handlers: Iterable[Sieved], event: object, batch: Batch, index: int) -> bytes | None:
        """The lane of an event; of a keyless one that of what it is known by, so that two doubles do not overlap."""
        key = batch.keys[index]
        if key is not None:
            return key
        for each in handlers:
            if each.sieve is not None:
                return next(_digests(each, each.sieve, event, batch, index, named=False))
        return None

    def prefetch(self, events: Iterable[tuple[Sieved, object, Batch, int]]) -> None:
        """Read the rows that a batch will ask for, at once."""
        now, wanted = self._clock.now_ms(), []
        for handler, event, batch, index in events:
            if handler.sieve is not None:
                ends = _ends(now, handler.sieve.within_ms)
                wanted += [end + it for it in _digests(handler, handler.sieve, event, batch, index) for end in ends]
        self._ledger.state.prefetch(SEEN_STORE, wanted)

    def _arm(self, end_ms: int) -> None:
        """Set the timer, whatever becomes of the event: one that finds no rows does no harm."""
        self._armed = True
        effects = no_effects()
        timers.put(effects.over(self._ledger.state.get), effects.write, Timer(end_ms, FORGET, None))
        effects.wake_at(end_ms)
        self._ledger.absorb(effects)

    def forget(self, timer: Timer) -> Effects:
        """Some of the rows that have served are to go, and the timer to be set for the next ones."""
        state, now, effects = self._ledger.state, self._clock.now_ms(), no_effects()
        over = (now + 1).to_bytes(_END_BYTES, "big")
        rows = state.scan(SEEN_STORE, b"", over, limit=ROWS_AT_ONCE)
        for key, _ in rows:
            effects.write(SEEN_STORE, key, None)
        if len(rows) == ROWS_AT_ONCE:
            next_ms = max(now, timer.due_ms + 1)
        elif later := state.scan(SEEN_STORE, over, limit=1):
            next_ms = int.from_bytes(later[0][0][:_END_BYTES], "big")
        else:
            self._armed = False
            timers.cancel(state.get, effects.write, FORGET, None)
            return effects
        timers.put(state.get, effects.write, Timer(next_ms, FORGET, None))
        effects.wake_at(next_ms)
        return effects


def _ends(now_ms: int, within_ms: int) -> tuple[bytes, bytes, bytes]:
    """When the rows have served that were written a window ago, in this one, and by a clock that is ahead."""
    window = now_ms // within_ms
    first, second, third = (((window + more) * within_ms).to_bytes(_END_BYTES, "big") for more in (1, 2, 3))
    return first, second, third


def _digests(
    handler: Sieved, sieve: Sieve, event: object, batch: Batch, index: int, *, named: bool = True
) -> Iterator[bytes]:
    """What stands for an event, by each name of the handler."""
    if sieve.fields is None:
        scope, known = batch.topic.encode(), event_id_of(batch, index).encode()
    else:
        scope, known = b"", sieve.fields[type(event)](event) or b""
    key = batch.keys[index]
    for name in (handler.name, *handler.was) if named else ("",):
        digest = blake2b(digest_size=_DIGEST_BYTES)
        for part in (name.encode(), scope, _NO_KEY if key is None else b"\x01" + key, known):
            digest.update(len(part).to_bytes(4, "big"))
            digest.update(part)
        yield digest.digest()
