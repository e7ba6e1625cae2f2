"""The topics that a group has for itself: its inbox, its changelog, and where all groups are recorded."""

from typing import Final

from mainstem.broker import GROUPS_TOPIC, GroupSpec, TopicPartition, TopicSpec, changelog_of

REGISTRY: Final = TopicPartition(GROUPS_TOPIC, 0)
HISTORY_BYTES: Final = 1_000_000


def own_topics(group: GroupSpec, record_bytes_max: int) -> tuple[TopicSpec, ...]:
    """What a group needs beside its inputs, whose records have at most so many bytes."""
    # A parked event is a row: the largest event, with its headers and history.
    row_bytes_max = record_bytes_max + HISTORY_BYTES
    return (
        TopicSpec(REGISTRY.topic, 1, compact=True),
        TopicSpec(group.inbox, group.tasks),
        TopicSpec(changelog_of(group.name), group.tasks, compact=True, record_bytes_max=row_bytes_max),
    )
