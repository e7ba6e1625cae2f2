"""A move between two files, rule by rule; the brokers are real ones, in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from mainstem.broker import (
    COMPLETED_STORE,
    Change,
    GroupSpec,
    Ownership,
    Record,
    TopicPartition,
    TopicSpec,
    completed_key,
    inbox_of,
    read_all,
)
from mainstem.broker.sqlite import SqliteBroker
from mainstem.clock import ManualClock
from mainstem.delivery import HANDLERS_STORE, PARKING_STORE
from mainstem.delivery.failures.letters import row_of
from mainstem.delivery.ledger import Completed
from mainstem.delivery.roster.roster import Known
from mainstem.errors import BrokerError, DatabaseMoved, Fenced, TopicExists
from mainstem.events import identity
from mainstem.identifiers import Identifiers
from mainstem.migration import Journey, Move
from mainstem.migration import topics as topics_module
from mainstem.migration.mover import Copied, moving

ORDERS = TopicPartition("orders", 0)
INBOX = TopicPartition(inbox_of("shop"), 0)
GROUP = GroupSpec("shop", "shop", 1, {"orders": 1})


class Both:
    """Where everything is, and where it goes."""

    def __init__(self, source: SqliteBroker, target: SqliteBroker, clock: ManualClock) -> None:
        self.source, self.target, self.clock = source, target, clock

    @property
    def journey(self) -> Journey:
        """From one to the other."""
        identifiers, shared = Identifiers(self.clock), frozenset({"catalogue"})
        return Journey(self.source, self.target, "kafka://b:9092", self.clock, identifiers, lambda _: None, shared)

    async def gapped(self) -> None:
        """Ten records in the source, of which compaction has left the offsets 3, 4, 8 and 9."""
        await self.source.admin.create(TopicSpec("orders", 1, compact=True))
        for key in (b"a", b"b", b"a", b"a", b"c", b"b", b"d", b"d", b"b", b"d"):
            await self.source.log.append(ORDERS, [Record(key, key * 2, 5)])
        await self.source.maintain()

    async def owner(self, broker: SqliteBroker) -> Ownership:
        """Own the only task of the group."""
        membership = await broker.group.join(GROUP)
        while 0 not in await membership.assignment():
            pass
        return await membership.take_over(0)


@asynccontextmanager
async def both(clock: ManualClock) -> AsyncIterator[Both]:
    """Two brokers in memory, open."""
    source, target = SqliteBroker(None, clock=clock), SqliteBroker(None, clock=clock)
    await source.open()
    await target.open()
    try:
        yield Both(source, target, clock)
    finally:
        await source.close()
        await target.close()


async def test_offsets_are_translated_wherever_they_are_kept(clock: ManualClock) -> None:
    """Position, completed set and a handler's first offset name the same records on the other side."""
    async with both(clock) as side:
        await side.gapped()
        description = (await side.source.admin.topics(["orders"]))["orders"]
        remaining = [offset async for batch in read_all(side.source, "orders") for offset in batch.offsets]
        assert remaining == [3, 4, 8, 9]
        ownership = await side.owner(side.source)
        completed = Completed(description.topic_id, 4, [(6, 8)])
        transaction = ownership.transaction()
        transaction.changes(
            [
                Change(COMPLETED_STORE, completed_key(ORDERS), msgspec.msgpack.encode(completed)),
                Change(HANDLERS_STORE, b"tally", msgspec.msgpack.encode(Known({"orders/0": 9}))),
                Change("totals", b"a", b"12"),
            ]
        )
        transaction.positions({INBOX: 0, ORDERS: 4})
        await transaction.commit()
        move = await side.journey.go()
        assert move.finished, move
        group = (await side.target.admin.groups())["shop"]
        assert group.positions == {INBOX: 0, ORDERS: 1}
        rows = side.target.rows("shop", 0)
        there = (await side.target.admin.topics(["orders"]))["orders"]
        found = msgspec.msgpack.decode(rows.get(COMPLETED_STORE, completed_key(ORDERS)) or b"", type=Completed)
        assert found == Completed(there.topic_id, 1, [(2, 2)])
        assert msgspec.msgpack.decode(rows.get(HANDLERS_STORE, b"tally") or b"", type=Known) == Known({"orders/0": 3})
        assert rows.get("totals", b"a") == b"12"
        assert there.spec == description.spec


async def test_a_record_without_an_id_keeps_the_one_that_it_has(clock: ManualClock) -> None:
    """The id that follows from where it stood goes with it; every other header, key, value and time is the same."""
    async with both(clock) as side:
        await side.gapped()
        await side.source.log.append(ORDERS, [Record(None, None, 9, {"x": b"1"}, {"ce_id": b"own"})])
        assert (await side.journey.go()).finished
        records = [
            batch.record(index) async for batch in read_all(side.target, "orders") for index in range(len(batch))
        ]
        headers = [{**record.common, **record.own} for record in records]
        ids = [identity(None, "orders", 0, offset).encode() for offset in (3, 4, 8, 9)]
        assert headers == [*({"ce_id": each} for each in ids), {"x": b"1", "ce_id": b"own"}]
        assert [(record.key, record.value, record.timestamp_ms) for record in records] == [
            *((key, key * 2, 5) for key in (b"a", b"c", b"b", b"d")),
            (None, None, 9),
        ]


async def test_a_target_that_has_something_of_these_names_is_refused_before_anything_happens(
    clock: ManualClock,
) -> None:
    """The source stays open, and the target as it was."""
    async with both(clock) as side:
        await side.gapped()
        await side.target.admin.create(TopicSpec("orders", 3))
        with pytest.raises(TopicExists, match="orders"):
            await side.journey.go()
        assert side.source.moved() is None
        assert list(await side.target.admin.topics()) == ["orders"]


async def test_from_its_beginning_a_move_keeps_everybody_from_committing(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An owner that is at work when the move begins is refused, and when it stops; undoing lets it in."""
    async with both(clock) as side:
        await side.gapped()
        ownership = await side.owner(side.source)

        async def interrupted(*_: object) -> None:
            raise OSError("the power went")

        with monkeypatch.context() as patched:
            patched.setattr(topics_module, "copy", interrupted)
            with pytest.raises(OSError, match="power"):
                await side.journey.go()
        for _ in range(2):
            transaction = ownership.transaction()
            transaction.positions({INBOX: 0, ORDERS: 3})
            with pytest.raises(DatabaseMoved, match="is being moved"):
                await transaction.commit()
        assert await side.journey.undo()
        transaction = ownership.transaction()
        transaction.positions({INBOX: 0, ORDERS: 3})
        await transaction.commit()
        assert not await side.journey.undo()
        assert list(await side.target.admin.topics()) == ["mainstem.moves"]


async def test_an_interrupted_move_goes_on_behind_what_is_copied(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records and the diary's line about them are there together, so nothing comes twice."""
    async with both(clock) as side:
        await side.source.admin.create(TopicSpec("orders", 2))
        for number in range(40):
            await side.source.log.append(TopicPartition("orders", number % 2), [Record(b"k", b"%d" % number, 5)] * 25)
        monkeypatch.setattr(topics_module, "RECORDS_AT_ONCE", 100)
        heard = 0

        def interrupt(count: int) -> None:
            nonlocal heard
            heard += count
            if heard >= 300:
                raise OSError("the power went")

        with pytest.raises(OSError, match="power"):
            await msgspec.structs.replace(side.journey, heard=interrupt).go()
        counted = 0

        def count(copied: int) -> None:
            nonlocal counted
            counted += copied

        move = await msgspec.structs.replace(side.journey, heard=count).go()
        assert move.finished
        # What is left is copied, and then everything compared.
        assert counted == (1_000 - heard) + 1_000
        values = [value or b"" async for batch in read_all(side.target, "orders") for value in batch.values]
        assert sorted(values) == sorted([b"%d" % number for number in range(40)] * 25)


async def test_of_two_movers_the_later_one_moves(clock: ManualClock) -> None:
    """Whoever was there first is fenced, so two commands given at once do not copy everything twice."""
    async with both(clock) as side:

        async def overtake() -> None:
            async with moving(side.target, "m-1") as first, moving(side.target, "m-1") as second:
                await second.write(Copied("m-1", []))
                await first.write(Copied("m-1", []))

        with pytest.raises(Fenced):
            await overtake()


@pytest.mark.parametrize("change", ["append", "take over"])
async def test_the_way_back_is_closed_by_whoever_uses_the_target(clock: ManualClock, change: str) -> None:
    """A record that was published there, or a task that was taken over there, keeps the source closed."""
    async with both(clock) as side:
        await side.gapped()
        ownership = await side.owner(side.source)
        transaction = ownership.transaction()
        transaction.positions({INBOX: 0, ORDERS: 3})
        await transaction.commit()
        assert (await side.journey.go()).finished
        if change == "append":
            await side.target.log.append(ORDERS, [Record(b"a", b"new", 5)])
        else:
            await side.owner(side.target)
        with pytest.raises(BrokerError, match="has been used since the move"):
            await side.journey.undo()
        assert await side.journey.go() == Move(side.source.moved().move, [], finished=True)  # type: ignore[union-attr]


async def test_sides_that_differ_are_told_and_nothing_is_finished(clock: ManualClock) -> None:
    """What somebody else has put into the copy is found, and the retention of the topic stays off."""
    async with both(clock) as side:
        await side.source.admin.create(TopicSpec("orders", 1, retention_ms=60_000))
        await side.source.log.append(ORDERS, [Record(b"a", b"1", clock.now_ms())])
        journey = side.journey

        async def go() -> Move:
            intruder = side.target.log.append(ORDERS, [Record(b"a", b"2", clock.now_ms())])
            await intruder
            return await journey.go()

        def nothing(_count: int) -> None:
            raise OSError("the power went")

        with pytest.raises(OSError, match="power"):
            await msgspec.structs.replace(journey, heard=nothing).go()
        move = await go()
        assert not move.finished
        assert [(each.name, each.count, each.count_there, each.equal) for each in move.likenesses] == [
            ("orders", 1, 2, False)
        ]
        assert (await side.target.admin.topics(["orders"]))["orders"].spec.retention_ms is None
        assert side.source.moved() is not None


@pytest.mark.parametrize(("offset", "refused"), [(2, False), (3, True)])
@pytest.mark.parametrize("place", [b"o", b"a\x00\x00\x00\x02k/"])
async def test_a_dead_letter_that_waits_alone_is_refused_where_another_event_would_have_its_name(
    clock: ManualClock, place: bytes, offset: int, *, refused: bool
) -> None:
    """It is called by its old offset; only below the new position will no other event get that."""
    async with both(clock) as side:
        await side.gapped()
        ownership = await side.owner(side.source)
        transaction = ownership.transaction()
        transaction.changes([Change(PARKING_STORE, row_of("tally", place + b"orders/0/%d" % offset), b"\x90")])
        transaction.positions({INBOX: 0, ORDERS: 9})
        await transaction.commit()
        if refused:
            with pytest.raises(BrokerError, match="waits alone"):
                await side.journey.go()
        else:
            assert (await side.journey.go()).finished
