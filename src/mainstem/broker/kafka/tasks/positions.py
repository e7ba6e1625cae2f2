"""Positions as the cluster keeps them: an offset, and beside it a few words.

Each position says which topic it belongs to, by its id: 28 bytes in every commit. The cluster knows positions by the
topic's name, so that one of a topic that was deleted would be that of a topic of the same name, whose first events
nobody would ever be given. The position of the inbox also says who has committed.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from confluent_kafka import TopicPartition as At
from msgspec import Struct
from msgspec.structs import replace

from mainstem.broker import TopicPartition

BY_MEMBER: Final = "at-least-once"
"""Behind the epoch beside an inbox position: no producer need be fenced before the task is taken over."""
_TOPIC: Final = "topic="


class Positions(Struct, frozen=True):
    """The committed positions of a group, the epoch of each task's owner, and the tasks that a member committed last.

    The others were committed by a producer of their own. ``topic_ids`` are those of the topics that were read; where
    an older library has committed, none is known.
    """

    offsets: Mapping[TopicPartition, int]
    epochs: Mapping[int, int]
    by_member: frozenset[int] = frozenset()
    topic_ids: Mapping[TopicPartition, str] = {}

    def outlived(self, topic_ids: Mapping[str, str]) -> list[TopicPartition]:
        """Those whose topic was deleted since, and made again. ``topic_ids`` are those of the topics that are there."""
        return [at for at, read in self.topic_ids.items() if topic_ids.get(at.topic, read) != read]

    def without(self, some: Collection[TopicPartition]) -> "Positions":
        """The others."""
        return replace(self, offsets={at: offset for at, offset in self.offsets.items() if at not in some})


def positions_of(committed: Iterable[At], inbox: str) -> Positions:
    """What the cluster says is committed."""
    offsets: dict[TopicPartition, int] = {}
    topic_ids: dict[TopicPartition, str] = {}
    epochs: dict[int, int] = {}
    by_member: set[int] = set()
    for each in committed:
        at = TopicPartition(each.topic, each.partition)
        words = (each.metadata or "").split()
        if each.offset >= 0:
            offsets[at] = each.offset
            for word in words:
                if word.startswith(_TOPIC):
                    topic_ids[at] = word.removeprefix(_TOPIC)
        if at.topic == inbox and words:
            epochs[at.partition] = int(words[0])
            if BY_MEMBER in words:
                by_member.add(at.partition)
    return Positions(offsets, epochs, frozenset(by_member), topic_ids)


def offsets_of(positions: Mapping[TopicPartition, int], inputs: Mapping[TopicPartition, str], owner: str) -> list[At]:
    """Positions as the cluster keeps them. ``inputs`` are the ids of their topics, that of the inbox first."""
    inbox = next(iter(inputs))
    found = []
    for at, offset in positions.items():
        words = [owner] if at == inbox else []
        if inputs.get(at):
            words.append(_TOPIC + inputs[at])
        found.append(At(at.topic, at.partition, offset, metadata=" ".join(words)) if words else At(*at, offset))
    return found
