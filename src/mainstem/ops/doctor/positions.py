"""Groups: positions that are lost, topics that are not what they were, tasks that do not move, or have no standby."""

from collections.abc import Iterable, Iterator, Mapping

from mainstem.broker import GroupDescription, TopicDescription, TopicPartition, inbox_of, inputs_of
from mainstem.ops.doctor.findings import Finding
from mainstem.ops.screen import moment, plural
from mainstem.service import CatalogueEntry


def lost_positions(group: GroupDescription, topics: Mapping[str, TopicDescription]) -> Iterator[Finding]:
    """Positions that retention has passed, that lie beyond the end, or that are not there any more."""
    for task in range(group.tasks):
        inputs = inputs_of(group.name, task, group.tasks, group.inputs)
        begun = any(at in group.positions for at in inputs)
        for at in inputs if begun else ():
            said = _lost(group, at, topics.get(at.topic))
            if said is not None:
                where = f"group {group.name!r}, task {task}"
                remedy = (
                    f"decide where to go on: mainstem groups reset {group.name} --to {at.topic}/{at.partition}=OFFSET"
                )
                yield Finding("lost-position", True, where, f"{at.topic}/{at.partition} {said}", remedy)


def _lost(group: GroupDescription, at: TopicPartition, topic: TopicDescription | None) -> str | None:
    if topic is None or at not in topic.bounds:
        return None
    start, end = topic.bounds[at]
    position = group.positions.get(at)
    if position is None:
        return "has no position, and others of its task have one"
    if position < start:
        return f"stands at {position}, and everything below {start} has been removed"
    if position > end:
        return f"stands at {position}, beyond the end {end}: the topic was replaced, or the disk has lost writes"
    return None


def forgotten(entry: CatalogueEntry, group: GroupDescription | None) -> Iterator[Finding]:
    """A group that was started once, and has no positions at all."""
    if not entry.subscriptions or (group is not None and (group.positions or group.members)):
        return
    remembers = f", and remembers {', '.join(store.name for store in entry.stores)}" if entry.stores else ""
    said = f"it was started at {moment(entry.at_ms)}{remembers}, and has no positions any more"
    remedy = "they were deleted or have expired: mainstem groups reset sets new ones, mainstem groups delete forgets it"
    yield Finding("lost-position", True, f"group {entry.group!r}", said, remedy)


def drifted_inputs(group: GroupDescription, topics: Mapping[str, TopicDescription]) -> Iterator[Finding]:
    """Inputs that are gone, or that have another number of partitions than when the group was made."""
    where = f"group {group.name!r}"
    for topic, partitions in group.inputs.items():
        if topic not in topics:
            remedy = "create it with mainstem topics apply, or let the service not subscribe to it"
            yield Finding("drift", True, where, f"its input {topic!r} is not there", remedy)
        elif topics[topic].spec.partitions != partitions:
            said = f"its input {topic!r} had {plural(partitions, 'partition')}, and has {topics[topic].spec.partitions}"
            remedy = "keys have moved to other partitions: stop the group, and move the events to a new topic"
            yield Finding("drift", True, where, said, remedy)


def idle_tasks(
    before: GroupDescription, now: GroupDescription, topics: Mapping[str, TopicDescription], seconds: float
) -> Iterator[Finding]:
    """Tasks that had something to read at both looks, and have not moved in between; ``topics`` are as of the first."""
    behind = {task: lag for task in range(now.tasks) if (lag := _lag(before, task, topics))}
    if not now.members:
        if behind:
            said = f"nobody runs it, and {plural(sum(behind.values()), 'record')} are waiting"
            remedy = f"start its service: mainstem run MODULE:{now.service}"
            yield Finding("not-running", False, f"group {now.name!r}", said, remedy)
        return
    for task, lag in behind.items():
        inputs = inputs_of(now.name, task, now.tasks, now.inputs)
        if any(before.positions.get(at) != now.positions.get(at) for at in inputs):
            continue
        where, waiting = f"group {now.name!r}, task {task}", f"{plural(lag, 'record')} are waiting"
        if now.owners[task] is None:
            said = f"nobody has taken it over for {seconds:g} s, and {waiting}"
            remedy = "look whether somebody pins the other tasks, and at the logs of its processes"
        else:
            said = f"it has not moved for {seconds:g} s, and {waiting}; its owner is {now.owners[task]}"
            remedy = "look at its owner: /livez, its log, a handler that waits; on Kafka at transactions left open"
        yield Finding("stuck-task", True, where, said, remedy)


def giving_way(
    found: Iterable[Finding],
    groups: Mapping[str, GroupDescription],
    topics: Mapping[str, TopicDescription],
    entries: Iterable[CatalogueEntry],
) -> Iterator[Finding]:
    """The same, but what stands still because it gives way to a group that has something to do is not stuck."""
    waiting: dict[str, str] = {}
    for entry in entries:
        for other in groups.values() if entry.gives_way_ms is not None else ():
            others = other.service == entry.service and other.name != entry.group
            if others and any(_lag(other, task, topics) for task in range(other.tasks)):
                waiting[entry.group] = other.name
    for each in found:
        group = next((name for name in waiting if each.where.startswith(f"group {name!r}, ")), None)
        if each.check == "stuck-task" and group is not None:
            said = f"{each.what}; it gives way to {waiting[group]!r}, which has something to do"
            yield Finding(
                "gives-way",
                False,
                each.where,
                said,
                "it goes on by itself when that has caught up: /livez says since when",
            )
        else:
            yield each


def without_standby(group: GroupDescription) -> Iterator[Finding]:
    """A group that is to have standbys, and whose members keep all their copies in one place."""
    if group.places == 1:
        said = "it is to have standbys, and all its members share one folder of copies: nobody stands by for them"
        remedy = "run it on another machine as well; on this one, with a state_folder of its own"
        yield Finding("no-standby", False, f"group {group.name!r}", said, remedy)


def _lag(group: GroupDescription, task: int, topics: Mapping[str, TopicDescription]) -> int:
    return sum(
        max(0, topics[at.topic].ends[at.partition] - _begin(group, at, topics[at.topic]))
        for at in inputs_of(group.name, task, group.tasks, group.inputs)
        if at.topic in topics and at.partition < topics[at.topic].spec.partitions
    )


def _begin(group: GroupDescription, at: TopicPartition, topic: TopicDescription) -> int:
    position = group.positions.get(at)
    return topic.starts[at.partition] if position is None else position


def read_by(group: GroupDescription) -> set[str]:
    """The topics that a group reads, its inbox among them."""
    return {*group.inputs, inbox_of(group.name)}
