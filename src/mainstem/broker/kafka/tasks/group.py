"""Membership and ownership: an assignment is a hint, and the transactional id of the task is what counts."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from functools import partial

from mainstem.broker import COMPLETED_STORE, Change, GroupSpec, Membership, TopicPartition, inputs_of, read
from mainstem.broker.kafka.calls import background
from mainstem.broker.kafka.copies import Restorer, change_of, change_records, changelog_of, named_with
from mainstem.broker.kafka.tasks.groups import Groups, Positions, transactional_id
from mainstem.broker.kafka.tasks.member import Life, MemberThread
from mainstem.broker.kafka.tasks.owner import BY_MEMBER, OWNER_STORE, Owner, Steward, offsets_of
from mainstem.broker.kafka.tasks.producer import Shipment, TransactionalProducer
from mainstem.broker.kafka.tasks.reserve import Reserve
from mainstem.broker.kafka.tasks.transaction import KafkaTransaction, LooseTransaction
from mainstem.clock import Clock
from mainstem.errors import BrokerAway, BrokerError, MembershipLost, NotAllowed, StoreRefused
from mainstem.telemetry import log


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
        group: "KafkaGroup",
        spec: GroupSpec,
        static_id: str | None,
        pinned: frozenset[int] | None,
        folder: str | None,
    ) -> None:
        """Not joined yet. It stands by for others when it says in which ``folder`` it has its copies."""
        self.spec = spec
        self._group = group
        self._pinned = pinned
        self._returned: frozenset[int] | None = None
        self._changed = asyncio.Event()
        self._left = False
        self._owners: dict[int, Owner | Steward] = {}
        self._life = Life(group.clock, spec.session_timeout_seconds, spec.hand_over_seconds)
        settings = group.groups.settings.member(spec, static_id)
        self._reserve: Reserve | None = None
        if folder is not None and group.restorer is not None:
            settings["client.id"] = named_with(str(settings.get("client.id", "mainstem")), folder)
            self._reserve = Reserve(group.groups, group.restorer.standbys, spec, self._had)
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
        if spec.delivery == "at_least_once":
            return await self._look_after(task, where)
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
        positions = await self._positions(inputs, committed)
        bytes_max = (await groups.topics.known(changelog)).record_bytes_max
        now = self._group.clock.monotonic()
        await groups.topics.calls.run(lambda: owner.begin(positions, bytes_max, now), where)
        return KafkaOwnership(groups, owner, task, positions)

    async def _look_after(self, task: int, where: str) -> KafkaOwnership:
        """Take over without fencing a producer, for there is none: the member's generation is what counts."""
        groups, spec = self._group.groups, self.spec
        inputs = inputs_of(spec.name, task, spec.tasks, spec.inputs)
        committed = await groups.positions(spec.name)
        if task not in committed.by_member:
            # Not read again: what was never committed before is told of only when its transaction is through.
            committed = await self._forget(task, inputs, where)
        seconds = groups.settings.options.answer_seconds
        name = transactional_id(spec.name, task)
        steward = Steward(self.thread, name, inputs, committed.epochs.get(task, 0) + 1, seconds)
        self._owners[task] = steward
        positions = await self._positions(inputs, committed)
        now = self._group.clock.monotonic()
        await groups.topics.calls.run(lambda: steward.send(positions, now), where)
        return KafkaOwnership(groups, steward, task, positions)

    async def _positions(self, inputs: Sequence[TopicPartition], committed: Positions) -> dict[TopicPartition, int]:
        """What is committed for a task; its inbox is read from the start where it has never been."""
        positions = {at: committed.offsets[at] for at in inputs if at in committed.offsets}
        if inputs[0] not in positions:
            positions[inputs[0]] = (await self._group.groups.topics.bounds([inputs[0]]))[inputs[0]][0]
        return positions

    async def _forget(self, task: int, inputs: Sequence[TopicPartition], where: str) -> Positions:
        """Fence whoever has owned the task with a producer, once; from now on nothing is remembered."""
        groups, spec = self._group.groups, self.spec
        changelog = TopicPartition(changelog_of(spec.name), task)
        producer = await groups.topics.calls.run(
            lambda: TransactionalProducer(groups.settings, transactional_id(spec.name, task), spec.name), where
        )
        try:
            committed = await groups.positions(spec.name)
            if task not in committed.epochs:
                await self._refuse_forgotten(changelog)
            epoch = committed.epochs.get(task, 0) + 1
            changes = [Change(OWNER_STORE, b"epoch", str(epoch).encode())]
            changes += [Change(COMPLETED_STORE, key, None) for key in await self._completed(changelog)]
            bytes_max = (await groups.topics.known(changelog)).record_bytes_max
            positions = await self._positions(inputs, committed)
            offsets = offsets_of(positions, inputs[0], f"{epoch} {BY_MEMBER}")
            shipment = Shipment([(changelog, change_records(changes), bytes_max)], offsets)
            await groups.topics.calls.run(lambda: producer.send(shipment), where)
            return Positions(positions, {task: epoch})
        finally:
            await groups.topics.calls.run(producer.close, where)

    async def _completed(self, changelog: TopicPartition) -> list[bytes]:
        """The completed sets that a task has left; refused where something waits there that nobody would look after."""
        groups, spec = self._group.groups, self.spec
        rows: dict[str, set[bytes]] = {}
        start, end = (await groups.topics.bounds([changelog]))[changelog]
        async for batch in read(groups.log, {changelog: start}, {changelog: end}):
            for key, value in zip(batch.keys, batch.values, strict=True):
                change = change_of(key or b"", value)
                keys = rows.setdefault(change.store, set())
                keys.discard(change.key) if value is None else keys.add(change.key)
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

    async def _refuse_forgotten(self, changelog: TopicPartition) -> None:
        """Every owner leaves a trace in the changelog, so positions that are not there have been there.

        What a first owner has left that died in its first commit is no trace: it was aborted, and is passed over.
        """
        groups = self._group.groups
        start, end = (await groups.topics.bounds([changelog]))[changelog]
        async with aclosing(read(groups.log, {changelog: start}, {changelog: end})) as batches:
            traces = (batch async for batch in batches if len(batch))
            if await anext(traces, None) is None:
                return
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
            await asyncio.to_thread(owner.lay_down)
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
        if self._reserve is not None:
            await self._reserve.close()
        await asyncio.gather(*(self._let_go(task) for task in list(self._owners)))
        seconds = self._group.groups.settings.options.answer_seconds
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
                await self._group.groups.topics.calls.run(
                    partial(owner.refresh, self._group.clock, seconds), owner.where
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
        if pinned is not None and spec.delivery == "at_least_once":
            raise BrokerError(
                "On Kafka a group that is delivered at least once has no pinned tasks",
                where=f"group {spec.name}",
                why="its positions are moved in the name of a member, and whoever pins tasks is none",
                remedy='leave the tasks to the group, or declare delivery="exactly_once"',
            )
        await self.groups.enter(spec)
        if pinned is None and not self.groups.settings.is_classic(static_id):
            await self._set_session(spec)
        # Whoever pins has the group to itself; whoever is delivered to at least once has no stores.
        stands_by = spec.standbys > 0 and pinned is None and spec.delivery == "exactly_once"
        folder = await self.restorer.identity() if stands_by and self.restorer is not None else None
        membership = KafkaMembership(self, spec, static_id, pinned, folder)
        self._memberships.append(membership)
        if self._refreshing is None:
            self._refreshing = background(self._refresh(), "mainstem kafka positions")
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
