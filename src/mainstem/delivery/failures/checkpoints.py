"""What has been committed of an event that is not done yet, beside its effects: one row per handler and event.

The id of an output comes from its place among what its event has caused, and so does that of a timer. A run after a
checkpoint may leave out what was committed by it, so it goes on counting where the checkpoint stopped. A handler that
was through with the event when a later one made a checkpoint is committed with it, and must not run again.

Beside each row stands where its event is: the next owner lets the timers of its key wait until it has read it.
"""

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct

from mainstem.broker import Batch, TopicPartition
from mainstem.delivery.context import Effects, Gathered, Run, RunContext, Through, event_id_of
from mainstem.state import TaskState

STORE = "$checkpoints"
PLACES = "$halfway"
"""A store of its own, so that a library that does not know of it need not understand its rows."""
_THROUGH = b"!"


class Halfway(Struct, frozen=True, array_like=True):
    """An event with a key, of which something is committed and something is not."""

    key: bytes
    topic: str
    partition: int
    offset: int

    @property
    def at(self) -> TopicPartition:
        """The partition that it is read from."""
        return TopicPartition(self.topic, self.partition)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Halfway).decode


class Checkpoints:
    """The rows of one task: how much of what it causes is committed, and a mark where the handler is through."""

    __slots__ = ("_state", "some")

    def __init__(self, state: TaskState) -> None:
        self._state = state
        self.some = bool(state.scan(STORE, limit=1))
        """False when surely no event has been checkpointed and is not done."""

    def look_again(self) -> None:
        """Find out whether there is any row still; for now and then, not for every event."""
        self.some = bool(self._state.scan(STORE, limit=1))

    def write(self, run: Run, caused: int, effects: Effects, through: Iterable[Through]) -> None:
        """A handler commits what it has done so far, and with it what those that were through before it have done.

        ``caused`` is how many outputs and timers it has caused so far.
        """
        self.some = True
        for each in through:
            key = _key(*each)
            count = (self._row(effects, key) or b"0").removesuffix(_THROUGH)
            effects.writes[STORE, key] = count + _THROUGH
        effects.writes[STORE, _key_of(run)] = b"%d" % caused
        if run.key is not None:
            place = Halfway(run.key, run.topic, run.partition, run.offset)
            effects.writes[PLACES, _key_of(run)] = _encode(place)

    def halfway(self) -> Iterator[Halfway]:
        """The events with a key that earlier owners may have left halfway."""
        return (_decode(row) for _, row in self._state.walk(PLACES))

    def is_through(self, handler: str, batch: Batch, index: int) -> bool:
        """Whether a handler need not run for an event, because a later one's checkpoint has committed what it did."""
        return (self._state.get(STORE, _key(handler, batch, index)) or b"").endswith(_THROUGH)

    def resume(self, context: RunContext) -> None:
        """Before a run: go on counting where the last checkpoint of this event and handler stopped."""
        row = self._state.get(STORE, _key_of(context)) if self.some else None
        if row is not None:
            context.resume(int(row.removesuffix(_THROUGH)))

    def done(self, context: Run, effects: Effects) -> None:
        """The handler has succeeded; the row has served."""
        self._forget(effects, _key_of(context))

    def close(self, gathered: Gathered) -> None:
        """The event is done. Only a handler that has parked it still has to know where to go on counting."""
        if not self.some:
            return
        for each in gathered.through:
            key = _key(*each)
            row = self._row(gathered, key)
            if row is not None and row.endswith(_THROUGH):
                count = row.removesuffix(_THROUGH)
                gathered.writes[STORE, key] = None if count == b"0" else count

    def parked(self, handler: str, batch: Batch, effects: Effects) -> None:
        """A handler has parked the event: nobody waits for it any more, and a take-over need not look at it."""
        key = _key(handler, batch, 0)
        if effects.over(self._state.get)(PLACES, key) is not None:
            effects.writes[PLACES, key] = None

    def forget(self, handler: str, batch: Batch, effects: Effects) -> None:
        """A parked event is given up."""
        self._forget(effects, _key(handler, batch, 0))

    def rename(self, old: str, new: str) -> Iterator[Effects]:
        """Move every row of one handler to another name, one by one."""
        before, after = f"{old}\x00".encode(), f"{new}\x00".encode()
        for key, row in self.of(old):
            renamed = after + key.removeprefix(before)
            step = Effects([], {(STORE, key): None, (STORE, renamed): row})
            if (place := self._state.get(PLACES, key)) is not None:
                step.writes |= {(PLACES, key): None, (PLACES, renamed): place}
            yield step

    def forget_all(self, handler: str) -> Iterator[Effects]:
        """Nobody goes on with what a handler has begun."""
        for key, _ in self.of(handler):
            yield Effects([], {(STORE, key): None, (PLACES, key): None})

    def of(self, handler: str) -> Iterator[tuple[bytes, bytes]]:
        """The rows of one handler, however many."""
        return self._state.walk(STORE, f"{handler}\x00".encode(), f"{handler}\x01".encode())

    def _row(self, effects: Effects, key: bytes) -> bytes | None:
        return effects.over(self._state.get)(STORE, key)

    def _forget(self, effects: Effects, key: bytes) -> None:
        row = self._row(effects, key)
        if row is not None:
            # What was parked may be worked off before its event is done: the handler stays through with that one.
            effects.writes[STORE, key] = b"0" + _THROUGH if row.endswith(_THROUGH) else None
            effects.writes[PLACES, key] = None


def _key_of(run: Run) -> bytes:
    return f"{run.handler}\x00{run.event_id}".encode()


def _key(handler: str, batch: Batch, index: int) -> bytes:
    return f"{handler}\x00{event_id_of(batch, index)}".encode()
