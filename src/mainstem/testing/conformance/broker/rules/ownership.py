"""Rules of ownership: taking a task over fences every older owner, and positions are what it begins with."""

import asyncio

from msgspec.structs import replace

from mainstem.broker import Change, GroupSpec, TopicPartition, TopicSpec
from mainstem.errors import BrokerError, Fenced
from mainstem.testing.conformance.broker.cast import Member, Task, committed, join, new_group, sole_member, take_over
from mainstem.testing.conformance.broker.stage import Stage, refused, rule, values


@rule()
async def a_new_group_has_no_positions(stage: Stage) -> None:
    """A task that has never been committed has no positions, whatever its inputs hold."""
    orders = await stage.partition("orders")
    await stage.broker.log.append(orders, stage.records("a"))
    group = new_group(stage, inputs={orders.topic: 1})
    member = await sole_member(stage, group)
    task = await take_over(member, group)
    assert task.ownership.task == 0
    assert orders not in task.ownership.positions
    assert orders not in await committed(stage, group)


@rule()
async def taking_over_fences_the_older_owner(stage: Stage) -> None:
    """Once a task has been taken over, its older owner commits nothing, though it still believes in its assignment."""
    orders, out = await stage.partition("orders"), await stage.partition("out")
    group = new_group(stage, inputs={orders.topic: 1})
    older = await take_over(await sole_member(stage, group), group)
    newer = await take_over(await join(stage, group, on=await stage.client()), group)
    with refused(Fenced):
        await older.transaction(facts={out: stage.records("older")}, changes=[Change("s", b"k", b"older")]).commit()
    await newer.transaction(facts={out: stage.records("newer")}, changes=[Change("s", b"k", b"newer")]).commit()
    with refused(Fenced):
        await older.transaction(facts={out: stage.records("older")}, changes=[Change("s", b"k", b"older")]).commit()
    assert values(await stage.content(out, 1)) == ["newer"]
    assert await stage.harness.stored(group, "s", 0) == {b"k": b"newer"}


@rule()
async def an_owner_that_only_changes_a_store_is_fenced(stage: Stage) -> None:
    """The fence holds for an older owner that appends nothing and moves no position, but changes a store."""
    group = new_group(stage)
    older = await take_over(await sole_member(stage, group), group)
    await older.transaction(changes=[Change("timers", b"k", b"before")]).commit()
    newer = await take_over(await join(stage, group, on=await stage.client()), group)
    with refused(Fenced):
        await older.transaction(changes=[Change("timers", b"k", b"zombie")]).commit()
    assert await stage.harness.stored(group, "timers", 0) == {b"k": b"before"}
    await newer.transaction(changes=[Change("timers", b"k", b"after")]).commit()
    assert await stage.harness.stored(group, "timers", 0) == {b"k": b"after"}


@rule()
async def an_owner_that_changes_nothing_is_fenced(stage: Stage) -> None:
    """The fence holds for an older owner that only names its positions again: so an idle one learns of its loss."""
    orders = await stage.partition("orders")
    group = new_group(stage, inputs={orders.topic: 1})
    older = await take_over(await sole_member(stage, group), group)
    await older.transaction().commit()
    await take_over(await join(stage, group, on=await stage.client()), group)
    with refused(Fenced):
        await older.transaction().commit()


@rule()
async def an_open_transaction_is_fenced(stage: Stage) -> None:
    """A transaction that was begun and filled before the take-over is refused after it."""
    out = await stage.partition("out")
    group = new_group(stage)
    older = await take_over(await sole_member(stage, group), group)
    open_one = older.transaction(facts={out: stage.records("older")}, changes=[Change("s", b"k", b"older")])
    await take_over(await join(stage, group, on=await stage.client()), group)
    with refused(Fenced):
        await open_one.commit()
    await stage.broker.log.append(out, stage.records("after"))
    assert values(await stage.content(out, 1)) == ["after"]
    assert await stage.harness.stored(group, "s", 0) == {}


@rule()
async def a_member_fences_its_own_past(stage: Stage) -> None:
    """A member that takes over a task which it owns already fences its own older incarnation."""
    out = await stage.partition("out")
    group = new_group(stage)
    member = await sole_member(stage, group)
    older = await take_over(member, group)
    newer = await take_over(member, group)
    with refused(Fenced):
        await older.transaction(facts={out: stage.records("older")}).commit()
    await newer.transaction(facts={out: stage.records("newer")}).commit()
    assert values(await stage.content(out, 1)) == ["newer"]


@rule("silence")
async def an_expelled_owner_is_fenced(stage: Stage) -> None:
    """A process that wakes up after the group has replaced it commits nothing, and its late work leaves no trace."""
    out = await stage.partition("out")
    group = new_group(stage)
    silent = await sole_member(stage, group, on=await stage.client())
    older = await take_over(silent, group)
    other = await join(stage, group)
    await silent.unfollow()
    await stage.harness.silence(silent.membership)
    await stage.until(lambda: other.assigned == {0})
    newer = await take_over(other, group)
    await newer.transaction(facts={out: stage.records("newer")}).commit()
    for _ in range(2):
        with refused(Fenced):
            change = Change("s", b"k", b"older")
            await older.transaction(facts={out: stage.records("older")}, changes=[change]).commit()
    await newer.transaction(facts={out: stage.records("newest")}).commit()
    assert values(await stage.content(out, 2)) == ["newer", "newest"]
    assert await stage.harness.stored(group, "s", 0) == {}


@rule()
async def a_fenced_task_takes_no_neighbour_along(stage: Stage) -> None:
    """Of the tasks of one process that commit at the same time only the one that was taken over is refused."""
    out = await stage.partition("out")
    group = new_group(stage, tasks=4)
    member = await sole_member(stage, group)
    tasks = [await take_over(member, group, task) for task in range(4)]
    thief = await join(stage, group, on=await stage.client())
    await take_over(thief, group, 2)
    transactions = [
        task.transaction(facts={out: stage.records(str(n))}, changes=[Change("s", b"k", b"v")])
        for n, task in enumerate(tasks)
    ]
    outcomes = await asyncio.gather(*(each.commit() for each in transactions), return_exceptions=True)
    assert [isinstance(outcome, Fenced) for outcome in outcomes] == [False, False, True, False]
    assert sorted(values(await stage.content(out, 3))) == ["0", "1", "3"]
    stored = [await stage.harness.stored(group, "s", task) for task in range(4)]
    assert stored == [{b"k": b"v"}, {b"k": b"v"}, {}, {b"k": b"v"}]


@rule()
async def epochs_rise(stage: Stage) -> None:
    """Every take-over gives the task a higher epoch, also after everybody had left, and the description shows it."""
    group = new_group(stage)
    epochs: list[int] = []
    for _ in range(2):
        member = await sole_member(stage, group)
        for _ in range(2):
            epochs.append((await take_over(member, group)).ownership.epoch)
            described = (await stage.broker.admin.groups([group.name]))[group.name]
            assert described.epochs == (epochs[-1],)
        await member.leave()
    assert epochs == sorted(set(epochs))


@rule()
async def positions_outlive_their_owner(stage: Stage) -> None:
    """The next owner begins with the positions of the last commit, also when everybody had left between."""
    topic = await stage.topic("orders", 4)
    group = new_group(stage, tasks=2, inputs={topic: 4})
    ends = {}
    for partition in range(4):
        at = TopicPartition(topic, partition)
        await stage.broker.log.append(at, stage.records(*"abc"[: partition % 3 + 1]))
        ends[at] = (await stage.broker.log.bounds(at))[1]
    member = await sole_member(stage, group)
    for number in range(2):
        task = await take_over(member, group, number)
        await task.transaction(moved={at: end for at, end in ends.items() if at in task.inputs}).commit()
    await member.leave()
    member = await sole_member(stage, group, on=await stage.client())
    for number in range(2):
        task = await take_over(member, group, number)
        assert {at: task.positions[at] for at in task.inputs[1:]} == {
            TopicPartition(topic, partition): ends[TopicPartition(topic, partition)]
            for partition in (number, number + 2)
        }
    positions = await committed(stage, group)
    assert {at: position for at, position in positions.items() if at.topic == topic} == ends


@rule()
async def the_inbox_is_an_input(stage: Stage) -> None:
    """Partition n of the inbox is read by task n, and its position is committed like that of any other input."""
    group = new_group(stage, tasks=2)
    member = await sole_member(stage, group)
    inbox = TopicPartition(group.inbox, 1)
    await stage.broker.log.append(inbox, stage.records("first"))
    task = await take_over(member, group, 1)
    batch = await stage.take(stage.reader_at({inbox: task.positions[inbox]}))
    await task.transaction(moved={inbox: batch.next_offset}).commit()
    await stage.broker.log.append(inbox, stage.records("second"))
    again = await take_over(member, group, 1)
    assert values(await stage.read(stage.reader_at({inbox: again.positions[inbox]}), 1)) == ["second"]


@rule()
async def positions_go_with_their_topic(stage: Stage) -> None:
    """A position in a topic that was deleted is forgotten: after creating it again it would mean something else."""
    orders = await stage.partition("orders")
    await stage.broker.log.append(orders, stage.records("a", "b"))
    end = (await stage.broker.log.bounds(orders))[1]
    group = new_group(stage, inputs={orders.topic: 1})
    member = await sole_member(stage, group)
    await (await take_over(member, group)).transaction(moved={orders: end}).commit()
    await stage.broker.admin.delete(orders.topic)
    await stage.broker.admin.create(TopicSpec(orders.topic, 1))
    while orders in await committed(stage, group):
        await stage.harness.advance(0.01)
    assert orders not in (await take_over(member, group)).ownership.positions


@rule()
async def groups_have_their_own_positions(stage: Stage) -> None:
    """What one group commits moves the positions of no other group, and changes none of its stores."""
    orders = await stage.partition("orders")
    await stage.broker.log.append(orders, stage.records("a"))
    end = (await stage.broker.log.bounds(orders))[1]
    groups = [new_group(stage, label, inputs={orders.topic: 1}) for label in ("billing", "mailer")]
    tasks = [await take_over(await sole_member(stage, group), group) for group in groups]
    await tasks[0].transaction(changes=[Change("s", b"k", b"v")], moved={orders: end}).commit()
    await tasks[1].transaction().commit()
    assert [(await committed(stage, group))[orders] for group in groups] == [end, 0]
    assert await stage.harness.stored(groups[1], "s", 0) == {}


@rule()
async def a_hand_over_loses_no_commit(stage: Stage) -> None:
    """An owner that drains may commit until it releases the task; the next owner begins behind that commit."""
    topic = await stage.topic("orders", 2)
    group = new_group(stage, tasks=2, inputs={topic: 2})
    giving = await sole_member(stage, group)
    await giving.unfollow()
    tasks = [await take_over(giving, group, number) for number in range(2)]
    taking = await join(stage, group, on=await stage.client())
    kept = await giving.membership.assignment()
    (lost,) = {0, 1} - kept
    orders = TopicPartition(topic, lost)
    await stage.broker.log.append(orders, stage.records("a"))
    end = (await stage.broker.log.bounds(orders))[1]

    async def taken() -> Task:
        await stage.until(lambda: taking.assigned == {lost})
        return await take_over(taking, group, lost)

    newer = asyncio.ensure_future(taken())
    await stage.harness.advance(0.05)
    await tasks[lost].transaction(changes=[Change("s", b"k", b"last")], moved={orders: end}).commit()
    await giving.membership.release(lost)
    assert (await newer).positions[orders] == end
    assert await stage.harness.stored(group, "s", lost) == {b"k": b"last"}
    await tasks[1 - lost].transaction().commit()


@rule()
async def a_hand_over_takes_as_long_as_the_group_allows(stage: Stage) -> None:
    """An owner that drains has the grace of its own group, however long, and no longer."""
    patient = new_group(stage, "patient", tasks=2)
    patient = replace(patient, grace_seconds=2 * patient.hand_over_seconds)
    hasty = replace(new_group(stage, "hasty", tasks=2), grace_seconds=0)
    waiting = []
    for group in (patient, hasty):
        giving = await sole_member(stage, group)
        await giving.unfollow()
        owned = [await take_over(giving, group, number) for number in range(2)]
        taking = await join(stage, group, on=await stage.client())
        (lost,) = {0, 1} - await giving.membership.assignment()
        waiting.append((asyncio.ensure_future(_given(stage, taking, group, lost)), giving, owned[lost]))
    (patiently, giving, owner), (hastily, _, late) = waiting
    await stage.until(hastily.done)
    with refused(Fenced):
        await late.transaction().commit()
    await stage.harness.advance(patient.grace_seconds / 2)
    assert not patiently.done()
    await owner.transaction(changes=[Change("s", b"k", b"last")]).commit()
    await giving.membership.release(owner.ownership.task)
    await patiently


async def _given(stage: Stage, taking: Member, group: GroupSpec, task: int) -> Task:
    """Take over what another one gives up: either the assignment waits for it, or the take-over."""
    await stage.until(lambda: taking.assigned == {task})
    return await take_over(taking, group, task)


@rule()
async def work_is_counted_once_through_take_overs(stage: Stage) -> None:
    """However often a task changes hands, and whoever tries late, each record is counted once."""
    orders = await stage.partition("orders")
    group = new_group(stage, inputs={orders.topic: 1})
    members = [await sole_member(stage, group)]
    members += [await join(stage, group, on=await stage.client()) for _ in range(2)]
    zombies = []
    for turn in range(9):
        await stage.broker.log.append(orders, stage.records("a", "b"))
        task = await take_over(members[turn % 3], group)
        stored = await stage.harness.stored(group, "count", 0)
        batch = await stage.take(stage.reader_at({orders: task.positions[orders]}))
        count = int(stored.get(b"all", b"0")) + len(batch)
        change = Change("count", b"all", str(count).encode())
        await task.transaction(changes=[change], moved={orders: batch.next_offset}).commit()
        zombies.append(task.transaction(changes=[change], moved={orders: batch.next_offset}))
        for zombie in zombies[:-1]:
            with refused(Fenced):
                await zombie.commit()
        zombies = zombies[-1:]
    last = (await committed(stage, group))[orders]
    counted = int((await stage.harness.stored(group, "count", 0))[b"all"])
    left = await stage.drained(stage.reader_at({orders: last}))
    assert counted + len(left) == 18
    assert counted >= 9


@rule()
async def positions_are_reset_without_members_only(stage: Stage) -> None:
    """Positions are moved while no member lives, and refused while one does; the next owner begins with them."""
    orders = await stage.partition("orders")
    await stage.broker.log.append(orders, stage.records("a", "b"))
    start, end = await stage.broker.log.bounds(orders)
    group = new_group(stage, inputs={orders.topic: 1})
    member = await sole_member(stage, group)
    task = await take_over(member, group)
    await task.transaction(changes=[Change("s", b"k", b"v")], moved={orders: end}).commit()
    with refused(BrokerError):
        await stage.broker.admin.reset(group.name, {orders: start})
    with refused(BrokerError):
        await stage.broker.admin.reset(group.name, {})
    assert (await committed(stage, group))[orders] == end
    await task.transaction(moved={orders: end}).commit()
    await member.leave()
    await stage.broker.admin.reset(group.name, {orders: start})
    assert (await committed(stage, group))[orders] == start
    again = await take_over(await sole_member(stage, group), group)
    assert again.positions[orders] == start


@rule()
async def a_reset_drops_what_is_completed_beyond(stage: Stage) -> None:
    """A reset drops the completed sets of the partitions that it moves, and leaves those of others."""
    topic = await stage.topic("orders", 2)
    moved, other = TopicPartition(topic, 0), TopicPartition(topic, 1)
    group = new_group(stage, inputs={topic: 2})
    member = await sole_member(stage, group)
    changes = [Change("$completed", f"{topic}/{at.partition}".encode(), b"set") for at in (moved, other)]
    await (await take_over(member, group)).transaction(changes=changes).commit()
    await member.leave()
    await stage.broker.admin.reset(group.name, {moved: 0})
    assert await stage.harness.stored(group, "$completed", 0) == {f"{topic}/1".encode(): b"set"}


@rule()
async def a_reset_and_a_deletion_fence_too(stage: Stage) -> None:
    """An owner of before a reset, or of a group that was deleted, commits nothing: it would undo what was done."""
    orders = await stage.partition("orders")
    await stage.broker.log.append(orders, stage.records("a", "b"))
    start, end = await stage.broker.log.bounds(orders)
    for delete in (False, True):
        group = new_group(stage, inputs={orders.topic: 1})
        member = await sole_member(stage, group)
        task = await take_over(member, group)
        await task.transaction(moved={orders: end}).commit()
        late = task.transaction(changes=[Change("s", b"k", b"late")], moved={orders: end})
        await member.leave()
        if delete:
            await stage.broker.admin.delete_group(group.name)
        else:
            await stage.broker.admin.reset(group.name, {orders: start})
        with refused(Fenced):
            await late.commit()
        assert await stage.harness.stored(group, "s", 0) == {}
        if not delete:
            assert (await committed(stage, group))[orders] == start


@rule()
async def a_group_is_deleted_without_members_only(stage: Stage) -> None:
    """A group is deleted with its inbox, positions and stores, but not while a member lives."""
    orders = await stage.partition("orders")
    group = new_group(stage, tasks=1, inputs={orders.topic: 1})
    member = await sole_member(stage, group)
    task = await take_over(member, group)
    await task.transaction(changes=[Change("s", b"k", b"v")], moved={orders: 0}).commit()
    with refused(BrokerError):
        await stage.broker.admin.delete_group(group.name)
    assert await stage.harness.stored(group, "s", 0) == {b"k": b"v"}
    await member.leave()
    await stage.broker.admin.delete_group(group.name)
    assert await stage.broker.admin.groups([group.name]) == {}
    assert await stage.broker.admin.topics([group.inbox, orders.topic]) == await stage.broker.admin.topics(
        [orders.topic]
    )
    task = await take_over(await sole_member(stage, group), group)
    assert orders not in task.ownership.positions
    assert await stage.harness.stored(group, "s", 0) == {}
