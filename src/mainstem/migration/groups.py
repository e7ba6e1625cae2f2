"""Copying what groups remember: positions, stores and the epochs of their tasks, with every offset translated."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Protocol, runtime_checkable

from mainstem.broker import (
    COMPLETED_STORE,
    Change,
    GroupDescription,
    GroupSpec,
    Ownership,
    TopicPartition,
    inbox_of,
    inputs_of,
)
from mainstem.delivery import (
    HANDLERS_STORE,
    PARKING_STORE,
    SEEN_STORE,
    origin_of,
    relocated_completed,
    relocated_seen,
    relocated_starts,
)
from mainstem.errors import BrokerError
from mainstem.migration.carrying import Digest
from mainstem.migration.endpoints import Source, Target
from mainstem.migration.mover import MOVER
from mainstem.migration.places import Translation
from mainstem.migration.topics import Likeness
from mainstem.state import Rows

ROWS_AT_ONCE: Final = 2_000
BYTES_AT_ONCE: Final = 4_000_000
ROWS_READ: Final = 1_000


@runtime_checkable
class Renumbered(Protocol):
    """An ownership that can count on from an epoch that the task has had elsewhere."""

    def renumber(self, epoch: int) -> None:
        """Be at this epoch, or a higher one."""
        ...


async def groups_of(source: Source) -> dict[str, GroupDescription]:
    """What is to be moved."""
    found = await source.admin.groups()
    return {name: each for name, each in found.items() if name != MOVER}


async def copy(source: Source, target: Target, group: GroupDescription, places: Translation) -> None:
    """Register the group, and write each task's rows and positions. It can be repeated."""
    check_alone(source, group, places)
    membership = await target.group.join(_spec(group, group.inputs), pinned=frozenset(range(group.tasks)))
    await membership.leave()
    for task in range(group.tasks):
        positions = positions_of(group, task, places)
        if positions:
            await _copy_task(source, target, group, task, places)


async def _copy_task(source: Source, target: Target, group: GroupDescription, task: int, places: Translation) -> None:
    positions = positions_of(group, task, places)
    inputs = {topic: count for topic, count in group.inputs.items() if any(at.topic == topic for at in positions)}
    membership = await target.group.join(_spec(group, inputs), pinned=frozenset(range(group.tasks)))
    try:
        ownership = await membership.take_over(task)
        if isinstance(ownership, Renumbered):
            ownership.renumber(group.epochs[task] + 1)
        page: list[Change] = []
        size_bytes = 0
        for change in rows_of(source.rows(group.name, task), source.stores(group.name), places):
            page.append(change)
            size_bytes += len(change.key) + len(change.value or b"")
            if len(page) >= ROWS_AT_ONCE or size_bytes >= BYTES_AT_ONCE:
                await _commit(ownership, page, positions)
                page, size_bytes = [], 0
        await _commit(ownership, page, positions)
        await membership.release(task)
    finally:
        await membership.leave()


async def _commit(ownership: Ownership, page: Iterable[Change], positions: Mapping[TopicPartition, int]) -> None:
    transaction = ownership.transaction()
    transaction.changes(page)
    transaction.positions(positions)
    await transaction.commit()


async def compare(source: Source, target: Target, group: GroupDescription, places: Translation) -> Likeness:
    """Read rows and positions back, and compare them with what they should be."""
    here, there = Digest(), Digest()
    stores = source.stores(group.name)
    found = (await target.admin.groups([group.name])).get(group.name)
    agree = found is not None and (found.service, found.tasks) == (group.service, group.tasks)
    for task in range(group.tasks):
        positions = positions_of(group, task, places)
        if not positions or found is None:
            continue
        agree = agree and all(found.positions.get(at) == offset for at, offset in positions.items())
        agree = agree and found.epochs[task] > 0
        for change in rows_of(source.rows(group.name, task), stores, places):
            here.add(b"%d" % task, change.store.encode(), change.key, change.value)
        for change in rows_of(await target.snapshot(group.name, task), stores, None):
            there.add(b"%d" % task, change.store.encode(), change.key, change.value)
    return Likeness("group", group.name, group.tasks, here.count, there.count, here.text, there.text, agree)


def positions_of(group: GroupDescription, task: int, places: Translation) -> dict[TopicPartition, int]:
    """The translated positions of a task; none for one that has never committed."""
    inputs = inputs_of(group.name, task, group.tasks, group.inputs)
    known = {at: group.positions[at] for at in inputs if at in group.positions and at in places}
    if TopicPartition(inbox_of(group.name), task) not in known:
        return {}
    topics = {at.topic for at in known}
    missing = [at for at in inputs if at.topic in topics and at not in known]
    if missing:
        raise BrokerError(
            f"The group {group.name!r} has positions in some partitions of a topic, and not in others",
            where=", ".join(f"{at.topic}[{at.partition}]" for at in missing),
            why="a commit names all of them, so somebody has taken some away",
            remedy="mainstem groups reset sets them",
        )
    return {at: places.first_from(at, offset) for at, offset in known.items()}


def rows_of(rows: Rows, stores: Iterable[str], places: Translation | None) -> Iterator[Change]:
    """All rows of a task by store and key; with ``places`` as they must be where the records are moved to."""
    for store in stores:
        start = b""
        while page := rows.scan(store, start, None, limit=ROWS_READ):
            for key, value in page:
                moved = value if places is None else _relocated(store, key, value, places)
                if moved is not None:
                    yield Change(store, key, moved)
            start = page[-1][0] + b"\x00"


def _relocated(store: str, key: bytes, value: bytes, places: Translation) -> bytes | None:
    if store == COMPLETED_STORE:
        topic, _, partition = key.decode().rpartition("/")
        at = TopicPartition(topic, int(partition))
        return relocated_completed(at, value, places, places.topic_ids[topic]) if at in places else None
    if store == SEEN_STORE:
        return relocated_seen(value, places)
    return relocated_starts(value, places) if store == HANDLERS_STORE else value


def check_alone(source: Source, group: GroupDescription, places: Translation) -> None:
    """Refuse a dead letter that waits alone, and whose old offset a later event would get.

    It is called by where its event stood. Behind the position, an event that is still to come would be taken for it.
    """
    for task in range(group.tasks):
        positions = positions_of(group, task, places)
        for change in rows_of(source.rows(group.name, task), [PARKING_STORE], None):
            origin = origin_of(change.key)
            if origin is not None and origin[1] >= positions.get(origin[0], origin[1] + 1):
                raise BrokerError(
                    f"An event that waits alone in {group.name!r} cannot be moved",
                    where=f"{origin[0].topic}[{origin[0].partition}] offset {origin[1]}",
                    why="it is called by its offset, which another event would have where it is moved to",
                    remedy=f"redrive or discard it first: mainstem dead-letters list {group.name}",
                )


def _spec(group: GroupDescription, inputs: Mapping[str, int]) -> GroupSpec:
    return GroupSpec(group.name, group.service, group.tasks, dict(inputs))
