"""The role of the group: joining, and all memberships of a process."""

import asyncio

from mainstem.broker import GroupSpec, Membership
from mainstem.broker.kafka.calls import background
from mainstem.broker.kafka.copies import Restorer
from mainstem.broker.kafka.groups.groups import Groups
from mainstem.broker.kafka.groups.membership import KafkaMembership
from mainstem.errors import BrokerError, NotAllowed
from mainstem.telemetry import log


class KafkaGroup:
    """The role of the group."""

    def __init__(self, groups: Groups, restorer: Restorer | None) -> None:
        """Nobody has joined. Without ``restorer`` stores are written, and not read."""
        self.groups = groups
        self.restorer = restorer
        self._refreshing: asyncio.Task[None] | None = None
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
        for lost in [each for each in self._present() if each.spec.name == spec.name and each.thread.lost]:
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
        membership = KafkaMembership(self.groups, self.restorer, spec, static_id, pinned, folder)
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

    def _present(self) -> list[KafkaMembership]:
        """Those that have not left; the others are let go of."""
        self._memberships = [each for each in self._memberships if not each.left]
        return list(self._memberships)

    async def close(self) -> None:
        """Leave every group."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.gather(self._refreshing, return_exceptions=True)
        for membership in self._present():
            await membership.leave()

    async def _refresh(self) -> None:
        seconds = self.groups.settings.options.refresh_seconds
        while True:
            await asyncio.sleep(seconds / 4)
            for membership in self._present():
                await membership.refresh(seconds)
