"""Who belongs to a group, and which tasks each is to have; written by whoever notices a change."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from mainstem.broker import GroupSpec, TopicPartition, TopicSpec
from mainstem.broker.sqlite.admin import Catalogue, create_topic
from mainstem.database import Connection, Query, Write
from mainstem.errors import BrokerError, MembershipLost, StoreRefused
from mainstem.identifiers import Identifiers

GROUPS_CHANGED: Final = 0
"""What is touched, in the place of a partition number, when members or owners change."""

_GROUP = Query[tuple[int, str, int, str]]("select number, service, tasks, inputs from groups where name = ?")
_ADD_GROUP = Query[tuple[int]]("insert into groups(name, service, tasks, inputs) values(?, ?, ?, ?) returning number")
_SET_INPUTS = Query[tuple[()]]("update groups set inputs = ? where number = ?")
_ADD_TASK = Query[tuple[()]]("insert into task(grp, task) values(?, ?)")
_MEMBERS = Query[tuple[str, str | None, str | None, float]](
    "select member, static_id, pinned, session_timeout from member where grp = ? order by number"
)
_ADD_MEMBER = Query[tuple[()]](
    "insert into member(grp, member, process, static_id, pinned, session_timeout) values(?, ?, ?, ?, ?, ?)"
)
_SAME_STATIC = Query[tuple[str]]("select member from member where grp = ? and static_id = ?")
_REMOVE_MEMBER = Query[tuple[()]]("delete from member where grp = ? and member = ?")
_HAND_DOWN = Query[tuple[()]]("update task set assigned = ? where grp = ? and assigned = ?")
_ASSIGNED = Query[tuple[int, str]]("select task, assigned from task where grp = ? and assigned is not null")
_ASSIGN = Query[tuple[()]](
    "update task set draining = draining or (owner is not null and owner is assigned), assigned = ?1"
    " where grp = ?2 and task = ?3 and assigned is not ?1"
)
_IS_MEMBER = Query[tuple[int]]("select 1 from member where grp = ? and member = ?")
_DRAINS = Query[tuple[str]]("select owner from task where grp = ? and task = ? and draining")
_MINE = Query[tuple[int]]("select task from task where grp = ? and assigned = ?")
_TAKE = Query[tuple[int]](
    "update task set owner = ?, epoch = epoch + 1, draining = 0 where grp = ? and task = ? returning epoch"
)
_GIVE_BACK = Query[tuple[()]]("update task set owner = null, draining = 0 where grp = ? and task = ? and owner = ?")
_GIVE_ALL_BACK = Query[tuple[()]]("update task set owner = null, draining = 0 where grp = ? and owner = ?")
_POSITIONS = Query[tuple[int, int]]("select partition, next from position where grp = ? and task = ?")


class Candidate(NamedTuple):
    """A member, as an assignment sees it. ``pinned`` None: any tasks."""

    member: str
    pinned: frozenset[int] | None = None


class MemberRow(NamedTuple):
    """A member, as the file has it."""

    member: str
    static_id: str | None
    pinned: frozenset[int] | None
    session_timeout_seconds: float


def assign(tasks: int, candidates: Sequence[Candidate], previous: Mapping[int, str]) -> dict[int, str]:
    """Give each task a member: pinned tasks first, the others evenly, moving as few as possible.

    A task that no member may take is left out.
    """
    assigned: dict[int, str] = {}
    for task in range(tasks):
        pinners = [each.member for each in candidates if each.pinned is not None and task in each.pinned]
        if pinners:
            before = previous.get(task)
            assigned[task] = before if before in pinners else pinners[0]
    free = [each.member for each in candidates if each.pinned is None]
    rest = [task for task in range(tasks) if task not in assigned]
    if not free:
        return assigned
    kept: dict[str, list[int]] = {member: [] for member in free}
    for task in rest:
        if (before := previous.get(task)) in kept:
            kept[before].append(task)
    quota, more = divmod(len(rest), len(free))
    # Who has most keeps the tasks that do not divide evenly.
    order = sorted(free, key=lambda member: -len(kept[member]))
    quotas = {member: quota + (index < more) for index, member in enumerate(order)}
    for member, own in kept.items():
        assigned.update(dict.fromkeys(own[: quotas[member]], member))
    homeless = [task for task in rest if task not in assigned]
    for member in order:
        room = quotas[member] - min(len(kept[member]), quotas[member])
        assigned.update(dict.fromkeys(homeless[:room], member))
        del homeless[:room]
    return assigned


def find_group(connection: Connection, name: str) -> int | None:
    """The number of a group that is there."""
    row = _GROUP.one(connection, name)
    return None if row is None else row[0]


def enter_group(write: Write, spec: GroupSpec, catalogue: Catalogue, identifiers: Identifiers) -> int:
    """Create the group and its inbox, or compare them with what is recorded; returns the group's number."""
    connection = write.connection
    topics = catalogue.read(connection).by_name
    for topic, partitions in {**spec.inputs, spec.inbox: spec.tasks}.items():
        if topic in topics and topics[topic].spec.partitions != partitions:
            raise _refused_count(spec, topic, topics[topic].spec.partitions, partitions)
    row = _GROUP.one(connection, spec.name)
    if row is not None:
        number, service, tasks, recorded_json = row
        recorded: dict[str, int] = json.loads(recorded_json)
        _compare(spec, service, tasks, recorded)
        if spec.inputs.keys() - recorded.keys():
            _SET_INPUTS.run(connection, json.dumps({**recorded, **spec.inputs}), number)
        return number
    if spec.inbox not in topics:
        create_topic(write, TopicSpec(spec.inbox, spec.tasks), identifiers)
    added = _ADD_GROUP.one(connection, spec.name, spec.service, spec.tasks, json.dumps(dict(spec.inputs)))
    assert added is not None
    _ADD_TASK.run_many(connection, [(added[0], task) for task in range(spec.tasks)])
    return added[0]


def members(connection: Connection, group: int) -> list[MemberRow]:
    """The members of a group, in the order in which they joined."""
    return [
        MemberRow(member, static_id, None if pinned is None else frozenset(json.loads(pinned)), timeout)
        for member, static_id, pinned, timeout in _MEMBERS.all(connection, group)
    ]


def add_member(write: Write, group: int, row: MemberRow, process: str) -> list[str]:
    """Add a member; those with the same static id hand their tasks down to it, and are returned."""
    connection = write.connection
    replaced: list[str] = []
    if row.static_id is not None:
        replaced = [older for (older,) in _SAME_STATIC.all(connection, group, row.static_id)]
    for older in replaced:
        _HAND_DOWN.run(connection, row.member, group, older)
        _REMOVE_MEMBER.run(connection, group, older)
    pinned = None if row.pinned is None else json.dumps(sorted(row.pinned))
    _ADD_MEMBER.run(connection, group, row.member, process, row.static_id, pinned, row.session_timeout_seconds)
    return replaced


def remove_members(write: Write, group: int, gone: Iterable[str]) -> None:
    """Remove members; what they own can be taken over at once."""
    for member in gone:
        _REMOVE_MEMBER.run(write.connection, group, member)
        _GIVE_ALL_BACK.run(write.connection, group, member)


def reassign(write: Write, group: int, tasks: int) -> None:
    """Assign the tasks of a group to the members that it has now."""
    connection = write.connection
    candidates = [Candidate(row.member, row.pinned) for row in members(connection, group)]
    assigned = assign(tasks, candidates, dict(_ASSIGNED.all(connection, group)))
    for task in range(tasks):
        member = assigned.get(task)
        _ASSIGN.run(connection, member, group, task)
    write.touched.add(GROUPS_CHANGED)


def is_member(connection: Connection, group: int, member: str) -> bool:
    """Whether the group still has this member."""
    return _IS_MEMBER.one(connection, group, member) is not None


def assigned_to(connection: Connection, group: int, member: str) -> frozenset[int]:
    """The tasks that a member is to have."""
    return frozenset(task for (task,) in _MINE.all(connection, group, member))


def drains(connection: Connection, group: int, task: int) -> str | None:
    """The member that owns a task which has been assigned to another one meanwhile."""
    row = _DRAINS.one(connection, group, task)
    return None if row is None else row[0]


def take_task(write: Write, group: int, task: int, member: str) -> int:
    """Make ``member`` the owner and every older owner unable to commit; returns the epoch."""
    if not is_member(write.connection, group, member):
        raise membership_lost(member)
    row = _TAKE.one(write.connection, member, group, task)
    if row is None:
        raise BrokerError(f"The group has no task {task}", where=f"member {member}")
    return row[0]


def give_back(write: Write, group: int, task: int, member: str) -> None:
    """Have no owner, if it is this one."""
    _GIVE_BACK.run(write.connection, group, task, member)
    write.touched.add(GROUPS_CHANGED)


def pass_on(write: Write, group: int, task: int, member: str) -> bool:
    """Assign a task to the member that joined before this one, or last; False when nobody else may have it."""
    give_back(write, group, task, member)
    if task not in assigned_to(write.connection, group, member):
        return True
    able = [
        row.member
        for row in members(write.connection, group)
        if row.pinned is None or task in row.pinned or row.member == member
    ]
    other = able[able.index(member) - 1]
    _ASSIGN.run(write.connection, other, group, task)
    return other != member


def give_all_back(write: Write, group: int, member: str) -> None:
    """Give back every task of a member."""
    _GIVE_ALL_BACK.run(write.connection, group, member)
    write.touched.add(GROUPS_CHANGED)


def positions(connection: Connection, group: int, task: int, catalogue: Catalogue) -> dict[TopicPartition, int]:
    """The committed positions of a task."""
    known = catalogue.read(connection).partitions
    found = _POSITIONS.all(connection, group, task)
    return {known[number]: offset for number, offset in found if number in known}


def membership_lost(member: str) -> MembershipLost:
    """The group does not have this member any more."""
    return MembershipLost(
        "The group has expelled this member",
        where=f"member {member}",
        why="its event loop stood still for longer than the session timeout, or another process has its static id",
        remedy="join again; look for a handler that blocks the event loop",
    )


def _compare(spec: GroupSpec, service: str, tasks: int, recorded: Mapping[str, int]) -> None:
    if service != spec.service:
        raise StoreRefused(
            f"The group {spec.name!r} and its stores belong to the service {service!r}",
            where=f"service {spec.service}",
            why="two services would write each other's memory",
            remedy="give the group another name, or delete the old one with: mainstem groups delete " + spec.name,
        )
    if tasks != spec.tasks:
        raise StoreRefused(
            f"The group {spec.name!r} has {tasks} tasks, and would now have {spec.tasks}",
            why="stores and completed sets belong to the tasks that they were created for",
            remedy=f"keep tasks={tasks}; or give the group another name, and delete this one with its memory: "
            f"mainstem groups delete {spec.name}",
        )
    for topic, partitions in spec.inputs.items():
        if recorded.get(topic, partitions) != partitions:
            raise _refused_count(spec, topic, recorded[topic], partitions)


def _refused_count(spec: GroupSpec, topic: str, recorded: int, stated: int) -> StoreRefused:
    return StoreRefused(
        f"The group {spec.name!r} knows the topic {topic!r} with {recorded} partitions, and it would now have {stated}",
        why="with another number of partitions the keys move to other tasks, and their stores would not",
        remedy="restore the topic; or delete the group with its memory, so that it starts anew: "
        f"mainstem groups delete {spec.name}",
    )
