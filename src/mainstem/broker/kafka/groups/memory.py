"""What earlier owners of a task have left in its changelog, as far as whoever takes it over has to know."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from mainstem.broker import COMPLETED_STORE, Change, GroupSpec, TopicPartition, read
from mainstem.broker.kafka.copies import change_of
from mainstem.broker.kafka.groups.groups import Groups
from mainstem.broker.kafka.producers import transactional_id
from mainstem.broker.kafka.tasks import OWNER_STORE
from mainstem.errors import BrokerError, StoreRefused
from mainstem.telemetry import log


async def completed_sets(groups: Groups, spec: GroupSpec, changelog: TopicPartition) -> list[bytes]:
    """The completed sets that a task has left; refused where something waits there that nobody would look after."""
    rows: dict[str, set[bytes]] = {}
    async with aclosing(_changes(groups, changelog)) as changes:
        async for change in changes:
            keys = rows.setdefault(change.store, set())
            keys.discard(change.key) if change.value is None else keys.add(change.key)
    known = {OWNER_STORE, COMPLETED_STORE, *spec.forgettable}
    waiting = sorted(store for store, keys in rows.items() if keys and store.startswith("$") and store not in known)
    if waiting:
        raise StoreRefused(
            f"The group {spec.name!r} cannot be delivered at least once yet: events or timers of it wait",
            where=f"task {changelog.partition}, {', '.join(waiting)}",
            why="nobody would look after what is parked, or wake what is set",
            remedy='run it with delivery="exactly_once" until nothing waits, redrive or discard the dead letters '
            f"(mainstem dead-letters list {spec.name}), stop it, and start it at least once",
        )
    for store in sorted(store for store, keys in rows.items() if keys and not store.startswith("$")):
        log.warning(
            "%s: what its store %r holds is left behind", transactional_id(spec.name, changelog.partition), store
        )
    return sorted(rows.get(COMPLETED_STORE, ()))


async def epoch_without_positions(
    groups: Groups, group: str, inputs: Sequence[TopicPartition], changelog: TopicPartition
) -> int:
    """The epoch of a task that has no positions: 0 where it has never been owned.

    Every owner leaves a trace, so positions that are not there have been there. They are where reading begins as
    long as nothing has ever been written to what is read, as for a lease; otherwise nobody knows them any more.
    """
    async with aclosing(_changes(groups, changelog)) as changes:
        if await anext(changes, None) is None:
            return 0
    bounds = await groups.topics.bounds(inputs)
    if not any(end for _, end in bounds.values()):
        return await last_epoch(groups, changelog)
    raise BrokerError(
        "The positions of a task are gone, and its memory is not",
        where=f"group {group}, task {changelog.partition}",
        why="the cluster forgets the positions of a group that has had no members for a week "
        "(offsets.retention.minutes), or somebody has deleted them",
        remedy=f"say where to go on: mainstem groups reset {group}; or delete the group with its "
        f"memory: mainstem groups delete {group}",
    )


async def last_epoch(groups: Groups, changelog: TopicPartition) -> int:
    """That of the last owner of a task; 0 where there has been none."""
    epoch = 0
    async with aclosing(_changes(groups, changelog)) as changes:
        async for change in changes:
            if change.store == OWNER_STORE and change.value is not None:
                epoch = int(change.value)
    return epoch


async def _changes(groups: Groups, changelog: TopicPartition) -> AsyncGenerator[Change, None]:
    """What is committed there. What a first owner has left that died in its first commit is not: it was aborted."""
    start, end = (await groups.topics.bounds([changelog]))[changelog]
    async with aclosing(read(groups.log, {changelog: start}, {changelog: end})) as batches:
        async for batch in batches:
            for key, value in zip(batch.keys, batch.values, strict=True):
                yield change_of(key or b"", value)
