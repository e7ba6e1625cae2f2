"""Rules of transactions: all of it or nothing, and nothing of it before its time."""

import asyncio
from typing import NamedTuple

from mainstem.broker import Change, GroupSpec, Record, TopicPartition, Transaction
from mainstem.errors import BrokerError, CommitRefused, CommitUnknown, Fenced, RecordTooLarge, UnknownTopic
from mainstem.testing.conformance.broker.cast import (
    Member,
    Task,
    committed,
    join,
    loose,
    new_group,
    sole_member,
    take_over,
)
from mainstem.testing.conformance.broker.stage import Stage, refused, rule, values


@rule()
async def a_commit_appends_in_order(stage: Stage) -> None:
    """The records of a transaction follow one another in each partition in the order of its appends."""
    topic = await stage.topic(partitions=2)
    first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
    transaction = stage.broker.log.transaction()
    transaction.append(first, stage.records("a", "b"))
    transaction.append(second, stage.records("x"))
    transaction.append(first, stage.records("c"))
    await transaction.commit()
    assert values(await stage.content(first, 3)) == ["a", "b", "c"]
    assert values(await stage.content(second, 1)) == ["x"]


@rule()
async def a_commit_returns_the_first_offsets(stage: Stage) -> None:
    """A commit returns, by partition, the offset of the first record that it appended there."""
    topic = await stage.topic(partitions=3)
    first, second = TopicPartition(topic, 0), TopicPartition(topic, 2)
    await stage.broker.log.append(first, stage.records("before"))
    for value in "ab":
        transaction = stage.broker.log.transaction()
        transaction.append(first, stage.records(f"{value}1", f"{value}2"))
        transaction.append(second, stage.records(value))
        transaction.append(first, stage.records(f"{value}3"))
        found = await transaction.commit()
        assert set(found) == {first, second}
        assert values(await stage.read(stage.reader_at({first: found[first]}), 3)) == [f"{value}{n}" for n in (1, 2, 3)]
        assert values(await stage.read(stage.reader_at({second: found[second]}), 1)) == [value]


@rule()
async def an_open_transaction_is_not_seen(stage: Stage) -> None:
    """Before its commit nothing of a transaction is seen, by any reader of any client."""
    topic = await stage.topic(partitions=2)
    at, other = TopicPartition(topic, 0), TopicPartition(topic, 1)
    readers = [await stage.reader(at, other), await stage.reader(at, other, on=await stage.client())]
    transaction = stage.broker.log.transaction()
    transaction.append(at, stage.records("a", "b"))
    await stage.broker.log.append(other, stage.records("elsewhere"))
    for reader in readers:
        assert values(await stage.read(reader, 1)) == ["elsewhere"]
        assert await stage.drained(reader) == []
    await transaction.commit()
    for reader in readers:
        assert values(await stage.read(reader, 2)) == ["a", "b"]


@rule()
async def an_aborted_transaction_leaves_nothing(stage: Stage) -> None:
    """Of an aborted transaction no reader ever sees a record, and the partition goes on as if it had not been."""
    at = await stage.partition()
    reader = await stage.reader(at)
    await stage.broker.log.append(at, stage.records("before"))
    transaction = stage.broker.log.transaction()
    transaction.append(at, stage.records("a", "b"))
    transaction.abort()
    await stage.broker.log.append(at, stage.records("after"))
    assert values(await stage.read(reader, 2)) == ["before", "after"]
    assert await stage.drained(reader) == []
    assert values(await stage.content(at, 2)) == ["before", "after"]


@rule()
async def an_abort_after_the_commit_does_nothing(stage: Stage) -> None:
    """Aborting a committed transaction takes nothing back."""
    at = await stage.partition()
    transaction = stage.broker.log.transaction()
    transaction.append(at, stage.records("a"))
    await transaction.commit()
    transaction.abort()
    assert values(await stage.content(at, 1)) == ["a"]


@rule()
async def transactions_interleave(stage: Stage) -> None:
    """Transactions that are open at once on one partition neither mix up nor hold up one another."""
    at = await stage.partition()
    first, second, dropped = (stage.broker.log.transaction() for _ in range(3))
    for n in range(3):
        first.append(at, stage.records(f"first{n}"))
        dropped.append(at, stage.records(f"dropped{n}"))
        second.append(at, stage.records(f"second{n}"))
    await second.commit()
    dropped.abort()
    await first.commit()
    seen = values(await stage.content(at, 6))
    for name in ("first", "second"):
        assert [value for value in seen if value.startswith(name)] == [f"{name}{n}" for n in range(3)]


@rule()
async def a_commit_of_many_partitions_is_one(stage: Stage) -> None:
    """When one record of a committed transaction is seen, the others are there too, in whatever partition."""
    topic = await stage.topic(partitions=4)
    partitions = [TopicPartition(topic, partition) for partition in range(4)]
    reader = await stage.reader(partitions[3], on=await stage.client())
    for n in range(5):
        transaction = stage.broker.log.transaction()
        for at in partitions:
            transaction.append(at, stage.records(f"{n}"))
        reading = asyncio.ensure_future(stage.read(reader, 1))
        await transaction.commit()
        await reading
        for at in partitions:
            assert values(await stage.content(at, n + 1)) == [str(number) for number in range(n + 1)]


@rule()
async def a_refused_transaction_leaves_nothing(stage: Stage) -> None:
    """A transaction of which one record is refused appends nothing anywhere."""
    topic = await stage.topic(partitions=2, record_bytes_max=20_000)
    first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
    with refused(RecordTooLarge):
        transaction = stage.broker.log.transaction()
        transaction.append(first, stage.records("a"))
        transaction.append(second, [Record(b"k", b"x" * 20_001, stage.harness.now_ms())])
        await transaction.commit()
    transaction.abort()
    with refused(UnknownTopic):
        transaction = stage.broker.log.transaction()
        transaction.append(first, stage.records("b"))
        transaction.append(TopicPartition(topic, 2), stage.records("c"))
        await transaction.commit()
    transaction.abort()
    await stage.broker.log.append(first, stage.records("after"))
    assert values(await stage.content(first, 1)) == ["after"]


@rule()
async def one_refused_transaction_harms_no_other(stage: Stage) -> None:
    """Of transactions that commit at the same time only the refused one fails."""
    at = await stage.partition()
    nowhere = TopicPartition(stage.harness.name("nothing"), 0)

    async def commit(number: int) -> bool:
        transaction = stage.broker.log.transaction()
        try:
            transaction.append(at, stage.records(str(number)))
            if number % 3 == 0:
                transaction.append(nowhere, stage.records("lost"))
            await transaction.commit()
        except UnknownTopic:
            transaction.abort()
            return False
        return True

    done = await asyncio.gather(*(commit(number) for number in range(12)))
    assert done == [bool(number % 3) for number in range(12)]
    assert sorted(values(await stage.content(at, 8)), key=int) == [str(number) for number in range(12) if number % 3]


class Desk(NamedTuple):
    """A group of one task with one input, its only member, which owns the task, and a partition to publish to."""

    group: GroupSpec
    orders: TopicPartition
    end: int
    out: TopicPartition
    member: Member
    task: Task


async def _desk(stage: Stage) -> Desk:
    orders = await stage.partition("orders")
    await stage.broker.log.append(orders, stage.records("order"))
    _, end = await stage.broker.log.bounds(orders)
    group = new_group(stage, inputs={orders.topic: 1})
    member = await sole_member(stage, group)
    task = await take_over(member, group)
    return Desk(group, orders, end, await stage.partition("out"), member, task)


@rule()
async def facts_changes_and_positions_commit_together(stage: Stage) -> None:
    """A task's facts, store changes and positions are all there after its commit."""
    desk = await _desk(stage)
    changes = [Change("spent", b"ann", b"1"), Change("spent", b"bob", b"2"), Change("seen", b"ann", b"")]
    facts = {desk.out: stage.records("paid")}
    await desk.task.transaction(facts=facts, changes=changes, moved={desk.orders: desk.end}).commit()
    assert values(await stage.content(desk.out, 1)) == ["paid"]
    assert await stage.harness.stored(desk.group, "spent", 0) == {b"ann": b"1", b"bob": b"2"}
    assert await stage.harness.stored(desk.group, "seen", 0) == {b"ann": b""}
    assert (await committed(stage, desk.group))[desk.orders] == desk.end


@rule()
async def the_next_transaction_is_filled_meanwhile(stage: Stage) -> None:
    """While a commit of a task is under way its next transaction may be filled; both come, in their order."""
    desk = await _desk(stage)
    committing: asyncio.Task[object] | None = None
    for n in range(5):
        facts = {desk.out: stage.records(f"{n}a", f"{n}b")}
        change = Change("last", b"k", str(n).encode())
        transaction = desk.task.transaction(facts=facts, changes=[change], moved={desk.orders: desk.end})
        if committing:
            await committing
        committing = asyncio.create_task(_committed(transaction))
        await asyncio.sleep(0)
    assert committing is not None
    await committing
    assert values(await stage.content(desk.out, 10)) == [f"{n}{letter}" for n in range(5) for letter in "ab"]
    assert await stage.harness.stored(desk.group, "last", 0) == {b"k": b"4"}


async def _committed(transaction: Transaction) -> object:
    return await transaction.commit()


@rule()
async def an_aborted_task_changes_nothing(stage: Stage) -> None:
    """An aborted transaction of a task leaves facts, stores and positions as they were, and the task goes on."""
    desk = await _desk(stage)
    facts = {desk.out: stage.records("aborted")}
    change = Change("spent", b"ann", b"1")
    desk.task.transaction(facts=facts, changes=[change], moved={desk.orders: desk.end}).abort()
    assert (await committed(stage, desk.group)).get(desk.orders, 0) == 0
    assert await stage.harness.stored(desk.group, "spent", 0) == {}
    await desk.task.transaction(facts={desk.out: stage.records("committed")}).commit()
    assert values(await stage.content(desk.out, 1)) == ["committed"]
    assert await stage.harness.stored(desk.group, "spent", 0) == {}


@rule()
async def the_last_change_of_a_key_holds(stage: Stage) -> None:
    """Changes apply in their order: the last one of a key holds, and None deletes it; other keys stay."""
    desk = await _desk(stage)
    steps = (
        [Change("spent", b"ann", b"1"), Change("spent", b"ann", b"2"), Change("spent", b"bob", b"1")],
        [Change("spent", b"ann", None), Change("spent", b"cyd", None), Change("spent", b"dan", b"\x00\xff")],
        [Change("spent", b"bob", None), Change("spent", b"bob", b"3")],
    )
    expected: list[dict[bytes, bytes]] = [
        {b"ann": b"2", b"bob": b"1"},
        {b"bob": b"1", b"dan": b"\x00\xff"},
        {b"bob": b"3", b"dan": b"\x00\xff"},
    ]
    for step, stored in zip(steps, expected, strict=True):
        await desk.task.transaction(changes=step).commit()
        assert await stage.harness.stored(desk.group, "spent", 0) == stored


@rule()
async def a_refused_task_commit_leaves_nothing(stage: Stage) -> None:
    """When one fact of a task's transaction is refused, none of its facts, changes and positions remains."""
    desk = await _desk(stage)
    nowhere = TopicPartition(desk.out.topic, 1)
    facts = {desk.out: stage.records("refused"), nowhere: stage.records("nowhere")}
    with refused(UnknownTopic):
        change = Change("spent", b"ann", b"1")
        await desk.task.transaction(facts=facts, changes=[change], moved={desk.orders: desk.end}).commit()
    again = await take_over(desk.member, desk.group)
    assert again.positions[desk.orders] == 0
    assert await stage.harness.stored(desk.group, "spent", 0) == {}
    await again.transaction(facts={desk.out: stage.records("after")}).commit()
    assert values(await stage.content(desk.out, 1)) == ["after"]


@rule()
async def every_input_must_be_named(stage: Stage) -> None:
    """A task's commit that names no position for one of its inputs is refused, and leaves nothing."""
    topic = await stage.topic("orders", 4)
    group = new_group(stage, tasks=2, inputs={topic: 4})
    member = await sole_member(stage, group)
    out = await stage.partition("out")
    for missing in (TopicPartition(topic, 1), TopicPartition(topic, 3)):
        task = await take_over(member, group, 1)
        with refused(BrokerError) as refusal:
            transaction = task.ownership.transaction()
            transaction.append(out, stage.records("refused"))
            transaction.positions({at: position for at, position in task.positions.items() if at != missing})
            await transaction.commit()
        assert not isinstance(refusal.error, Fenced | CommitUnknown)
    task = await take_over(member, group, 1)
    await task.transaction(facts={out: stage.records("complete")}).commit()
    assert values(await stage.content(out, 1)) == ["complete"]


@rule()
async def only_a_task_changes_stores(stage: Stage) -> None:
    """A transaction outside any task takes neither store changes nor positions."""
    at = await stage.partition()
    with refused(BrokerError):
        transaction = stage.broker.log.transaction()
        transaction.changes([Change("spent", b"ann", b"1")])
        await transaction.commit()
    with refused(BrokerError):
        transaction = stage.broker.log.transaction()
        transaction.positions({at: 0})
        await transaction.commit()


@rule("durable")
async def commits_survive_a_restart(stage: Stage) -> None:
    """Facts, changes and positions that were committed are there after every client has gone; open work is not."""
    desk = await _desk(stage)
    for value in ("paid", "unfinished"):
        facts = {desk.out: stage.records(value)}
        change = Change("spent", b"ann", value.encode())
        transaction = desk.task.transaction(facts=facts, changes=[change], moved={desk.orders: desk.end})
        if value == "paid":
            await transaction.commit()
    await stage.restart()
    assert await stage.harness.stored(desk.group, "spent", 0) == {b"ann": b"paid"}
    again = await take_over(await join(stage, desk.group), desk.group)
    assert again.positions[desk.orders] == desk.end
    assert again.ownership.epoch > desk.task.ownership.epoch
    await again.transaction(facts={desk.out: stage.records("after")}).commit()
    assert values(await stage.content(desk.out, 2)) == ["paid", "after"]


@rule()
async def at_least_once_facts_and_positions_are_committed(stage: Stage) -> None:
    """At least once, a commit returns when its facts are there and its positions are where the next owner begins."""
    orders, out = await stage.partition("orders"), await stage.partition("out")
    group = loose(new_group(stage, inputs={orders.topic: 1}))
    member = await sole_member(stage, group)
    task = await take_over(member, group)
    assert orders not in task.ownership.positions
    await stage.broker.log.append(orders, stage.records("1", "2"))
    end = (await stage.broker.log.bounds(orders))[1]
    firsts = await task.transaction(facts={out: stage.records("a", "b")}, moved={orders: end}).commit()
    assert values(await stage.content(out, 2)) == ["a", "b"]
    assert firsts[out] == 0
    await member.leave()
    task = await take_over(await sole_member(stage, group), group)
    assert task.ownership.positions[orders] == end
    with refused(CommitRefused):
        await task.ownership.transaction().commit()


@rule()
async def at_least_once_changes_are_kept_or_refused(stage: Stage) -> None:
    """At least once, an owner says whether it remembers: store changes are then kept, and otherwise refused at once."""
    group = loose(new_group(stage))
    task = await take_over(await sole_member(stage, group), group)
    change = Change("s", b"k", b"v")
    if task.ownership.remembers:
        await task.transaction(changes=[change]).commit()
        assert await stage.harness.stored(group, "s", 0) == {b"k": b"v"}
    else:
        with refused(BrokerError):
            task.transaction(changes=[change])


@rule()
async def a_stopped_group_changes_its_delivery(stage: Stage) -> None:
    """From exactly once to at least once and back, a group that was stopped goes on where it stood."""
    orders = await stage.partition("orders")
    exact = new_group(stage, inputs={orders.topic: 1})
    completed = Change("$completed", f"{orders.topic}/0".encode(), b"set")
    end = 0
    for group in (exact, loose(exact), loose(exact), exact, loose(exact)):
        member = await sole_member(stage, group)
        task = await take_over(member, group)
        assert task.ownership.positions.get(orders, 0) == end
        changes = [completed] if group is exact else ()
        await stage.broker.log.append(orders, stage.records("one more"))
        end = (await stage.broker.log.bounds(orders))[1]
        await task.transaction(changes=changes, moved={orders: end}).commit()
        await member.leave()
    if not task.ownership.remembers:
        assert await stage.harness.stored(exact, "$completed", 0) == {}
