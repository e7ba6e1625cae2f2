"""Membership: which tasks this process runs, from one assignment to the next.

An assignment is a hint. Before a task is taken over, and after it has been lost, the group itself is asked whether
the task is ours; three losses in a row, with nothing done between them while the membership stays the same, mean that
something else is wrong, and end it. On a full disk a task pauses until there is room, and where the broker does not
answer until it does. A task that a newer process has run is given back; when there is nobody to give it to, that ends
it too.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

from mainstem.broker import GroupSpec, Membership, Ownership, TopicPartition
from mainstem.delivery.failures import warn_of_look_alikes
from mainstem.delivery.group.losses import Losses
from mainstem.delivery.group.rests import Rests
from mainstem.delivery.ledger import Runnable
from mainstem.delivery.measures import LOSSES, TAKEOVERS, Waits
from mainstem.delivery.plan import Plan
from mainstem.delivery.tasks import Environment, Task
from mainstem.errors import (
    BrokerAway,
    BrokerError,
    CommitRefused,
    CommitUnknown,
    DiskFull,
    Fenced,
    IncarnationOver,
    MembershipLost,
    Outdated,
)
from mainstem.state import FoldedRows, Rows
from mainstem.telemetry import ERROR_TYPE, GROUP, log

ASKS_IN_A_SESSION = 4
"""How often in a session timeout a task that seems to be ours, and is not, is asked for."""
JOIN_AT_THE_END_SECONDS = 2.0
"""A group that is just being joined when everything is to end has so long, so that its others hear of it."""
RowsOf = Callable[[int], Rows]
"""Gives the committed rows of a task."""


Incarnate = Callable[[Ownership, Callable[[], None]], Runnable]
"""Makes a task of an ownership; what is given beside it is to be called when the first positions are committed."""


class GroupRunner:
    """Runs a group's tasks in this process until it is drained."""

    def __init__(
        self, plan: Plan, rows_of: RowsOf, environment: Environment, incarnate: Incarnate | None = None
    ) -> None:
        """``incarnate`` makes what reads a task; unless it is given, that hands events to handlers."""
        self._plan = plan
        self._incarnate = incarnate or self._with_handlers
        self._rows_of = rows_of
        self._environment = environment
        self._tasks: dict[int, Runnable] = {}
        self._running: dict[int, asyncio.Task[None]] = {}
        self._losses = Losses(plan.group)
        self._assigned: frozenset[int] | None = None
        self._standing = asyncio.Event()
        self._news = asyncio.Event()
        self._failed: asyncio.Future[None] | None = None
        self._draining = asyncio.Event()
        self._joining: asyncio.Timeout | None = None
        self.waits = Waits(environment.clock)
        self._rests = Rests(plan.group, environment, self._tasks, self._draining, self.waits)

    def drain(self) -> None:
        """Give everything back in order; :meth:`run` returns when that is done."""
        self._draining.set()
        if self._joining is not None:
            # What it would be given it would only give back; and it may wait for others, or a broker, for long.
            seconds = min(JOIN_AT_THE_END_SECONDS, self._environment.settings.session_timeout_seconds)
            self._joining.reschedule(asyncio.get_running_loop().time() + seconds)

    @property
    def name(self) -> str:
        """Of the group."""
        return self._plan.group

    @property
    def tasks(self) -> dict[int, Runnable]:
        """The tasks that this process owns now."""
        return dict(self._tasks)

    @property
    def stands(self) -> bool:
        """Whether it is known which tasks are to be run here, and each has once committed its first positions."""
        return self._standing.is_set()

    @property
    def draining(self) -> bool:
        """Whether everything is given back."""
        return self._draining.is_set()

    async def run(self) -> None:
        """Join, run what is assigned, leave. Raises what no new incarnation can mend."""
        settings = self._environment.settings
        spec = self._plan.spec(settings)
        warn_of_look_alikes({each.name: each.retry for each in self._plan.processors})
        self._failed = asyncio.get_running_loop().create_future()
        # Also where nobody comes to ask any more, because something else has ended the group first.
        self._failed.add_done_callback(lambda failed: failed.cancelled() or failed.exception())
        while not self._draining.is_set():
            membership = await self._join(spec)
            if membership is None:
                continue
            self.waits.note(None, "to hear which tasks are its own, from the others of the group or who keeps it")
            try:
                await self._follow(membership)
            except MembershipLost as error:
                # Expelled, for instance after a long stall: whoever took over has fenced us, so nothing is lost.
                log.warning("group %r: %s, for %s; it joins again", self._plan.group, error.what, error.why)
                await self._abandon()
                if settings.static_id is not None:
                    # It may be that another process has the name now; to join again would take its tasks, and so on.
                    raise
            except BaseException:
                await self._abandon()
                await asyncio.shield(_left(membership))
                raise
            else:
                await _left(membership)
        if self._failed.done():
            self._failed.result()

    async def _join(self, spec: GroupSpec) -> Membership | None:
        """None where the broker does not answer for now, or everything is given back before."""
        group, settings = self._environment.broker.group, self._environment.settings
        self.waits.note(None, "to be let in by the group")
        try:
            async with asyncio.timeout(None) as limit:
                self._joining = limit
                try:
                    membership = await group.join(spec, static_id=settings.static_id, pinned=settings.pinned)
                finally:
                    self._joining = None
            self._rests.answered(None)
            return membership
        except (BrokerAway, DiskFull) as error:
            await self._rests.wait_for_broker(None, error)
        except TimeoutError:
            log.warning("group %r: it has not been joined before the end", self._plan.group)
        return None

    async def _follow(self, membership: Membership) -> None:
        assert self._failed is not None
        draining = asyncio.create_task(self._rests.until_draining())
        assignment = asyncio.create_task(membership.assignment())
        waiting: list[asyncio.Future[None] | asyncio.Future[frozenset[int]]]
        try:
            while True:
                waiting = [draining, assignment, self._failed]
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if self._failed.done():
                    self._failed.result()
                if draining.done():
                    await self._give_back(membership, set(self._tasks))
                    # What is just being taken over would begin to run behind our backs.
                    await self._abandon()
                    if self._failed.done():
                        self._failed.result()
                    return
                assigned = assignment.result()
                self.waits.over(None)
                assignment = asyncio.create_task(membership.assignment())
                self._losses.forget()
                self._assigned = assigned
                self._news.set()
                self._news = asyncio.Event()
                self._look()
                await self._give_back(membership, set(self._running) - assigned)
                for task in sorted(assigned - set(self._running)):
                    self._running[task] = asyncio.create_task(self._own(membership, task), name=f"task {task}")
        finally:
            draining.cancel()
            assignment.cancel()
            await asyncio.gather(draining, assignment, return_exceptions=True)

    async def standing(self) -> None:
        """Wait until it is known which tasks are to be run here, and each has committed its first positions."""
        await self._standing.wait()

    def _look(self) -> None:
        if self._assigned is not None and all(
            number in self._tasks and self._tasks[number].positions for number in self._assigned
        ):
            self._standing.set()

    async def _give_back(self, membership: Membership, tasks: set[int]) -> None:
        for task in tasks:
            if task in self._tasks:
                self._tasks[task].drain()
            else:
                # Still being taken over, which may take long; and whoever is to have it waits.
                self._running[task].cancel()
        await asyncio.gather(*(self._running.pop(task) for task in tasks), return_exceptions=True)
        for task in tasks:
            try:
                await membership.release(task)
            except DiskFull as error:
                log.warning("task %d of %r cannot be given back in order: %s", task, self._plan.group, error)

    async def _own(self, membership: Membership, number: int) -> None:
        """Run a task until it is drained, or is another's; what no new incarnation can mend ends the group."""
        try:
            await self._run_task(membership, number)
        except asyncio.CancelledError:
            raise
        except MembershipLost as error:
            # The membership says so as well, and then everything begins anew with another one.
            log.warning("task %d of %r cannot be taken over: %s", number, self._plan.group, error)
        except BaseException as error:  # noqa: BLE001 - handed to whoever runs the group
            assert self._failed is not None
            if not self._failed.done():
                self._failed.set_exception(error)
        finally:
            self.waits.over(number)
            self._rests.leave(number)
            if self._is_mine(number):
                del self._running[number]

    async def _run_task(self, membership: Membership, number: int) -> None:
        """Run a task as one incarnation after the other."""
        loss: BrokerError | IncarnationOver | None = None
        reached: Mapping[TopicPartition, int] = {}
        # One that is being given back is not looked after by this coroutine any more.
        while self._is_mine(number) and not self._draining.is_set():
            self.waits.note(number, "to be confirmed by the group, which has assigned it")
            if not await self._confirmed(membership, number):
                if self._assigned is None or number not in self._assigned:
                    return
                # It has gone and may have come back, and then nobody will say so: what is assigned is what it was.
                loss = None
                await self._hear()
                continue
            # Counted only now: whoever was fenced because the task is another's has nothing to complain of.
            if loss is not None:
                self._losses.count(number, loss)
            self.waits.note(number, "to be taken over: older owners are fenced, and what it remembers is restored")
            try:
                ownership = await membership.take_over(number)
                self._rests.over(number)
                TAKEOVERS.add(1, {GROUP: self._plan.group})
                self._forgive(number, loss, moved=ownership.positions != reached)
                reached = ownership.positions
                task = self._incarnate(ownership, self._look)
                self._tasks[number] = task
                self.waits.over(number)
                await task.run()
                return
            except (Fenced, CommitRefused, CommitUnknown, IncarnationOver) as error:
                log.warning("task %d of %r is lost: %s", number, self._plan.group, error)
                LOSSES.add(1, {GROUP: self._plan.group, ERROR_TYPE: type(error).__name__})
                loss = error
                if self._rests.got_on(number):
                    self._losses.forgive(number)
            except (DiskFull, Outdated, BrokerAway) as error:
                loss = None
                await self._rests.pause(membership, number, error)
            finally:
                self._tasks.pop(number, None)

    def _with_handlers(self, ownership: Ownership, begun: Callable[[], None]) -> Task:
        rows = self._rows_of(ownership.task) if ownership.remembers else FoldedRows(())
        return Task(self._plan, ownership, rows, self._environment, begun)

    async def _confirmed(self, membership: Membership, number: int) -> bool:
        """Whether the group says that the task is ours. Waits for a broker that does not answer."""
        while self._is_mine(number) and not self._draining.is_set():
            try:
                confirmed = await membership.confirm(number)
            except BrokerAway as error:
                await self._rests.wait_for_broker(number, error)
            else:
                if not confirmed:
                    self._rests.answered(number)
                return confirmed
        return False

    async def _hear(self) -> None:
        """Wait until another assignment has come, but not for long."""
        news = self._news
        with suppress(TimeoutError):
            async with asyncio.timeout(self._environment.settings.session_timeout_seconds / ASKS_IN_A_SESSION):
                await news.wait()

    def _is_mine(self, number: int) -> bool:
        return self._running.get(number) is asyncio.current_task()

    def _forgive(self, number: int, loss: BrokerError | IncarnationOver | None, *, moved: bool) -> None:
        """A commit of unknown outcome that has moved the positions has happened: something was done after all."""
        if moved and isinstance(loss, CommitUnknown):
            self._losses.forgive(number)

    async def _abandon(self) -> None:
        for task in self._tasks.values():
            task.kill()
        running = list(self._running.values())
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self._running.clear()
        self._tasks.clear()


async def _left(membership: Membership) -> None:
    try:
        await membership.leave()
    except (BrokerError, DiskFull) as error:
        log.warning("leaving the group: %s", error)
