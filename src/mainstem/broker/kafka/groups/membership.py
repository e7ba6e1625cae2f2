"""Membership and ownership: an assignment is a hint, and the transactional id of the task is what counts."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from msgspec.structs import replace

from mainstem.broker import COMPLETED_STORE, Change, GroupSpec, TopicPartition, changelog_of, inputs_of
from mainstem.broker.kafka.copies import Restorer, change_records, named_with
from mainstem.broker.kafka.groups.groups import Groups
from mainstem.broker.kafka.groups.memory import completed_sets, epoch_without_positions
from mainstem.broker.kafka.groups.reserve import Reserve
from mainstem.broker.kafka.producers import Shipment, TransactionalProducer, fencing, transactional_id
from mainstem.broker.kafka.tasks import (
    BY_MEMBER,
    OWNER_STORE,
    KafkaTransaction,
    Life,
    LooseTransaction,
    MemberThread,
    Owner,
    Positions,
    Steward,
    offsets_of,
)
from mainstem.errors import BrokerAway, BrokerError, MembershipLost
from mainstem.telemetry import log

LEAVE_SECONDS: Final = 5.0
"""A cluster that does not take a leave in so long hears of it by the session timeout."""


class KafkaOwnership:
    """A task that this process owns."""

    def __init__(
        self, groups: Groups, owner: Owner | Steward, task: int, positions: Mapping[TopicPartition, int]
    ) -> None:
        """As of the take-over."""
        self._groups = groups
        self._owner = owner
        self.task = task
        self.epoch = owner.epoch
        self.positions = positions
        self.remembers = isinstance(owner, Owner)

    def renumber(self, epoch: int) -> None:
        """Count on from an epoch that the task has had elsewhere; the next commit records it."""
        self.epoch = self._owner.epoch = max(epoch, self.epoch)

    def transaction(self) -> KafkaTransaction | LooseTransaction:
        """A transaction of this task."""
        if isinstance(self._owner, Steward):
            return LooseTransaction(self._groups.topics, self._groups.log, self._owner)
        return KafkaTransaction(self._groups.topics, self._owner)


class KafkaMembership:
    """This process's place in one group. With pins it is known to nobody: the pins are its assignment."""

    def __init__(
        self,
        groups: Groups,
        restorer: Restorer | None,
        spec: GroupSpec,
        static_id: str | None,
        pinned: frozenset[int] | None,
        folder: str | None,
    ) -> None:
        """Not joined yet. It stands by for others when it says in which ``folder`` it has its copies."""
        self.spec = spec
        self._groups = groups
        self._restorer = restorer
        self.left = False
        self._pinned = pinned
        self._returned: frozenset[int] | None = None
        self._changed = asyncio.Event()
        self._owners: dict[int, Owner | Steward] = {}
        self._life = Life(groups.topics.clock, spec.session_timeout_seconds, spec.hand_over_seconds)
        settings = groups.settings.member(spec, static_id)
        self._reserve: Reserve | None = None
        if folder is not None and restorer is not None:
            settings["client.id"] = named_with(str(settings["client.id"]), folder)
            self._reserve = Reserve(groups, restorer.standbys, spec, self._had)
        self.thread = MemberThread(settings, spec.inbox, self._life, self._hear)
        self.member = ""

    async def join(self, seconds: float) -> None:
        """Wait until the group has given this member a name."""
        if self._pinned is not None:
            self.member = f"pinned to {', '.join(map(str, sorted(self._pinned)))}"
            return
        self._life.begin()
        self.thread.start()
        try:
            async with asyncio.timeout(seconds):
                while not self.thread.member:
                    self._look()
                    await self._wait_for_change()
        except TimeoutError:
            await self.leave()
            raise BrokerAway(
                "The group does not let this member in",
                where=f"group {self.spec.name}",
                why=f"it has not answered within {seconds:g} s",
                remedy="look whether the brokers run, and whether other members of the group hang",
            ) from None
        self.member = self.thread.member
        if self._reserve is not None:
            self._reserve.start(lambda: self.thread.member)

    async def assignment(self) -> frozenset[int]:
        """Wait until the assigned tasks differ from what was last returned."""
        while True:
            self._look()
            assigned = self._assigned()
            if assigned != self._returned and (assigned or self.thread.told or self._pinned is not None):
                self._returned = assigned
                return assigned
            await self._wait_for_change()

    async def confirm(self, task: int) -> bool:
        """Ask the coordinator whether the task is assigned to this member now."""
        if self._pinned is not None:
            return task in self._pinned
        if self.thread.lost is not None:
            return False
        # Whoever was expelled before it was given anything has joined again by itself, under another name.
        self.member = self.thread.member or self.member
        return task in (await self._groups.members(self.spec.name)).get(self.member, ())

    async def take_over(self, task: int) -> KafkaOwnership:
        """Fence every older owner, abort what it has open, then read the positions."""
        self._look()
        groups, spec = self._groups, self.spec
        if not 0 <= task < spec.tasks:
            raise BrokerError(f"The group has no task {task}", where=f"member {self.member}")
        self.thread.own(task)
        where = f"group {spec.name}, task {task}"
        await self._let_go(task)
        if spec.delivery == "at_least_once":
            return await self._look_after(task, where)
        producer = await groups.topics.calls.run(
            lambda: TransactionalProducer(groups.settings, transactional_id(spec.name, task), spec.name), where
        )
        inputs = inputs_of(spec.name, task, spec.tasks, spec.inputs)
        committed = await self._committed(inputs, where)
        changelog = TopicPartition(changelog_of(spec.name), task)
        owner = Owner(producer, committed.topic_ids, changelog, committed.epochs.get(task, 0) + 1)
        self._owners[task] = owner
        if task not in committed.epochs:
            owner.epoch += await epoch_without_positions(groups, spec.name, inputs, changelog)
        if self._restorer is not None:
            owner.copy = await self._restorer.restore(spec.name, changelog)
        positions = await self._positions(inputs, committed)
        bytes_max = (await groups.topics.known(changelog)).record_bytes_max
        now = self._groups.topics.clock.monotonic()
        await groups.topics.calls.commit(lambda: owner.begin(positions, bytes_max, now), owner.where, BrokerAway)
        return KafkaOwnership(groups, owner, task, positions)

    async def _look_after(self, task: int, where: str) -> KafkaOwnership:
        """Take over without fencing a producer, for there is none: the member's generation is what counts."""
        groups, spec = self._groups, self.spec
        inputs = inputs_of(spec.name, task, spec.tasks, spec.inputs)
        committed = await self._committed(inputs, where)
        if task not in committed.by_member:
            # Not read again: what was never committed before is told of only when its transaction is through.
            committed = await self._forget(task, inputs, where)
        seconds = groups.settings.options.answer_seconds
        name = transactional_id(spec.name, task)
        steward = Steward(self.thread, name, committed.topic_ids, committed.epochs.get(task, 0) + 1, seconds)
        self._owners[task] = steward
        positions = await self._positions(inputs, committed)
        now = self._groups.topics.clock.monotonic()
        await groups.topics.calls.run(lambda: steward.send(positions, now), where)
        return KafkaOwnership(groups, steward, task, positions)

    async def _committed(self, inputs: Sequence[TopicPartition], where: str) -> Positions:
        """What is committed, but for a topic that is another one now; with the ids of the topics that are there now."""
        committed = await self._groups.positions(self.spec.name, inputs)
        there = await self._groups.topic_ids({at.topic for at in inputs})
        outlived = [at for at in committed.outlived(there) if at in inputs]
        for at in outlived:
            log.warning(
                "%s: the topic of %s[%d] was deleted and created again: the position %d in the older one says nothing",
                where,
                *at,
                committed.offsets[at],
            )
        topic_ids = {at: there.get(at.topic, committed.topic_ids.get(at, "")) for at in inputs}
        return replace(committed.without(outlived), topic_ids=topic_ids)

    async def _positions(self, inputs: Sequence[TopicPartition], committed: Positions) -> dict[TopicPartition, int]:
        """What is committed for a task; its inbox is read from the start where it has never been."""
        positions = {at: committed.offsets[at] for at in inputs if at in committed.offsets}
        if inputs[0] not in positions:
            positions[inputs[0]] = (await self._groups.topics.bounds([inputs[0]]))[inputs[0]][0]
        return positions

    async def _forget(self, task: int, inputs: Sequence[TopicPartition], where: str) -> Positions:
        """Fence whoever has owned the task with a producer, once; from now on nothing is remembered."""
        groups, spec = self._groups, self.spec
        changelog = TopicPartition(changelog_of(spec.name), task)
        async with fencing(
            groups.topics.calls, groups.settings, transactional_id(spec.name, task), spec.name
        ) as producer:
            committed = await self._committed(inputs, where)
            before = committed.epochs.get(task)
            if before is None:
                before = await epoch_without_positions(groups, spec.name, inputs, changelog)
            epoch = before + 1
            changes = [Change(OWNER_STORE, b"epoch", str(epoch).encode())]
            changes += [Change(COMPLETED_STORE, key, None) for key in await completed_sets(groups, spec, changelog)]
            bytes_max = (await groups.topics.known(changelog)).record_bytes_max
            positions = await self._positions(inputs, committed)
            offsets = offsets_of(positions, committed.topic_ids, f"{epoch} {BY_MEMBER}")
            shipment = Shipment([(changelog, change_records(changes), bytes_max)], offsets)
            await groups.topics.calls.run(lambda: producer.send(shipment), where)
            return Positions(positions, {task: epoch}, topic_ids=committed.topic_ids)

    async def release(self, task: int) -> None:
        """Let the revocation of a drained task go on. Its producer is kept until the task comes back, or we leave."""
        owner = self._owners.get(task)
        if owner is not None:
            await asyncio.to_thread(owner.lay_down)
        self.thread.release(task)

    async def decline(self, _task: int) -> bool:
        """Not possible here: the assignor cannot be told, so the task would come back to this member."""
        return False

    async def leave(self) -> None:
        """Give everything back and leave the group."""
        if self.left:
            return
        self.left = True
        self._life.end()
        if self._reserve is not None:
            await self._reserve.close()
        await asyncio.gather(*(self._let_go(task) for task in list(self._owners)))
        seconds = min(LEAVE_SECONDS, self._groups.settings.options.answer_seconds)
        if self._pinned is None and not await asyncio.to_thread(self.thread.close, seconds):
            log.warning("%s has not let go of its membership within %g s, and is left alone", self.member, seconds)
        self.thread.lost = self.thread.lost or "it has left"
        self._changed.set()

    async def _let_go(self, task: int) -> None:
        owner = self._owners.pop(task, None)
        if owner is not None:
            # Not through the calls: those that hang may hold all of their threads, and this must not wait for them.
            await asyncio.to_thread(owner.close)

    async def refresh(self, seconds: float) -> None:
        """Commit the positions of tasks that have stood still for so long."""
        for owner in list(self._owners.values()):
            try:
                await self._groups.topics.calls.run(
                    partial(owner.refresh, self._groups.topics.clock, seconds), owner.where
                )
            except BrokerError as error:
                log.warning("the positions of a task that stands still could not be committed again: %s", error)

    def _hear(self) -> None:
        self._changed.set()
        if self._reserve is not None:
            self._reserve.hear()

    def _had(self) -> frozenset[int]:
        """What is owned here, or will be next."""
        return self.thread.assigned | {
            task for task, owner in self._owners.items() if isinstance(owner, Owner) and owner.copy is not None
        }

    def _assigned(self) -> frozenset[int]:
        return self.thread.assigned if self._pinned is None else self._pinned

    def _look(self) -> None:
        if self.thread.denied is not None:
            raise self.thread.denied
        if self.thread.lost is not None:
            raise MembershipLost(
                "The group has expelled this member",
                where=f"group {self.spec.name}, member {self.member or 'without a name yet'}",
                why=self.thread.lost,
                remedy="join again; look for a handler that blocks the event loop",
            )

    async def _wait_for_change(self) -> None:
        self._changed.clear()
        if self.thread.lost is None:
            await self._changed.wait()
