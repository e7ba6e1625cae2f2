"""What topics and groups need of a broker, compared with what is there."""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from mainstem.broker.descriptions import GroupSpec, Preparation, TopicSpec

_PARTITIONS: Final = "partitions"


def largest_record(group: GroupSpec, topics: Iterable[TopicSpec]) -> int:
    """The most bytes that a record of the group's inputs may have, and never less than by default."""
    sizes = [spec.record_bytes_max for spec in topics if spec.name in group.inputs]
    return max([TopicSpec("").record_bytes_max, *sizes])


def at_least(wanted: TopicSpec, found: TopicSpec | None) -> TopicSpec:
    """The specification of a topic of ours: somebody may have raised its limit, and it stays."""
    size = wanted.record_bytes_max if found is None else max(wanted.record_bytes_max, found.record_bytes_max)
    return msgspec.structs.replace(wanted, record_bytes_max=size)


def preparation(
    wanted: TopicSpec, found: TopicSpec | None, beside: Mapping[str, tuple[object, object]] | None = None
) -> Preparation:
    """What is to be done about a topic. ``beside`` has further properties that differ, as they are and should be."""
    should = msgspec.structs.asdict(wanted)
    del should["name"]
    if found is None:
        return Preparation("create", "topic", wanted.name, {**should, **{k: v for k, (_, v) in (beside or {}).items()}})
    are = msgspec.structs.asdict(found)
    differs: dict[str, tuple[object, object]] = {
        name: (are[name], value) for name, value in should.items() if are[name] != value
    }
    differs |= beside or {}
    if _PARTITIONS in differs:
        return Preparation(
            "refuse",
            "topic",
            wanted.name,
            should,
            differs,
            why="the number of partitions never changes: it decides where each key lives, and with another one the "
            "events of a key would lose their order, and their memory",
            remedy=f"declare partitions={found.partitions}; or declare a topic of another name, and move to it: let "
            "the service read both until the old one is empty",
        )
    return Preparation("alter" if differs else "keep", "topic", wanted.name, should, differs)


def is_refused(prepared: Iterable[Preparation]) -> bool:
    """Whether nothing is to be done, because something cannot be."""
    return any(each.action == "refuse" for each in prepared)
