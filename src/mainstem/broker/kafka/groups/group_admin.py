"""The verbs that change groups, or describe them: for groups that nobody runs."""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager, suppress

from mainstem.broker import (
    COMPLETED_STORE,
    Change,
    GroupDescription,
    TopicPartition,
    changelog_of,
    completed_key,
    inbox_of,
)
from mainstem.broker.kafka.copies import change_records
from mainstem.broker.kafka.groups.groups import Groups
from mainstem.broker.kafka.groups.memory import last_epoch
from mainstem.broker.kafka.groups.registry import Registered
from mainstem.broker.kafka.producers import Shipment, TransactionalProducer, fencing, transactional_id
from mainstem.broker.kafka.tasks import Positions, offsets_of
from mainstem.broker.kafka.topics import TopicAdmin
from mainstem.errors import BrokerError, NotAllowed, UnknownTopic


class GroupAdmin:
    """The verbs of groups."""

    def __init__(self, groups: Groups, admin: TopicAdmin) -> None:
        self._groups = groups
        self._admin = admin

    async def groups(self, names: Iterable[str] | None = None) -> Mapping[str, GroupDescription]:
        """Describe these groups, or all."""
        registered = await self._groups.registry.registered()
        wanted = registered.keys() if names is None else set(names) & registered.keys()
        names = sorted(wanted)
        found = await asyncio.gather(*(self._groups.positions(name, stable=False) for name in names))
        topic_ids: dict[str, str] = {}
        with suppress(NotAllowed):  # whoever may look at groups may not be one who may look at what they read
            topic_ids = await self._groups.topic_ids({at.topic for each in found for at in each.topic_ids})
        described = await asyncio.gather(
            *(
                self._describe(name, registered[name], each.without(each.outlived(topic_ids)))
                for name, each in zip(names, found, strict=True)
            )
        )
        return {each.name: each for each in described}

    async def reset(self, group: str, positions: Mapping[TopicPartition, int]) -> None:
        """Move positions of a group that has no live member, and drop the completed sets that belong to them."""
        registered = await self._unattended(group)
        for at in positions:
            await self._groups.topics.known(at)
        before = await self._groups.positions(group)
        inbox = inbox_of(group)
        moved: dict[int, dict[TopicPartition, int]] = {}
        for at, offset in positions.items():
            task = at.partition if at.topic == inbox else at.partition % registered.tasks
            moved.setdefault(task, {})[at] = offset
        for task, own in moved.items():
            inbox_at = TopicPartition(inbox, task)
            if inbox_at not in own:
                start, _ = (await self._groups.topics.bounds([inbox_at]))[inbox_at]
                own[inbox_at] = before.offsets.get(inbox_at, start)
            epoch = before.epochs.get(task)
            if epoch is None:
                epoch = await last_epoch(self._groups, TopicPartition(changelog_of(group), task))
            await self._move(group, task, own, epoch + 1)

    async def delete_group(self, group: str) -> None:
        """Forget a group that has no live member: positions, stores and inbox.

        It is several steps. Cut off between two of them it is recorded as begun: nobody joins, and the next deletion
        does all of them again.
        """
        registered = await self._unattended(group)
        await self._groups.registry.end(group, ending=True)
        try:
            await self._unattended(group)
        except BrokerError:
            # Somebody has joined just before it was recorded.
            await self._groups.registry.end(group, ending=False)
            raise
        for task in range(registered.tasks):
            async with self._fencing(group, task):
                pass
        await self._delete_positions(group)
        for topic in (inbox_of(group), changelog_of(group)):
            with suppress(UnknownTopic):
                await self._admin.delete(topic)
        await self._groups.registry.forget(group)

    async def _delete_positions(self, group: str) -> None:
        try:
            await self._groups.coordinators.ask(
                lambda client, seconds: client.delete_consumer_groups([group], request_timeout=seconds)[group],
                f"group {group}",
            )
        except BrokerError as error:
            # It has never committed anything, or the positions have expired. Any other error would leave them to a
            # group of the same name, which has none of the memory that belongs to them.
            if "GROUP_ID_NOT_FOUND" not in error.why:
                raise

    async def _unattended(self, group: str) -> Registered:
        registered = (await self._groups.registry.registered()).get(group)
        if registered is None:
            raise BrokerError(f"There is no group {group!r}", remedy="mainstem groups list shows those that are there")
        members = await self._groups.members(group)
        if members:
            raise BrokerError(
                f"The group {group!r} has live members",
                where=", ".join(sorted(members)),
                why="they would go on from where they are",
                remedy="stop them first",
            )
        return registered

    async def _move(self, group: str, task: int, own: Mapping[TopicPartition, int], epoch: int) -> None:
        groups = self._groups
        changelog = TopicPartition(changelog_of(group), task)
        known = await groups.topics.known(changelog)
        dropped = change_records(Change(COMPLETED_STORE, completed_key(at), None) for at in own)
        inbox = TopicPartition(inbox_of(group), task)
        topic_ids = await groups.topic_ids({at.topic for at in own})
        offsets = offsets_of(own, {at: topic_ids.get(at.topic, "") for at in (inbox, *own)}, str(epoch))
        shipment = Shipment([(changelog, dropped, known.record_bytes_max)], offsets)
        async with self._fencing(group, task) as producer:
            await groups.topics.calls.run(lambda: producer.send(shipment), f"group {group}, task {task}")

    def _fencing(self, group: str, task: int) -> AbstractAsyncContextManager[TransactionalProducer]:
        groups = self._groups
        return fencing(groups.topics.calls, groups.settings, transactional_id(group, task), group)

    async def _describe(self, name: str, registered: Registered, positions: Positions) -> GroupDescription:
        seats = await self._groups.seats(name)
        owners = {task: seat.member for seat in seats for task in seat.tasks}
        tasks = range(registered.tasks)
        return GroupDescription(
            name,
            registered.service,
            registered.tasks,
            registered.inputs,
            tuple(sorted(seat.member for seat in seats)),
            tuple(owners.get(task) for task in tasks),
            tuple(positions.epochs.get(task, 0) for task in tasks),
            positions.offsets,
            len({seat.folder for seat in seats} - {None}),
        )
