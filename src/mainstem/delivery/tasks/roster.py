"""Which handlers a task has known, and from where on each takes part.

A handler's name is its identity. One that is new to a running group begins behind the highest completed event, and its
first offsets are recorded; one that was renamed says ``was=``; a recorded one that nobody registers any more stops
the start, because what it has parked would be forgotten.
"""

from collections.abc import Mapping, Sequence

import msgspec

from mainstem.broker import TopicPartition, completed_key
from mainstem.delivery.failures import Parking
from mainstem.delivery.lanes import Progress
from mainstem.delivery.outputs import Effects
from mainstem.delivery.processor import Processor
from mainstem.delivery.tasks.checkpoints import Checkpoints
from mainstem.errors import DefinitionError
from mainstem.state import TaskState

STORE = "$handlers"
HANDLERS_MOST = 10_000

Starts = dict[str, dict[TopicPartition, int]]

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[str, int]).decode


class Roster:
    """The handlers recorded in one task's store."""

    def __init__(self, group: str, state: TaskState, parking: Parking, checkpoints: Checkpoints) -> None:
        self._group = group
        self._state = state
        self._parking = parking
        self._checkpoints = checkpoints
        self._known = {key.decode(): _decode(row) for key, row in state.scan(STORE, limit=HANDLERS_MOST)}

    def call(
        self, processors: Sequence[Processor], progress: Mapping[TopicPartition, Progress], effects: Effects
    ) -> Starts:
        """Compare with what is registered now; changes go into ``effects``. Raises DefinitionError for the missing."""
        first_time = not self._known
        starts: Starts = {}
        for processor in processors:
            row = self._known.pop(processor.name, None)
            for old in processor.was:
                renamed = self._known.pop(old, None)
                if renamed is not None:
                    row = renamed
                    effects.write(STORE, old.encode(), None)
                    self._parking.rename(effects, old, processor.name)
                    self._checkpoints.rename(effects, old, processor.name)
                    effects.write(STORE, processor.name.encode(), _encode(row))
            if row is None:
                topics = {each.topic for each in processor.inputs}
                behind = {at: each.highest for at, each in progress.items() if at.topic in topics}
                row = {} if first_time else {completed_key(at).decode(): offset for at, offset in behind.items()}
                effects.write(STORE, processor.name.encode(), _encode(row))
            starts[processor.name] = {at: row[name] for at in progress if (name := completed_key(at).decode()) in row}
        if self._known:
            raise self._missing(sorted(self._known))
        return starts

    def _missing(self, names: list[str]) -> DefinitionError:
        listed = ", ".join(repr(name) for name in names)
        return DefinitionError(
            f"group {self._group!r} remembers handlers that nobody registers: {listed}",
            where="the task's store",
            why="they were renamed or removed; what they have parked or set would be forgotten in silence",
            remedy=f'for a new name, register with was=("{names[0]}",); '
            f"for a removed one, run: mainstem retire {self._group} {names[0]}",
        )
