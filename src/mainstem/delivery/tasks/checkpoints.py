"""How many outputs a handler had published before its last checkpoint, so that later ones keep other ids.

The id of an output comes from its place among the outputs of its event. A run after a checkpoint may leave out what
was committed by it, so it goes on counting where the checkpoint stopped. One row per event that has been checkpointed
and is not done.
"""

from mainstem.delivery.context import Context, Effects
from mainstem.state import TaskState

STORE = "$checkpoints"


class Checkpoints:
    """The rows of one task."""

    __slots__ = ("_state", "some")

    def __init__(self, state: TaskState) -> None:
        self._state = state
        self.some = bool(state.scan(STORE, limit=1))
        """False when surely no event has been checkpointed and is not done."""

    def write(self, context: Context, effects: Effects) -> None:
        """The handler commits what it has done so far."""
        self.some = True
        effects.writes[STORE, self._key(context)] = b"%d" % context.published

    def resume(self, context: Context) -> None:
        """Before a run: go on counting where the last checkpoint of this event and handler stopped."""
        row = self._state.get(STORE, self._key(context))
        if row is not None:
            context.published = int(row)

    def done(self, context: Context, effects: Effects) -> None:
        """The handler has succeeded; the row has served."""
        key = self._key(context)
        if self._state.get(STORE, key) is not None:
            effects.writes[STORE, key] = None

    def _key(self, context: Context) -> bytes:
        return f"{context.handler}\x00{context.event_id}".encode()
