"""Members that stand still, die, drain or come back, in one process with a clock that is moved."""

import asyncio
from pathlib import Path

from msgspec.structs import replace

from mainstem.broker import COMPLETED_STORE, Change, GroupSpec, TopicPartition, completed_key
from mainstem.clock import ManualClock
from mainstem.errors import BrokerError, MembershipLost, StoreRefused
from tests.rooms.broker_sqlite.conftest import AT, Opener, outcome

SPEC = GroupSpec("billing", "billing", 4, {"orders": 1}, session_timeout_seconds=0.2)


async def test_a_member_that_stands_still_is_expelled(opened: Opener, tmp_path: Path) -> None:
    """A process that lives, and whose event loop does not move, loses its place after the session timeout."""
    path = tmp_path / "log.db"
    async with opened(path) as still, opened(path) as moving:
        silent = await still.group.join(SPEC)
        assert await silent.assignment() == {0, 1, 2, 3}
        other = await moving.group.join(SPEC)
        assert len(await other.assignment()) == 2
        still.silence(silent.member)
        assert await other.assignment() == {0, 1, 2, 3}
        found = await outcome(silent.assignment())
        while not isinstance(found, MembershipLost):
            found = await outcome(silent.assignment())
        assert isinstance(await outcome(silent.take_over(0)), MembershipLost)


async def test_a_member_that_dies_is_replaced_before_the_session_timeout(opened: Opener, tmp_path: Path) -> None:
    """A death is known by the lock that the kernel releases, so nobody waits for the heartbeat."""
    path = tmp_path / "log.db"
    spec = replace(SPEC, session_timeout_seconds=600)
    async with opened(path) as dying, opened(path) as living:
        dead = await dying.group.join(spec)
        other = await living.group.join(spec)
        await dead.take_over(0)
        assert len(await other.assignment()) == 2
        dying.silence(dead.member, dead=True)
        assert await other.assignment() == {0, 1, 2, 3}
        await other.take_over(0)


async def test_who_stood_still_expels_nobody_for_it(opened: Opener, clock: ManualClock) -> None:
    """When all stand still together, the first that moves again gives the others the time to do so as well."""
    async with opened(clock=clock) as broker:
        first, second = [await broker.group.join(SPEC) for _ in range(2)]
        broker.silence(second.member)
        clock.advance(0.3)
        broker._group.beat(look=False)
        assert len((await broker.admin.groups())["billing"].members) == 2
        broker._group.beat(look=True)
        while await first.assignment() != {0, 1, 2, 3}:
            pass
        assert (await broker.admin.groups())["billing"].members == (first.member,)


async def test_a_static_member_is_waited_for(opened: Opener, tmp_path: Path) -> None:
    """The tasks of a static member that left or died are its own until the session timeout, then the others'."""
    path = tmp_path / "log.db"
    async with opened(path) as first, opened(path) as second:
        static = await first.group.join(SPEC, static_id="s")
        other = await second.group.join(SPEC)
        had = await static.assignment()
        kept = await other.assignment()
        await static.leave()
        back = await first.group.join(SPEC, static_id="s")
        assert await back.assignment() == ({0, 1, 2, 3} - kept)
        assert had >= {0, 1, 2, 3} - kept
        first.silence(back.member, dead=True)
        assert await other.assignment() == {0, 1, 2, 3}


async def test_a_take_over_waits_for_a_drain(opened: Opener) -> None:
    """The next owner of a task begins when the one before has given it back."""
    async with opened() as broker:
        first = await broker.group.join(SPEC)
        await first.assignment()
        for task in range(4):
            await first.take_over(task)
        second = await broker.group.join(SPEC)
        task = min(await second.assignment())
        taking = asyncio.ensure_future(second.take_over(task))
        await asyncio.sleep(0.02)
        assert not taking.done()
        await first.release(task)
        assert (await taking).epoch == 2


async def test_a_drain_that_takes_too_long_is_not_waited_for(opened: Opener) -> None:
    """After the bound, the task is taken; its owner is fenced."""
    spec = replace(SPEC, grace_seconds=0.02)
    async with opened() as broker:
        first = await broker.group.join(spec)
        await first.assignment()
        for task in range(4):
            await first.take_over(task)
        second = await broker.group.join(spec)
        assert (await second.take_over(min(await second.assignment()))).epoch == 2


async def test_a_wall_clock_that_jumps_expels_nobody(opened: Opener, clock: ManualClock) -> None:
    """Sessions are measured by the monotonic clock."""
    async with opened(clock=clock) as broker:
        membership = await broker.group.join(SPEC)
        await membership.assignment()
        for seconds in (86_400, -200_000):
            clock.jump(seconds)
            broker._tick()
            assert await membership.confirm(0)
        broker.silence(membership.member)
        clock.advance(0.3)
        broker._tick()
        assert isinstance(await outcome(membership.take_over(0)), MembershipLost)


async def test_members_of_a_file_that_was_restored_are_not_waited_for(opened: Opener, tmp_path: Path) -> None:
    """A copy of the file names members that never were beside it; whoever joins has all tasks."""
    async with opened(tmp_path / "log.db") as broker:
        membership = await broker.group.join(SPEC)
        await membership.assignment()
        await broker.backup(tmp_path / "copy.db")
    async with opened(tmp_path / "copy.db") as broker:
        membership = await broker.group.join(SPEC)
        assert await membership.assignment() == {0, 1, 2, 3}


async def test_a_group_says_how_it_is_mended(opened: Opener) -> None:
    """What is refused for another service, number of tasks or partitions names the command that mends it."""
    async with opened() as broker:
        await broker.group.join(SPEC)
        for other in (replace(SPEC, service="x"), replace(SPEC, tasks=2), replace(SPEC, inputs={"orders": 3})):
            refused = await outcome(broker.group.join(other))
            assert isinstance(refused, StoreRefused)
            assert "mainstem groups" in refused.remedy
        await broker.group.join(replace(SPEC, inputs={"orders": 1, "later": 5}))
        assert (await broker.admin.groups())["billing"].inputs == {"orders": 1, "later": 5}


async def test_a_reset_drops_what_was_completed_beyond(opened: Opener) -> None:
    """Positions move together with the completed sets that belong to them, in the place where delivery keeps them."""
    async with opened() as broker:
        membership = await broker.group.join(replace(SPEC, tasks=1))
        ownership = await membership.take_over(0)
        transaction = ownership.transaction()
        inbox = TopicPartition("billing.inbox", 0)
        transaction.changes([Change(COMPLETED_STORE, completed_key(at), b"beyond") for at in (AT, inbox)])
        transaction.positions({AT: 0, inbox: 0})
        await transaction.commit()
        assert isinstance(await outcome(broker.admin.reset("billing", {AT: 0})), BrokerError)
        await membership.leave()
        await broker.admin.reset("billing", {AT: 0})
        assert broker.rows("billing", 0).scan(COMPLETED_STORE) == [(completed_key(inbox), b"beyond")]
