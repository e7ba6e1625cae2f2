"""Rules of membership: who is given which tasks, who keeps them, and who learns that it has lost them."""

from msgspec.structs import replace

from mainstem.broker import Change, GroupSpec
from mainstem.errors import BrokerError, Fenced, MembershipLost, StoreRefused
from mainstem.testing.conformance.broker.cast import (
    Member,
    assigned,
    committed,
    join,
    loose,
    new_group,
    shared,
    sole_member,
    take_over,
)
from mainstem.testing.conformance.broker.stage import Stage, refused, rule


@rule()
async def joining_makes_the_group_and_its_inbox(stage: Stage) -> None:
    """The first join makes the group and its inbox topic, whose partitions are the tasks."""
    orders = await stage.topic("orders", 6)
    group = new_group(stage, tasks=3, inputs={orders: 6})
    assert await stage.broker.admin.groups([group.name]) == {}
    await join(stage, group)
    inbox = (await stage.broker.admin.topics([group.inbox]))[group.inbox]
    assert inbox.spec.partitions == 3
    described = (await stage.broker.admin.groups([group.name]))[group.name]
    assert (described.name, described.service, described.tasks) == (group.name, group.service, 3)
    assert dict(described.inputs) == {orders: 6}
    assert len(described.owners) == len(described.epochs) == 3


@rule()
async def one_member_is_given_all_tasks(stage: Stage) -> None:
    """The only member of a group is given all its tasks."""
    group = new_group(stage, tasks=4)
    member = await join(stage, group)
    await shared(stage, member, tasks=range(4))


@rule()
async def members_share_all_tasks(stage: Stage) -> None:
    """Each task is assigned to exactly one of the members, and none has two tasks more than another."""
    group = new_group(stage, tasks=7)
    members = [await join(stage, group, on=await stage.client()) for _ in range(3)]
    await shared(stage, *members, tasks=range(7))
    assert len({member.membership.member for member in members}) == 3


@rule()
async def a_joining_member_is_given_its_share(stage: Stage) -> None:
    """When a member joins, the others only give: none of them is given a task that another of them had."""
    group = new_group(stage, tasks=6)
    first, second = await join(stage, group), await join(stage, group, on=await stage.client())
    await shared(stage, first, second, tasks=range(6))
    before = first.assigned, second.assigned
    third = await join(stage, group, on=await stage.client())
    await shared(stage, first, second, third, tasks=range(6))
    assert first.assigned < before[0]
    assert second.assigned < before[1]


@rule()
async def a_leaving_member_hands_its_tasks_over(stage: Stage) -> None:
    """When a member leaves, its tasks go to the others, who keep what they had."""
    group = new_group(stage, tasks=6)
    members = [await join(stage, group, on=await stage.client()) for _ in range(3)]
    await shared(stage, *members, tasks=range(6))
    leaving, *staying = members
    kept = [member.keeps() for member in staying]
    await leaving.leave()
    await shared(stage, *staying, tasks=range(6))
    assert all(has_kept() for has_kept in kept), "a task moved between members that stayed"


@rule("several_clients")
async def closing_a_client_gives_its_tasks_up(stage: Stage) -> None:
    """A client that closes without leaving its groups gives its tasks up, after the session at the latest."""
    group = new_group(stage, tasks=4)
    closing = await stage.client()
    staying, going = await join(stage, group), await join(stage, group, on=closing)
    await shared(stage, staying, going, tasks=range(4))
    kept = staying.keeps()
    await going.unfollow()
    await stage.close(closing)
    await shared(stage, staying, tasks=range(4))
    assert kept()


@rule()
async def a_spare_member_takes_over(stage: Stage) -> None:
    """A member for whom no task was left is told so, and is given those of a member that leaves."""
    group = new_group(stage, tasks=1)
    first, second = await join(stage, group), await join(stage, group, on=await stage.client())
    await stage.until(lambda: len(assigned(first, second)) == 1)
    await stage.until(lambda: bool(first.history) and bool(second.history))
    busy, spare = (first, second) if first.assigned else (second, first)
    await busy.leave()
    await stage.until(lambda: spare.assigned == {0})


@rule()
async def a_live_member_keeps_its_tasks(stage: Stage) -> None:
    """Nothing is taken from members that live while time passes, however many session timeouts."""
    group = new_group(stage, tasks=4)
    members = [await join(stage, group), await join(stage, group, on=await stage.client())]
    await shared(stage, *members, tasks=range(4))
    kept = [member.keeps() for member in members]
    await stage.harness.advance(group.session_timeout_seconds * 1.5)
    assert all(has_kept() for has_kept in kept)
    assert [member.lost for member in members] == [None, None]


@rule()
async def groups_are_apart(stage: Stage) -> None:
    """Each group is given all of its tasks, whatever other groups read the same topics."""
    orders = await stage.topic("orders", 2)
    inputs = {orders: 2}
    billing = await join(stage, new_group(stage, "billing", tasks=2, inputs=inputs))
    mailer = await join(stage, new_group(stage, "mailer", tasks=2, inputs=inputs), on=await stage.client())
    await shared(stage, billing, tasks=range(2))
    await shared(stage, mailer, tasks=range(2))


@rule()
async def the_group_confirms_an_assignment(stage: Stage) -> None:
    """The group confirms to a member the tasks that are assigned to it, and no others."""
    group = new_group(stage, tasks=4)
    first, second = await join(stage, group), await join(stage, group, on=await stage.client())
    await shared(stage, first, second, tasks=range(4))
    for member in (first, second):
        confirmed = {task for task in range(4) if await member.membership.confirm(task)}
        assert confirmed == member.assigned


@rule()
async def a_group_is_described_as_it_is(stage: Stage) -> None:
    """A description names the live members and the owner of each task, and neither once they have left."""
    group = new_group(stage, tasks=2)
    member = await sole_member(stage, group)
    for task in range(2):
        await take_over(member, group, task)
    described = (await stage.broker.admin.groups([group.name]))[group.name]
    assert described.members == (member.membership.member,)
    assert described.owners == (member.membership.member,) * 2
    await member.leave()
    described = (await stage.broker.admin.groups())[group.name]
    assert described.members == ()
    assert described.owners == (None, None)


@rule()
async def pinned_members_have_exactly_their_tasks(stage: Stage) -> None:
    """A member may pin every task of a group that it has to itself."""
    group = new_group(stage, tasks=3)
    member = await join(stage, group, pinned=frozenset({0, 1, 2}))
    await stage.until(lambda: member.assigned == {0, 1, 2})


@rule("pinning")
async def pins_leave_the_other_tasks_to_the_others(stage: Stage) -> None:
    """A member with pinned tasks has exactly those; the other members share the rest, and the pins after it left."""
    group = new_group(stage, tasks=5)
    pinned = await join(stage, group, pinned=frozenset({1, 3}))
    others = [await join(stage, group, on=await stage.client()) for _ in range(2)]
    await shared(stage, *others, tasks=[0, 2, 4])
    await stage.until(lambda: pinned.assigned == {1, 3})
    await pinned.leave()
    await shared(stage, *others, tasks=range(5))


@rule("pinning")
async def a_pin_takes_the_task_from_others(stage: Stage) -> None:
    """A member that joins with pinned tasks is given them by the members that have them."""
    group = new_group(stage, tasks=4)
    other = await sole_member(stage, group)
    pinned = await join(stage, group, on=await stage.client(), pinned=frozenset({2}))
    await stage.until(lambda: pinned.assigned == {2} and other.assigned == {0, 1, 3})


@rule("declining")
async def a_declined_task_goes_round(stage: Stage) -> None:
    """A task that a member declines is another's; declined by one after the other, it comes to each of them."""
    group = new_group(stage, tasks=1)
    members = [await join(stage, group, on=await stage.client()) for _ in range(3)]
    asked = []
    for _ in members:
        await stage.until(lambda: len(assigned(*members)) == 1)
        (holder,) = (member for member in members if member.assigned)
        asked.append(holder)
        await take_over(holder, group)
        assert await holder.membership.decline(0)
        await stage.until(lambda holder=holder: not holder.assigned)  # type: ignore[misc]  # mypy infers no type where there is a default
        assert not await holder.membership.confirm(0)
    assert {each.membership.member for each in asked} == {each.membership.member for each in members}


@rule()
async def what_nobody_else_can_have_stays(stage: Stage) -> None:
    """A member that is alone is told so when it declines a task, and keeps it."""
    group = new_group(stage, tasks=2)
    member = await sole_member(stage, group)
    kept = member.keeps()
    assert not await member.membership.decline(1)
    assert await member.membership.confirm(1)
    assert kept()


@rule()
async def a_static_id_keeps_its_tasks(stage: Stage) -> None:
    """A member that comes back under its static id is given the tasks it had, and the others notice nothing."""
    group = new_group(stage, tasks=6)
    other = await join(stage, group)
    before = await join(stage, group, on=await stage.client(), static_id="first")
    await shared(stage, other, before, tasks=range(6))
    had, changes = before.assigned, len(other.history)
    after = await join(stage, group, on=await stage.client(), static_id="first")
    await stage.until(lambda: after.assigned == had)
    await stage.until(lambda: before.lost is not None)
    assert len(other.history) == changes


@rule("silence")
async def a_dead_member_is_replaced(stage: Stage) -> None:
    """The tasks of a member that dies go to the others after the session timeout, who keep what they had."""
    group = new_group(stage, tasks=6)
    members = [await join(stage, group, on=await stage.client()) for _ in range(3)]
    await shared(stage, *members, tasks=range(6))
    dying, *staying = members
    kept = [member.keeps() for member in staying]
    await dying.unfollow()
    await stage.harness.silence(dying.membership)
    await shared(stage, *staying, tasks=range(6))
    assert all(has_kept() for has_kept in kept), "a task moved between members that stayed"


@rule("silence")
async def an_expelled_member_is_told(stage: Stage) -> None:
    """A member that was silent for longer than its session is told so when it asks again, and may join anew."""
    group = new_group(stage, tasks=2)
    silent, other = await join(stage, group, on=await stage.client()), await join(stage, group)
    await shared(stage, silent, other, tasks=range(2))
    await _expelled(stage, silent, other, group)
    with refused(MembershipLost):
        while True:
            await silent.membership.assignment()
    again = await join(stage, group)
    await shared(stage, again, other, tasks=range(2))
    assert again.membership.member != silent.membership.member


@rule("silence")
async def nothing_is_confirmed_to_an_expelled_member(stage: Stage) -> None:
    """The group confirms no task to a member that it has expelled."""
    group = new_group(stage, tasks=2)
    silent, other = await join(stage, group, on=await stage.client()), await join(stage, group)
    await shared(stage, silent, other, tasks=range(2))
    await _expelled(stage, silent, other, group)
    for task in range(2):
        try:
            confirmed = await silent.membership.confirm(task)
        except MembershipLost:
            confirmed = False
        assert not confirmed


async def _expelled(stage: Stage, silent: Member, other: Member, group: GroupSpec) -> None:
    await silent.unfollow()
    await stage.harness.silence(silent.membership)
    await shared(stage, other, tasks=range(group.tasks))


@rule()
async def another_number_of_tasks_is_refused(stage: Stage) -> None:
    """A group that was made for one number of tasks cannot be joined with another."""
    group = new_group(stage, tasks=3)
    member = await sole_member(stage, group)
    for tasks in (2, 4):
        with refused(BrokerError):
            await stage.broker.group.join(replace(group, tasks=tasks))
    assert (await stage.broker.admin.groups([group.name]))[group.name].tasks == 3
    assert member.assigned == {0, 1, 2}


@rule()
async def other_partition_counts_are_refused(stage: Stage) -> None:
    """A group cannot be joined with another partition count of an input than was recorded for it."""
    orders = await stage.topic("orders", 4)
    group = new_group(stage, tasks=2, inputs={orders: 4})
    await sole_member(stage, group)
    with refused(BrokerError):
        await stage.broker.group.join(replace(group, inputs={orders: 2}))
    assert (await stage.broker.admin.groups([group.name]))[group.name].inputs == {orders: 4}


@rule()
async def another_service_is_refused(stage: Stage) -> None:
    """A group and its stores belong to one service; joining it for another one is refused."""
    group = new_group(stage)
    await sole_member(stage, group)
    stranger = replace(group, service=stage.harness.name("stranger"))
    with refused(StoreRefused):
        await (await stage.client()).group.join(stranger)
    described = (await stage.broker.admin.groups([group.name]))[group.name]
    assert described.service == group.service
    assert len(described.members) == 1


@rule("silence")
async def at_least_once_an_expelled_member_moves_no_positions(stage: Stage) -> None:
    """A process that wakes up after the group has replaced it does not move the positions of its successor."""
    orders = await stage.partition("orders")
    group = loose(new_group(stage, inputs={orders.topic: 1}))
    await stage.broker.log.append(orders, stage.records("a", "b"))
    start, end = await stage.broker.log.bounds(orders)
    silent = await sole_member(stage, group, on=await stage.client())
    older = await take_over(silent, group)
    other = await join(stage, group)
    await silent.unfollow()
    await stage.harness.silence(silent.membership)
    await stage.until(lambda: other.assigned == {0})
    newer = await take_over(other, group)
    await newer.transaction(moved={orders: end}).commit()
    with refused(Fenced):
        await older.transaction(moved={orders: start}).commit()
    assert (await committed(stage, group))[orders] == end


@rule()
async def nothing_that_waits_is_left_behind(stage: Stage) -> None:
    """A group for which something waits is not joined at least once by a broker that would forget it."""
    group = new_group(stage)
    member = await sole_member(stage, group)
    task = await take_over(member, group)
    await task.transaction(changes=[Change("$parking", b"k", b"v"), Change("$handlers", b"k", b"v")]).commit()
    await member.leave()
    forgetting = replace(loose(group), forgettable=frozenset({"$handlers"}))
    member = await sole_member(stage, forgetting)
    try:
        task = await take_over(member, forgetting)
    except StoreRefused as error:
        assert "$parking" in error.where
        assert "$handlers" not in error.where
    else:
        assert task.ownership.remembers
    await member.leave()
    task = await take_over(await sole_member(stage, group), group)
    assert await stage.harness.stored(group, "$parking", 0) == {b"k": b"v"}
