"""Membership and ownership: an assignment is a hint, and the transactional id of the task is what counts."""

import asyncio
from collections.abc import Mapping
from functools import partial

from mainstem.broker import GroupSpec, Membership, TopicPartition, inputs_of
from mainstem.broker.kafka.tasks.changelog import changelog_of
from mainstem.broker.kafka.tasks.groups import Groups, transactional_id
from mainstem.broker.kafka.tasks.member import Life, MemberThread
from mainstem.broker.kafka.tasks.owner import Owner
from mainstem.broker.kafka.tasks.producer import TransactionalProducer
from mainstem.broker.kafka.tasks.restore import Restorer
from mainstem.broker.kafka.tasks.transaction import KafkaTransaction
from mainstem.clock import Clock
from mainstem.errors import BrokerAway, BrokerError, MembershipLost, NotAllowed
from mainstem.telemetry import log


class KafkaOwnership:
    """A task that this process owns."""

    def __init__(self, groups: Groups, owner: Owner, task: int, positions: Mapping[TopicPartition, int]) -> None:
        """As of the take-over."""
        self._groups = groups
        self._owner = owner
        self.task = task
        self.epoch = owner.epoch
        self.positions = positions

    def renumber(self, epoch: int) -> None:
        """Count on from an epoch that the task has had elsewhere; the next commit records it."""
        self.epoch = self._owner.epoch = max(epoch, self.epoch)

    def transaction(self) -> KafkaTransaction:
        """A transaction of this task."""
        return KafkaTransaction(self._groups.topics, self._owner)


class KafkaMembership:
    """This process's place in one group. With pins it is known to nobody: the pins are its assignment."""

    def __init__(
        self, group: "KafkaGroup", spec: GroupSpec, static_id: str | None, pinned: frozenset[int] | None
    ) -> None:
        """Not joined yet."""
        self.spec = spec
        self._group = group
        self._pinned = pinned
        self._returned: frozenset[int] | None = None
        self._changed = asyncio.Event()
        self._left = False
        self._owners: dict[int, Owner] = {}
        self._life = Life(group.clock, spec.session_timeout_seconds, spec.hand_over_seconds)
        settings = group.groups.settings.member(spec, static_id)
        self.thread = MemberThread(settings, spec.inbox, self._life, self._changed.set)
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
        return task in (await self._group.groups.members(self.spec.name)).get(self.member, ())

    async def take_over(self, task: int) -> KafkaOwnership:
        """Fence every older owner, abort what it has open, then read the positions."""
        self._look()
        groups, spec = self._group.groups, self.spec
        if not 0 <= task < spec.tasks:
            raise BrokerError(f"The group has no task {task}", where=f"member {self.member}")
        self.thread.own(task)
        where = f"group {spec.name}, task {task}"
        await self._let_go(task)
        producer = await groups.topics.calls.run(
            lambda: TransactionalProducer(groups.settings, transactional_id(spec.name, task), spec.name), where
        )
        committed = await groups.positions(spec.name)
        inputs = inputs_of(spec.name, task, spec.tasks, spec.inputs)
        changelog = TopicPartition(changelog_of(spec.name), task)
        owner = Owner(producer, inputs, changelog, committed.epochs.get(task, 0) + 1)
        self._owners[task] = owner
        if task not in committed.epochs:
            await self._refuse_forgotten(changelog)
        if self._group.restorer is not None:
            owner.copy = await self._group.restorer.restore(spec.name, changelog)
        positions = {at: committed.offsets[at] for at in inputs if at in committed.offsets}
        if inputs[0] not in positions:
            positions[inputs[0]] = (await groups.topics.bounds([inputs[0]]))[inputs[0]][0]
        bytes_max = (await groups.topics.known(changelog)).record_bytes_max
        now = self._group.clock.monotonic()
        await groups.topics.calls.run(lambda: owner.begin(positions, bytes_max, now), where)
        return KafkaOwnership(groups, owner, task, positions)

    async def _refuse_forgotten(self, changelog: TopicPartition) -> None:
        """Every owner leaves a trace in the changelog, so positions that are not there have been there."""
        start, end = (await self._group.groups.topics.bounds([changelog]))[changelog]
        if end > start:
            raise BrokerError(
                "The positions of a task are gone, and its memory is not",
                where=f"group {self.spec.name}, task {changelog.partition}",
                why="the cluster forgets the positions of a group that has had no members for a week "
                "(offsets.retention.minutes), or somebody has deleted them",
                remedy=f"say where to go on: mainstem groups reset {self.spec.name}; or delete the group with its "
                f"memory: mainstem groups delete {self.spec.name}",
            )

    async def release(self, task: int) -> None:
        """Let the revocation of a drained task go on. Its producer is kept until the task comes back, or we leave."""
        owner = self._owners.get(task)
        if owner is not None:
            await self._group.groups.topics.calls.run(owner.lay_down, owner.where)
        self.thread.release(task)

    async def decline(self, _task: int) -> bool:
        """Not possible here: the assignor cannot be told, so the task would come back to this member."""
        return False

    async def leave(self) -> None:
        """Give everything back and leave the group."""
        if self._left:
            return
        self._left = True
        self._life.end()
        self._group.forget(self)
        for task in list(self._owners):
            await self._let_go(task)
        if self._pinned is None:
            await asyncio.to_thread(self.thread.close)
        self.thread.lost = self.thread.lost or "it has left"
        self._changed.set()

    async def _let_go(self, task: int) -> None:
        owner = self._owners.pop(task, None)
        if owner is not None:
            await self._group.groups.topics.calls.run(owner.close, owner.where)

    async def refresh(self, seconds: float) -> None:
        """Commit the positions of tasks that have stood still for so long."""
        for owner in list(self._owners.values()):
            try:
                await self._group.groups.topics.calls.run(
                    partial(owner.refresh, self._group.clock, seconds), owner.where
                )
            except BrokerError as error:
                log.warning("the positions of a task that stands still could not be committed again: %s", error)

    def _assigned(self) -> frozenset[int]:
        return self.thread.assigned if self._pinned is None else self._pinned

    def _look(self) -> None:
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


class KafkaGroup:
    """The role of the group."""

    def __init__(self, groups: Groups, clock: Clock, restorer: Restorer | None) -> None:
        """Nobody has joined. Without ``restorer`` stores are written, and not read."""
        self.groups = groups
        self.restorer = restorer
        self._refreshing: asyncio.Task[None] | None = None
        self.clock = clock
        self._memberships: list[KafkaMembership] = []

    async def join(
        self, spec: GroupSpec, *, static_id: str | None = None, pinned: frozenset[int] | None = None
    ) -> Membership:
        """Join; creates the group, its inbox and its changelog the first time."""
        if pinned is not None and len(pinned) < spec.tasks and await self.groups.members(spec.name):
            raise BrokerError(
                "On Kafka a member pins all tasks of its group, or has the group to itself",
                where=f"group {spec.name}, tasks {', '.join(map(str, sorted(pinned)))} of {spec.tasks}",
                why="nothing would keep the group from giving the pinned tasks to other members",
                remedy="leave the tasks to the group, or run one process with all of them",
            )
        for lost in [each for each in self._memberships if each.spec.name == spec.name and each.thread.lost]:
            await lost.leave()  # it may still hold producers, and local copies that are needed now
        await self.groups.enter(spec)
        if pinned is None and not self.groups.settings.is_classic(static_id):
            await self._set_session(spec)
        membership = KafkaMembership(self, spec, static_id, pinned)
        self._memberships.append(membership)
        if self._refreshing is None:
            self._refreshing = asyncio.create_task(self._refresh(), name="mainstem kafka positions")
        await membership.join(self.groups.settings.options.answer_seconds * 2)
        return membership

    async def _set_session(self, spec: GroupSpec) -> None:
        try:
            if await self.groups.session_differs(spec):
                await self.groups.set_session(spec)
        except NotAllowed as error:
            log.warning("whoever dies may be replaced at another time than the settings say: %s", error)

    def forget(self, membership: KafkaMembership) -> None:
        """It has left."""
        if membership in self._memberships:
            self._memberships.remove(membership)

    async def close(self) -> None:
        """Leave every group."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.gather(self._refreshing, return_exceptions=True)
        for membership in list(self._memberships):
            await membership.leave()

    async def _refresh(self) -> None:
        seconds = self.groups.settings.options.refresh_seconds
        while True:
            await asyncio.sleep(seconds / 4)
            for membership in list(self._memberships):
                await membership.refresh(seconds)
