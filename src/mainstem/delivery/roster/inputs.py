"""Which topics a task has read: one of the same name that was made after a deletion is another."""

from collections.abc import Mapping

from mainstem.broker import TopicPartition, completed_key
from mainstem.delivery.context import Effects
from mainstem.delivery.plan import INPUTS_STORE
from mainstem.errors import BrokerError
from mainstem.state import TaskState
from mainstem.telemetry import log


def note_inputs(state: TaskState, topic_ids: Mapping[TopicPartition, str], effects: Effects) -> None:
    """Write down which topics a task reads, where that is not known yet."""
    for at, topic_id in topic_ids.items():
        if state.get(INPUTS_STORE, completed_key(at)) != topic_id.encode():
            effects.write(INPUTS_STORE, completed_key(at), topic_id.encode())


def first_position(
    state: TaskState, group: str, at: TopicPartition, topic_id: str, bounds: tuple[int, int], *, late: bool
) -> int:
    """Where a task begins that has no position; ``late``: who is new begins at the end.

    Whoever has read a topic of this name before is not new to it: what came first into this one counts, and it is told.
    Raises BrokerError where it is the same topic, so that there has been a position.
    """
    start, end = bounds
    row = state.get(INPUTS_STORE, completed_key(at))
    if row is None:
        return end if late else start
    if row == topic_id.encode():
        raise BrokerError(
            f"the position of {group!r} is gone",
            where=f"{at.topic}[{at.partition}]",
            why="the group has read this topic before, and somebody has deleted where it stood",
            remedy=f"say where to go on: mainstem groups reset {group} --to {at.topic}/{at.partition}=OFFSET",
        )
    log.warning(
        "group %r: %s[%d] was deleted and created again since it was read; it is read from its first event",
        group,
        *at,
    )
    return start
