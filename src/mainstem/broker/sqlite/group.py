"""Membership and ownership: assignment is a hint, and the epoch in the file is what counts."""

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple

from mainstem.broker import GroupSpec, TopicPartition, inputs_of
from mainstem.broker.sqlite import members
from mainstem.broker.sqlite.admin import Catalogue
from mainstem.broker.sqlite.members import MemberRow
from mainstem.broker.sqlite.transaction import Owner, SqliteTransaction
from mainstem.database import Connection, Database, Neighbours, Step, Write
from mainstem.errors import MainstemError
from mainstem.identifiers import Identifiers
from mainstem.telemetry import log


class Joined(NamedTuple):
    """A group that this process is a member of."""

    number: int
    spec: GroupSpec


class SqliteOwnership:
    """A task that this process owns."""

    def __init__(
        self, database: Database, catalogue: Catalogue, owner: Owner, positions: Mapping[TopicPartition, int]
    ) -> None:
        """As of the take-over."""
        self._database = database
        self._catalogue = catalogue
        self._owner = owner
        self.task = owner.task
        self.epoch = owner.epoch
        self.positions = positions
        self.remembers = True

    def transaction(self) -> SqliteTransaction:
        """A transaction of this task."""
        return SqliteTransaction(self._database, self._catalogue, self._owner)


class SqliteMembership:
    """This process's place in one group."""

    def __init__(self, group: "SqliteGroup", joined: Joined, row: MemberRow) -> None:
        """A member that has joined."""
        self.member = row.member
        self.joined = joined
        self._group = group
        self._static = row.static_id is not None
        self._assigned: frozenset[int] = frozenset()
        self._returned: frozenset[int] | None = None
        self._lost = False
        self._changed = asyncio.Event()
        self.silent = False

    async def assignment(self) -> frozenset[int]:
        """Wait until the assigned tasks differ from what was last returned; they are known from the beginning."""
        while self._assigned == self._returned:
            if self._lost:
                raise members.membership_lost(self.member)
            await self._wait_for_change()
        if self._lost:
            raise members.membership_lost(self.member)
        self._returned = self._assigned
        return self._assigned

    async def confirm(self, task: int) -> bool:
        """Whether the file says that the task is assigned to this member now."""
        with self._group.database.reading() as connection:
            return task in members.assigned_to(connection, self.joined.number, self.member)

    async def take_over(self, task: int) -> SqliteOwnership:
        """Fence every older owner, then read the positions."""
        await self._wait_for_drain(task)
        group, catalogue = self._group, self._group.catalogue

        def take(write: Write) -> tuple[int, Mapping[TopicPartition, int]]:
            epoch = members.take_task(write, self.joined.number, task, self.member)
            return epoch, members.positions(write.connection, self.joined.number, task, catalogue)

        epoch, positions = await group.database.writer.submit(Step(take))
        spec = self.joined.spec
        owner = Owner(
            self.joined.number, spec.name, task, epoch, frozenset(inputs_of(spec.name, task, spec.tasks, spec.inputs))
        )
        return SqliteOwnership(group.database, catalogue, owner, positions)

    async def release(self, task: int) -> None:
        """Give a drained task back."""
        number, member = self.joined.number, self.member
        await self._group.database.writer.submit(Step(lambda write: members.give_back(write, number, task, member)))

    async def decline(self, task: int) -> bool:
        """Give back a task that this member cannot run; False when there is no other one."""
        number, member = self.joined.number, self.member
        return await self._group.database.writer.submit(
            Step(lambda write: members.pass_on(write, number, task, member))
        )

    async def leave(self) -> None:
        """Give everything back and leave; a static member leaves its assignment until the session timeout."""
        number, tasks, member, static = self.joined.number, self.joined.spec.tasks, self.member, self._static

        def leave(write: Write) -> None:
            members.give_all_back(write, number, member)
            if not static:
                members.remove_members(write, number, (member,))
                members.reassign(write, number, tasks)

        self._group.forget(self)
        await self._group.database.writer.submit(Step(leave))
        if not static:
            self._group.neighbours.forget(member)
        self.lose()

    def lose(self) -> None:
        """Be a member no more."""
        self._lost = True
        self._changed.set()

    def refresh(self, connection: Connection) -> None:
        """Read what is assigned now."""
        if not members.is_member(connection, self.joined.number, self.member):
            self._group.forget(self)
            self.lose()
            return
        self._assigned = members.assigned_to(connection, self.joined.number, self.member)
        self._changed.set()

    async def _wait_for_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    async def _wait_for_drain(self, task: int) -> None:
        """Wait for an owner that lives and has not given the task back, but not for ever."""
        try:
            async with asyncio.timeout(self.joined.spec.hand_over_seconds):
                while not self._lost and self._is_draining(task):
                    await self._wait_for_change()
        except TimeoutError:
            log.warning(
                "group %s, task %d: its owner has not given it back within %g s, and is fenced",
                self.joined.spec.name,
                task,
                self.joined.spec.hand_over_seconds,
            )

    def _is_draining(self, task: int) -> bool:
        with self._group.database.reading() as connection:
            owner = members.drains(connection, self.joined.number, task)
            rows = {row.member: row for row in members.members(connection, self.joined.number)}
        if owner is None or owner == self.member or owner not in rows:
            return False
        seen = self._group.neighbours.look(owner)
        return seen.alive and seen.silent_seconds < rows[owner].session_timeout_seconds


class SqliteGroup:
    """The role of the group: who is there is looked up beside the file, and written in it."""

    def __init__(
        self,
        database: Database,
        catalogue: Catalogue,
        neighbours: Neighbours,
        identifiers: Identifiers,
        changed: Callable[[], None],
    ) -> None:
        """``changed`` is called when this process has become a member of something, or ceased to be."""
        self.database = database
        self.catalogue = catalogue
        self.neighbours = neighbours
        self._identifiers = identifiers
        self._changed = changed
        self._memberships: dict[str, SqliteMembership] = {}
        self._expelling: set[str] = set()

    async def join(
        self, spec: GroupSpec, *, static_id: str | None = None, pinned: frozenset[int] | None = None
    ) -> SqliteMembership:
        """Join; creates the group and its inbox topic the first time."""
        row = MemberRow(self._identifiers.new(), static_id, pinned, spec.session_timeout_seconds)
        gone = self._gone(spec.name)

        def enter(write: Write) -> tuple[int, list[str]]:
            number = members.enter_group(write, spec, self.catalogue, self._identifiers)
            members.remove_members(write, number, gone)
            replaced = members.add_member(write, number, row, self.neighbours.process)
            members.reassign(write, number, spec.tasks)
            return number, gone + replaced

        self.neighbours.attend(row.member)
        try:
            number, removed = await self.database.writer.submit(Step(enter))
        except BaseException:
            self.neighbours.depart(row.member)
            self.neighbours.forget(row.member)
            raise
        for member in removed:
            self.neighbours.forget(member)
        membership = SqliteMembership(self, Joined(number, spec), row)
        self._memberships[row.member] = membership
        self._changed()
        self.refresh()
        return membership

    @property
    def beat_seconds(self) -> float | None:
        """How often :meth:`beat` is to be called; None when this process is a member of nothing."""
        timeouts = [each.joined.spec.session_timeout_seconds for each in self._memberships.values()]
        return min(timeouts) / 4 if timeouts else None

    def beat(self, *, look: bool) -> None:
        """Beat the hearts of this process's members; ``look`` for those of others that have died or stand still."""
        for member, membership in self._memberships.items():
            if not membership.silent:
                self.neighbours.beat(member)
        if not look:
            return
        groups = {membership.joined.number: membership.joined for membership in self._memberships.values()}
        for joined in groups.values():
            if gone := self._gone(joined.spec.name):
                self._expel(joined, gone)

    def refresh(self) -> None:
        """Read what is assigned to this process's members now."""
        with self.database.reading() as connection:
            for membership in list(self._memberships.values()):
                membership.refresh(connection)

    def forget(self, membership: SqliteMembership) -> None:
        """Beat no more for a member."""
        if self._memberships.pop(membership.member, None) is not None:
            self.neighbours.depart(membership.member)
            self._changed()

    def silence(self, member: str, *, dead: bool) -> None:
        """Let a member of this process stand still, or die."""
        self._memberships[member].silent = True
        if dead:
            self.neighbours.depart(member)

    def is_alive(self, member: str) -> bool:
        """Whether a member's process is there, as far as its lock tells."""
        return self.neighbours.look(member).alive

    def is_live(self, name: str) -> bool:
        """Whether a group has live members, or static ones that may come back."""
        with self.database.reading() as connection:
            number = members.find_group(connection, name)
            rows = [] if number is None else members.members(connection, number)
        return not all(self._is_gone(row) for row in rows)

    def _gone(self, name: str) -> list[str]:
        """The members of a group that have died, or have not moved for their session timeout."""
        with self.database.reading() as connection:
            number = members.find_group(connection, name)
            rows = [] if number is None else members.members(connection, number)
        return [row.member for row in rows if self._is_gone(row)]

    def _is_gone(self, row: MemberRow) -> bool:
        mine = self._memberships.get(row.member)
        if mine is not None and not mine.silent:
            return False
        seen = self.neighbours.look(row.member)
        if seen.alive or row.static_id is not None:
            return seen.silent_seconds > row.session_timeout_seconds
        return True

    def _expel(self, joined: Joined, silent: list[str]) -> None:
        # The lock may be held for a while, and hearts beat on.
        gone = [member for member in silent if member not in self._expelling]
        if not gone:
            return
        self._expelling.update(gone)

        def expel(write: Write) -> None:
            members.remove_members(write, joined.number, gone)
            members.reassign(write, joined.number, joined.spec.tasks)

        def expelled(written: "asyncio.Future[None]") -> None:
            self._expelling.difference_update(gone)
            if not written.cancelled() and isinstance(error := written.exception(), MainstemError):
                log.warning("group %s: could not expel %s: %s", joined.spec.name, gone, error)
                return
            for member in gone:
                self.neighbours.forget(member)

        log.info("group %s: expelling %s", joined.spec.name, ", ".join(gone))
        self.database.writer.submit(Step(expel)).add_done_callback(expelled)
