"""Who plays in the rules: members that follow their assignment, and tasks that they own."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from msgspec.structs import replace

from mainstem.broker import Broker, Change, GroupSpec, Membership, Ownership, Record, TopicPartition, Transaction
from mainstem.errors import MainstemError, MembershipLost
from mainstem.testing.conformance.broker.stage import Stage


class Member:
    """A well-behaved member: it follows its assignment and gives back at once what it has lost."""

    def __init__(self, membership: Membership) -> None:
        """Follow from now on."""
        self.membership = membership
        self.assigned: frozenset[int] = frozenset()
        self.history: list[frozenset[int]] = []
        self.lost: MembershipLost | None = None
        self._following = asyncio.ensure_future(self._follow())

    async def _follow(self) -> None:
        try:
            while True:
                assigned = await self.membership.assignment()
                for task in self.assigned - assigned:
                    await self.membership.release(task)
                self.assigned = assigned
                self.history.append(assigned)
        except MembershipLost as lost:
            self.assigned = frozenset()
            self.lost = lost

    def keeps(self) -> Callable[[], bool]:
        """A question to be asked later: whether nothing that is assigned now has been taken away in between."""
        had, known = self.assigned, len(self.history)
        return lambda: all(had <= assigned for assigned in self.history[known:])

    async def unfollow(self) -> None:
        """Look no more; the membership stays."""
        self._following.cancel()
        with suppress(asyncio.CancelledError, MainstemError):
            await self._following

    async def leave(self) -> None:
        """Leave the group as a process that ends in good order."""
        await self.unfollow()
        self.assigned = frozenset()
        await self.membership.leave()


class Task:
    """A task that a member owns, or believes it owns."""

    def __init__(self, group: GroupSpec, ownership: Ownership) -> None:
        """``inputs`` are all the partitions that the task reads, its inbox first."""
        self.ownership = ownership
        self.inputs = [TopicPartition(group.inbox, ownership.task)]
        for topic, count in group.inputs.items():
            self.inputs += [TopicPartition(topic, partition) for partition in range(ownership.task, count, group.tasks)]

    @property
    def positions(self) -> dict[TopicPartition, int]:
        """A position for every input, as of the take-over."""
        return {at: self.ownership.positions.get(at, 0) for at in self.inputs}

    def transaction(
        self,
        *,
        facts: Mapping[TopicPartition, Sequence[Record]] | None = None,
        changes: Iterable[Change] = (),
        moved: Mapping[TopicPartition, int] | None = None,
    ) -> Transaction:
        """A transaction with these contents; it names every input, ``moved`` or where it was."""
        transaction = self.ownership.transaction()
        for at, records in (facts or {}).items():
            transaction.append(at, records)
        transaction.changes(changes)
        transaction.positions({**self.positions, **(moved or {})})
        return transaction


def assigned(*members: Member) -> list[int]:
    """The tasks that are assigned to these members, as often as they are."""
    return [task for member in members for task in member.assigned]


def new_group(
    stage: Stage, label: str = "billing", *, tasks: int = 1, inputs: Mapping[str, int] | None = None
) -> GroupSpec:
    """What to join a new group with; ``inputs`` are topics that are there, with their partition counts."""
    name, service = stage.harness.name(label), stage.harness.name("service")
    claims = stage.capabilities
    return GroupSpec(name, service, tasks, inputs or {}, claims.session_timeout_seconds, claims.grace_seconds)


def loose(group: GroupSpec) -> GroupSpec:
    """The same group, at least once."""
    return replace(group, delivery="at_least_once")


async def join(
    stage: Stage,
    group: GroupSpec,
    *,
    on: Broker | None = None,
    static_id: str | None = None,
    pinned: frozenset[int] | None = None,
) -> Member:
    """A new member that follows its assignment."""
    member = Member(await (on or stage.broker).group.join(group, static_id=static_id, pinned=pinned))
    stage.at_close(member.unfollow)
    return member


async def sole_member(stage: Stage, group: GroupSpec, *, on: Broker | None = None) -> Member:
    """A new member to whom all tasks are assigned."""
    member = await join(stage, group, on=on)
    await shared(stage, member, tasks=range(group.tasks))
    return member


async def shared(stage: Stage, *members: Member, tasks: Iterable[int]) -> None:
    """Wait until each of the tasks is assigned to exactly one of the members, fairly."""
    wanted = sorted(tasks)

    def fair() -> bool:
        sizes = [len(member.assigned) for member in members]
        return sorted(assigned(*members)) == wanted and max(sizes) - min(sizes) <= 1

    await stage.until(fair)


async def take_over(member: Member, group: GroupSpec, task: int = 0) -> Task:
    """Make the member the task's owner, assigned or not."""
    return Task(group, await member.membership.take_over(task))


async def committed(stage: Stage, group: GroupSpec) -> Mapping[TopicPartition, int]:
    """The committed positions of a group, as its description has them."""
    return (await stage.broker.admin.groups([group.name]))[group.name].positions
