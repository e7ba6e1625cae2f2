"""Which tasks a process runs, when the group changes its mind, or something fails at an unlucky moment."""

import asyncio
import gc
import logging
from collections.abc import Callable

import pytest

from mainstem.broker import Group, GroupSpec, Membership, Ownership
from mainstem.delivery import Processor
from mainstem.errors import BrokerError, DiskFull, MembershipLost
from mainstem.settings import Settings
from mainstem.testing.conformance.broker.layer import Layer, LayeredGroup, LayeredMembership
from tests.rooms.delivery.stage import Paid, Told, on, staged, until

SOON = Settings(commit_interval_ms=1, session_timeout_seconds=0.2, grace_seconds=0.2)


def telling() -> Processor:
    """A handler that tells what it got."""

    @on(Paid)
    async def tell(event: Paid) -> Told:
        return Told(str(event.n))

    return tell


class Denying(Layer):
    """The group says no to a number of questions, although its assignment stays what it was."""

    def __init__(self, denials: int) -> None:
        self.denials = denials

    def membership(self, inner: Membership) -> Membership:
        """One that asks this layer first."""
        layer = self

        class Denied(LayeredMembership):
            async def confirm(self, task: int) -> bool:
                layer.denials -= 1
                return layer.denials < 0 and await super().confirm(task)

        return Denied(inner, self)


async def test_a_task_that_comes_back_unannounced_is_run_again() -> None:
    """What was another's when it was asked for, and is ours again before anybody has said so, is taken over."""
    layer = Denying(2)
    async with staged() as stage:
        await stage.publish(Paid("a", 1))
        async with stage.running(telling(), broker=layer.broker(stage.broker), settings=SOON) as running:
            await stage.settled(running)
        assert (await stage.told(), layer.denials < 0) == (["1"], True)


async def test_a_task_that_is_never_confirmed_is_not_asked_for_without_end() -> None:
    """While the group says no, it is asked a few times in a session timeout; a drain ends the waiting."""
    layer = Denying(1_000)
    async with staged() as stage:
        running = stage.start(stage.plan(telling()), broker=layer.broker(stage.broker), settings=SOON)
        loop = asyncio.get_running_loop()
        ends = loop.time() + SOON.session_timeout_seconds
        await until(lambda: loop.time() > ends)
        assert 2 <= 1_000 - layer.denials <= 8
        await asyncio.wait_for(running.stop(), 2)


class Failing(Layer):
    """A take-over that never ends, and fails when it is cancelled; meanwhile the membership may be lost."""

    def __init__(self) -> None:
        self.asked = 0
        self.begun = asyncio.Event()
        self.lost = asyncio.Event()
        self.cancelled: Callable[[], None] = lambda: None

    def membership(self, inner: Membership) -> Membership:
        """One that fails."""
        layer = self

        class Lost(LayeredMembership):
            async def assignment(self) -> frozenset[int]:
                layer.asked += 1
                if layer.asked > 1:
                    await layer.lost.wait()
                    raise MembershipLost("it was to be lost")
                return await super().assignment()

            async def take_over(self, task: int) -> Ownership:
                layer.begun.set()
                try:
                    await asyncio.Event().wait()
                    return await super().take_over(task)
                except asyncio.CancelledError:
                    layer.cancelled()
                    raise BrokerError("it cannot be taken over") from None

        return Lost(inner, self)


async def end(ending: str) -> None:
    """Run a group whose take-over never ends, and let it end in this way."""
    async with staged() as stage:
        layer = Failing()
        running = stage.start(stage.plan(telling()), broker=layer.broker(stage.broker), settings=SOON)
        await layer.begun.wait()
        if "lost" in ending:
            layer.lost.set()
        if ending == "lost, then drained":
            layer.cancelled = running.runner.drain
        if ending == "drained":
            running.runner.drain()
        if ending == "cancelled":
            await running.crash()
        else:
            with pytest.raises(BrokerError, match="cannot be taken over"):
                await asyncio.wait_for(running.task, 3)


@pytest.mark.parametrize("ending", ["lost", "drained", "lost, then drained", "cancelled"])
async def test_what_ends_a_group_is_never_forgotten(ending: str, caplog: pytest.LogCaptureFixture) -> None:
    """An error comes out of the runner, also when something else has ended the membership at the same moment."""
    caplog.set_level(logging.ERROR)
    await end(ending)
    await asyncio.sleep(0)
    gc.collect()
    assert [each.message for each in caplog.records if "never retrieved" in each.message] == []


class Endless(Layer):
    """Take-overs that never end; whoever gives something back is noted."""

    def __init__(self) -> None:
        self.begun: set[int] = set()
        self.released: set[int] = set()

    def membership(self, inner: Membership) -> Membership:
        """One that never gets anything."""
        layer = self

        class Waiting(LayeredMembership):
            async def take_over(self, task: int) -> Ownership:
                layer.begun.add(task)
                await asyncio.Event().wait()
                return await super().take_over(task)

            async def release(self, task: int) -> None:
                layer.released.add(task)
                await super().release(task)

        return Waiting(inner, self)


async def test_what_is_taken_away_while_it_is_being_taken_over_is_given_back_at_once() -> None:
    """Restoring may take long, and whoever is to have the task waits until it is given back."""
    layer = Endless()
    async with staged(orders=2) as stage:
        plan = stage.plan(telling(), tasks=2)
        first = stage.start(plan, broker=layer.broker(stage.broker), settings=SOON)
        await until(lambda: layer.begun == {0, 1})
        second = stage.start(plan, settings=SOON)
        await until(lambda: len(second.runner.tasks) == 1)
        await until(lambda: layer.released == set(second.runner.tasks))
        await first.stop()
        await second.stop()


class NoRoom(Layer):
    """Nothing can be given back, because the disk is full."""

    def membership(self, inner: Membership) -> Membership:
        """One whose releases fail."""

        class Full(LayeredMembership):
            async def release(self, task: int) -> None:
                raise DiskFull(f"no room to give task {task} back")

        return Full(inner, self)


class NoRoomToJoin(Layer):
    """A member cannot even be written down, for a while."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals

    def group(self, inner: Group) -> Group:
        """One that asks this layer first."""
        layer = self

        class Full(LayeredGroup):
            async def join(
                self, spec: GroupSpec, *, static_id: str | None = None, pinned: frozenset[int] | None = None
            ) -> Membership:
                layer.refusals -= 1
                if layer.refusals >= 0:
                    raise DiskFull("no room for another member")
                return await super().join(spec, static_id=static_id, pinned=pinned)

        return Full(inner, self)


async def test_a_full_disk_lets_a_group_wait_before_it_joins() -> None:
    """As a task waits that runs already: it joins when there is room; and who is told to stop meanwhile, stops."""
    layer = NoRoomToJoin(2)
    async with staged() as stage:
        await stage.publish(Paid("a", 1))
        async with stage.running(telling(), broker=layer.broker(stage.broker), settings=SOON) as running:
            await stage.settled(running)
        assert (await stage.told(), layer.refusals) == (["1"], -1)
        layer.refusals = 1_000
        async with asyncio.timeout(5), stage.running(telling(), broker=layer.broker(stage.broker), settings=SOON):
            await until(lambda: layer.refusals < 1_000)


async def test_a_full_disk_does_not_end_whoever_gives_a_task_back() -> None:
    """The task is another's after a while; the group goes on with those that it has left, and ends in order."""
    async with staged(orders=2) as stage:
        plan = stage.plan(telling(), tasks=2)
        first = stage.start(plan, broker=NoRoom().broker(stage.broker), settings=SOON)
        await until(lambda: len(first.runner.tasks) == 2)
        second = stage.start(plan, settings=SOON)
        await until(lambda: len(second.runner.tasks) == len(first.runner.tasks) == 1)
        await stage.publish(*(Paid(f"k{n}", n) for n in range(20)))
        await until(lambda: all(each.positions for each in second.runner.tasks.values()))
        await stage.settled(first)
        await stage.settled(second)
        assert len(await stage.told()) == 20
        await first.stop()
        await second.stop()


class Silent(Layer):
    """A group that never says whether it lets anybody in."""

    def group(self, inner: Group) -> Group:
        """One that does not ask further."""

        class Closed(LayeredGroup):
            async def join(
                self, spec: GroupSpec, *, static_id: str | None = None, pinned: frozenset[int] | None = None
            ) -> Membership:
                await asyncio.Event().wait()
                return await super().join(spec, static_id=static_id, pinned=pinned)

        return Closed(inner, self)


async def test_a_group_that_lets_nobody_in_holds_up_no_end() -> None:
    """It says what it waits for; and who is told to stop, stops within a session timeout."""
    async with staged() as stage:
        running = stage.start(stage.plan(telling()), broker=Silent().broker(stage.broker), settings=SOON)
        await until(lambda: bool(running.runner.waits.longer_than(0)))
        assert "to be let in by the group" in running.runner.waits.longer_than(0)[0]
        await asyncio.wait_for(running.stop(), 2)


async def test_it_is_said_what_a_task_waits_for() -> None:
    """Of one that the group does not confirm; and nothing of one that runs."""
    layer = Denying(1_000)
    async with staged() as stage, stage.running(telling(), broker=layer.broker(stage.broker), settings=SOON) as running:
        await until(lambda: bool(running.runner.waits.longer_than(0.01)))
        (said,) = running.runner.waits.longer_than(0.01)
        assert said.startswith("task 0 has waited for 0 s to be confirmed by the group")
        layer.denials = 0
        await stage.settled(running)
        assert running.runner.waits.longer_than(0) == ()
