"""A move that ends at any of its steps, before or after it has taken effect, is carried on without doubles."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from mainstem.broker import Change, GroupSpec, Record, TopicPartition, TopicSpec, inbox_of, read_all
from mainstem.broker.sqlite import SqliteBroker
from mainstem.broker.sqlite.admin import SqliteAdmin
from mainstem.broker.sqlite.group import SqliteGroup, SqliteMembership
from mainstem.broker.sqlite.transaction import SqliteTransaction
from mainstem.clock import ManualClock
from mainstem.errors import DatabaseMoved
from mainstem.migration import topics as topics_module
from mainstem.migration.mover import Copied, Diary, Line
from tests.rooms.migration.test_move import GROUP, INBOX, ORDERS, Both, both

STEPS: list[tuple[type, str]] = [
    (SqliteBroker, "stamp"),
    (SqliteAdmin, "create"),
    (SqliteAdmin, "alter"),
    (SqliteAdmin, "topics"),
    (SqliteAdmin, "groups"),
    (SqliteAdmin, "delete_group"),
    (SqliteGroup, "join"),
    (SqliteMembership, "take_over"),
    (SqliteMembership, "release"),
    (SqliteTransaction, "commit"),
]
LIMITED = TopicSpec("limited", 2, retention_ms=86_400_000, record_bytes_max=20_000, retention_bytes=50_000_000)


class Killed(BaseException):
    """As if the process had been killed here."""


class Trap:
    """Lets the process end at one of its steps: before it has any effect, or just behind it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int, *, behind: bool) -> None:
        self._left = at
        for owner, name in STEPS:
            # Of a process that has ended no member lives. This one goes on, so it must not have joined.
            monkeypatch.setattr(owner, name, self._watched(getattr(owner, name), behind=behind and name != "join"))

    def _watched(self, real: Callable[..., Any], *, behind: bool) -> Callable[..., Any]:
        async def watched(*arguments: Any, **options: Any) -> Any:
            self._left -= 1
            if not self._left and not behind:
                raise Killed
            found = await real(*arguments, **options)
            if not self._left:
                raise Killed
            return found

        return watched

    @property
    def sprung(self) -> bool:
        """Whether there was such a step."""
        return self._left <= 0


async def filled(side: Both) -> None:
    """Topics with records in several transactions, one of them limited; a group with memory and positions."""
    for spec in (TopicSpec("orders", 1), LIMITED, TopicSpec("catalogue", 1, compact=True)):
        await side.source.admin.create(spec)
    for key in (b"shop", b"bank"):
        await side.source.log.append(TopicPartition("catalogue", 0), [Record(key, b"entry", 1)])
    for number in range(12):
        for at in (ORDERS, TopicPartition("limited", number % 2)):
            await side.source.log.append(at, [Record(b"k%d" % (number % 3), b"%d" % number, side.clock.now_ms())])
    ownership = await side.owner(side.source)
    transaction = ownership.transaction()
    transaction.changes([Change("totals", b"k%d" % number, b"%d" % number) for number in range(3)])
    transaction.positions({INBOX: 0, ORDERS: 7})
    await transaction.commit()


async def contents(broker: SqliteBroker) -> dict[str, object]:
    """Everything that is to be the same on both sides."""
    topics = {name: each for name, each in (await broker.admin.topics()).items() if not name.startswith("mainstem.")}
    records = {
        name: [
            (batch.partition, key, value)
            async for batch in read_all(broker, name)
            for key, value in zip(batch.keys, batch.values, strict=True)
        ]
        for name in topics
    }
    rows = broker.rows("shop", 0)
    totals = [rows.get("totals", b"k%d" % number) for number in range(3)]
    groups = {name: each.positions for name, each in (await broker.admin.groups()).items()}
    specs = {name: each.spec for name, each in topics.items()}
    return {"specs": specs, "records": {k: sorted(v) for k, v in records.items()}, "totals": totals, "groups": groups}


@pytest.mark.parametrize("behind", [False, True])
async def test_a_move_may_end_at_any_of_its_steps(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch, *, behind: bool
) -> None:
    """The same command carries it on, whatever had been done: all is there once, and every limit as it was."""
    monkeypatch.setattr(topics_module, "RECORDS_AT_ONCE", 5)
    step, sprung = 0, True
    while sprung:
        step += 1
        async with both(clock) as side:
            await filled(side)
            before = await contents(side.source)
            with monkeypatch.context() as patched:
                trap = Trap(patched, step, behind=behind)
                with suppress(Killed):
                    await side.journey.go()
                sprung = trap.sprung
            move = await side.journey.go()
            assert move.finished, f"step {step}: {move}"
            assert await contents(side.target) == before, f"step {step}"
    assert step > 30, "the trap has been sprung at each of them"


async def test_without_what_the_diary_says_of_the_copies_they_come_twice(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the offsets that are recorded with the records that keep them from doubling; and the comparison sees it."""
    monkeypatch.setattr(topics_module, "RECORDS_AT_ONCE", 5)
    real = Diary.take_in

    def forgetful(diary: Diary, line: Line) -> None:
        if not isinstance(line, Copied):
            real(diary, line)

    async with both(clock) as side:
        await filled(side)

        def interrupt(_count: int) -> None:
            raise Killed

        with pytest.raises(Killed):
            await msgspec.structs.replace(side.journey, heard=interrupt).go()
        monkeypatch.setattr(Diary, "take_in", forgetful)
        move = await side.journey.go()
        assert not move.finished
        assert any(each.count_there > each.count for each in move.likenesses)


async def publish(side: Both) -> None:
    """An append outside any task."""
    await side.source.log.append(ORDERS, [Record(b"k", b"late", 5)])


async def transact(side: Both) -> None:
    """A transaction outside any task."""
    transaction = side.source.log.transaction()
    transaction.append(ORDERS, [Record(b"k", b"late", 5)])
    await transaction.commit()


async def join(side: Both) -> None:
    """A new member of a group that is there."""
    await side.source.group.join(GROUP)


async def found_a_group(side: Both) -> None:
    """A group that has never been there."""
    await side.source.group.join(GroupSpec("late", "late", 1, {"orders": 1}))


async def create(side: Both) -> None:
    """A topic that has never been there."""
    await side.source.admin.create(TopicSpec("late"))


async def alter(side: Both) -> None:
    """Another retention."""
    await side.source.admin.alter(TopicSpec("orders", 1, retention_ms=5))


async def delete(side: Both) -> None:
    """A topic that has been moved."""
    await side.source.admin.delete("orders")


async def reset(side: Both) -> None:
    """The positions of a group."""
    await side.source.admin.reset("shop", {ORDERS: 0})


async def delete_group(side: Both) -> None:
    """A group that has been moved."""
    await side.source.admin.delete_group("shop")


@pytest.mark.parametrize(
    "write",
    [publish, transact, join, found_a_group, create, alter, delete, reset, delete_group],
    ids=lambda f: f.__name__,
)
async def test_after_a_move_the_source_takes_nothing(clock: ManualClock, write: Callable[[Both], Any]) -> None:
    """Whatever would change the file is refused, with where the data is now, and has changed nothing."""
    async with both(clock) as side:
        await filled(side)
        assert (await side.journey.go()).finished
        before = await contents(side.source)
        with pytest.raises(DatabaseMoved, match=side.journey.to):
            await write(side)
        assert await contents(side.source) == before
        assert inbox_of("late") not in await side.source.admin.topics()
