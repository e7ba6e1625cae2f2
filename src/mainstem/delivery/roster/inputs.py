"""Which topics a task has read: one of the same name that was made after a deletion is another."""

from collections.abc import Mapping

from mainstem.broker import TopicPartition, completed_key
from mainstem.delivery.context import Effects
from mainstem.delivery.plan import INPUTS_STORE
from mainstem.state import TaskState


def note_inputs(state: TaskState, topic_ids: Mapping[TopicPartition, str], effects: Effects) -> None:
    """Write down which topics a task reads, where that is not known yet."""
    for at, topic_id in topic_ids.items():
        if state.get(INPUTS_STORE, completed_key(at)) != topic_id.encode():
            effects.write(INPUTS_STORE, completed_key(at), topic_id.encode())


def was_another(state: TaskState, at: TopicPartition, topic_id: str) -> bool:
    """Whether the task has read a topic of this name that has been deleted since."""
    found = state.get(INPUTS_STORE, completed_key(at))
    return found is not None and found != topic_id.encode()
