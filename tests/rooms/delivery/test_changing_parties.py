"""Parties whose handlers come, go and part while events of theirs wait; and letters that come back from elsewhere."""

import msgspec
import pytest
from msgspec.structs import replace

from mainstem.broker import Change
from mainstem.delivery import Command, Context, Processor, Retry, Store, decode_page
from mainstem.delivery.guards import COUNT_STORE
from mainstem.delivery.roster import FORMAT
from mainstem.errors import DefinitionError
from mainstem.state import Timer
from tests.rooms.delivery.stage import QUICK, Paid, Running, Stage, on, staged, until

K = b"kk"
ONE, TWO = frozenset({"one"}), frozenset({"two"})
one = Store("one", list[str])
two = Store("two", list[str])
BOTH = [one, two]


def noting(name: str, *, fails: bool = False, store: Store[list[str]] = one, **options: object) -> Processor:
    """A handler that notes what it has handled, or fails at everything."""

    async def handle(paid: Paid, context: Context) -> None:
        context.put(store, [*context.get(store, []), f"{name}{paid.n}"])
        if fails:
            raise ValueError(name)

    return on(Paid, name=name, retry=Retry.never(), **options)(handle)


async def redrive(stage: Stage, running: Running, handler: str, place: bytes = K) -> None:
    """Handle what is parked under a name, to its end."""
    await stage.command(Command("c", "redrive", handler, place))
    await stage.settled(running)


async def test_a_handler_that_is_added_waits_with_its_party() -> None:
    """It is not owed what was parked before it came; its own events wait behind that."""
    async with staged() as stage:
        await stage.publish(Paid("k", 0), Paid("k", 1))
        await stage.run(noting("a", fails=True), noting("b"), stores=[one])
        await stage.publish(Paid("k", 2))
        await stage.run(noting("a"), noting("b"), noting("c"), stores=[one])
        assert stage.stored(one, "k") is None
        async with stage.running(noting("a"), noting("b"), noting("c"), stores=[one]) as running:
            await redrive(stage, running, "a")
        assert stage.stored(one, "k") == ["a0", "b0", "a1", "b1", "a2", "b2", "c2"]


@pytest.mark.parametrize("dev", [False, True])
async def test_a_handler_that_is_owed_what_another_has_parked_is_not_forgotten(*, dev: bool) -> None:
    """Its events wait under the other's name, and still nobody may take it away in silence."""
    async with staged() as stage:
        await stage.publish(Paid("k", 0))
        await stage.run(noting("a", fails=True), noting("b"), stores=[one])
        with pytest.raises(DefinitionError, match="nobody registers: 'b'"):
            await stage.run(noting("a"), stores=[one], dev=dev)


async def test_those_that_part_wait_until_what_they_share_is_worked_off() -> None:
    """A handler that is owed events of a sequence stays behind it, whatever it states meanwhile."""
    async with staged() as stage:
        await stage.publish(Paid("k", 0))
        await stage.run(noting("a", fails=True), noting("b", store=two), stores=BOTH)
        apart = noting("a", stores=ONE), noting("b", store=two, stores=TWO)
        await stage.publish(Paid("k", 1))
        async with stage.running(*apart, stores=BOTH) as running:
            await stage.settled(running)
            assert stage.stored(two, "k") is None
            await redrive(stage, running, "a")
        assert (stage.stored(one, "k"), stage.stored(two, "k")) == (["a0", "a1"], ["b0", "b1"])


async def test_those_that_grow_together_wait_behind_their_own_events() -> None:
    """Each had parked the key for itself: no event of theirs goes in front of an earlier one."""
    async with staged() as stage:
        await stage.publish(Paid("k", 0))
        await stage.run(
            noting("a", fails=True, stores=ONE), noting("b", fails=True, store=two, stores=TWO), stores=BOTH
        )
        await stage.publish(Paid("k", 1))
        async with stage.running(noting("a"), noting("b", store=two), noting("c", store=two), stores=BOTH) as running:
            await stage.settled(running)
            await redrive(stage, running, "b")
            assert (stage.stored(one, "k"), stage.stored(two, "k")) == (None, ["b0", "b1"])
            await stage.publish(Paid("k", 2))
            await stage.settled(running)
            assert stage.stored(two, "k") == ["b0", "b1"]
            await redrive(stage, running, "a")
        assert stage.stored(one, "k") == ["a0", "a1", "a2"]
        assert stage.stored(two, "k") == ["b0", "b1", "c1", "b2", "c2"]


async def test_a_timer_that_fails_lets_its_party_wait() -> None:
    """The first failure may be a firing; events of the key wait behind it, and run behind it."""
    async with staged() as stage:
        failing = [True]

        @on(timer="ring", retry=Retry.never())
        async def ring(timer: Timer, context: Context) -> None:
            context.put(one, [*context.get(one, []), timer.name])
            if failing[0]:
                raise ValueError("ring")

        @on(Paid, stores=frozenset())
        async def wake(paid: Paid, context: Context) -> None:
            if paid.n == 0:
                context.wake("ring", after="1ms")

        async with stage.running(wake, ring, noting("a"), stores=[one]) as running:
            await stage.publish(Paid("k", 0))
            await until(lambda: bool(stage.rows("$parking")))
            await stage.publish(Paid("k", 1))
            await stage.settled(running)
            assert stage.stored(one, "k") == ["a0"]
            failing[0] = False
            await redrive(stage, running, "ring")
        assert stage.stored(one, "k") == ["a0", "ring", "a1"]


async def test_an_event_that_waits_for_several_is_one_letter() -> None:
    """The bound counts events, not those who wait for them; at it the task reads no more, and below it goes on."""
    settings = replace(QUICK, parked_events_most=3)
    async with staged() as stage:
        handlers = noting("a", fails=True), noting("b"), noting("c")
        async with stage.running(*handlers, stores=[one], settings=settings) as running:
            await stage.publish(Paid("k", 0), Paid("k", 1))
            await stage.settled(running)
            assert stage.rows(COUNT_STORE) == [(b"count", b"2")]
            [task] = running.runner.tasks.values()
            assert not task.paused
            await stage.publish(Paid("k", 2))
            await until(lambda: bool(task.paused) and len(stage.rows("$parked")) == 3)
            await stage.command(Command("c", "discard", "a", K, "enough"))
            await until(lambda: not task.paused)
            await stage.settled(running)
        assert stage.rows(COUNT_STORE) == stage.rows("$parked") == []


async def archived(stage: Stage, running: Running, place: bytes = K) -> Command:
    """Read a dead sequence of ``a`` and discard it; the command that restores it."""
    assert await stage.said(running, Command("r", "read", "a", place))
    page = decode_page((await stage.answers())[-1].contents)
    assert await stage.said(running, Command("d", "discard", "a", place, "for now"))
    assert stage.rows("$parked") == []
    return Command("b", "restore", "a", place, letters=tuple(page.letters), failure=page.failure, archive="f")


async def test_what_is_restored_is_owed_to_all_that_it_was_owed_to() -> None:
    """Nobody handles an event twice, and nobody goes without; the order of the key is kept."""
    async with staged() as stage:
        await stage.publish(Paid("k", 0), Paid("k", 1))
        await stage.run(noting("a", fails=True), noting("b"), stores=[one])
        async with stage.running(noting("a"), noting("b"), stores=[one]) as running:
            restore = await archived(stage, running)
            assert await stage.said(running, restore) == "restore: 2 events"
            entry = (await stage.entries())[-1]
            assert entry is not None
            assert (entry.status, entry.owes, entry.waiting) == ("dead-lettered", ("a", "b"), 2)
            await stage.publish(Paid("k", 2))
            await stage.settled(running)
            assert stage.stored(one, "k") is None
            await redrive(stage, running, "a")
        assert stage.stored(one, "k") == ["a0", "b0", "a1", "b1", "a2", "b2"]


async def test_a_letter_that_waits_alone_comes_back_alone() -> None:
    """Restored, it holds up nobody, as before."""
    async with staged() as stage:
        await stage.publish(Paid("k", 0))
        await stage.run(noting("a", fails=True, order="none"), noting("b"), stores=[one])
        [entry] = await stage.entries()
        assert entry is not None
        async with stage.running(noting("a", order="none"), noting("b"), stores=[one]) as running:
            restore = await archived(stage, running, entry.place)
            assert await stage.said(running, restore) == "restore: 1 events"
            await stage.publish(Paid("k", 1))
            await stage.settled(running)
            assert stage.stored(one, "k") == ["b0", "a1", "b1"]
            await redrive(stage, running, "a", entry.place)
        assert stage.stored(one, "k") == ["b0", "a1", "b1", "a0"]


async def test_letters_are_not_restored_where_the_order_would_suffer() -> None:
    """Not behind another sequence of the party, and not for a handler that is not there."""
    async with staged() as stage:
        await stage.publish(Paid("k", 0))
        await stage.run(noting("a", fails=True), noting("b"), stores=[one])
        async with stage.running(noting("a"), noting("b", fails=True), stores=[one]) as running:
            restore = await archived(stage, running)
            await stage.publish(Paid("k", 1))
            await stage.settled(running)
            refused = await stage.said(running, restore)
            assert "events wait there for b, with which a waits" in refused
            stranger = replace(restore.letters[0], owed=("z",))
            refused = await stage.said(running, replace(restore, letters=(stranger,)))
            assert "z, which has yet to handle some of it, is no handler of this group" in refused
        assert len(stage.rows("$parked")) == 1


async def test_an_edited_letter_is_owed_as_before() -> None:
    """The value changes, not who has yet to handle it."""
    async with staged() as stage:
        await stage.publish(Paid("k", 0))
        await stage.run(noting("a", fails=True), noting("b"), stores=[one])
        [entry] = await stage.entries()
        assert entry is not None
        new = (entry.letter.value or b"").replace(b'"n":0', b'"n":7')
        async with stage.running(noting("a"), noting("b"), stores=[one]) as running:
            edit = Command("e", "edit", "a", K, origin=entry.letter.origin, value=new)
            assert await stage.said(running, edit) == "edit: 1 events"
            await redrive(stage, running, "a")
        assert stage.stored(one, "k") == ["a7", "b7"]


async def test_what_the_first_format_has_parked_is_worked_off() -> None:
    """What names nobody is owed to the handler of its sequence; the books say the new format then."""
    async with staged() as stage:
        await stage.publish(Paid("k", 0), Paid("k", 1))
        await stage.run(noting("a", fails=True), stores=[one])
        await to_first_format(stage)
        await stage.run(noting("a"), noting("b"), stores=[one])
        [(_, edition)] = stage.rows("$edition")
        assert msgspec.msgpack.decode(edition)["format"] == FORMAT
        async with stage.running(noting("a"), noting("b"), stores=[one]) as running:
            await stage.publish(Paid("k", 2))
            await stage.settled(running)
            assert stage.stored(one, "k") is None
            await redrive(stage, running, "a")
        assert stage.stored(one, "k") == ["a0", "a1", "a2", "b2"]


async def to_first_format(stage: Stage) -> None:
    """Take out of the task's store what the first format did not know."""
    changes = []
    for store, strange in (("$parked", "owed"), ("$parking", "owes"), ("$edition", "")):
        for key, row in stage.rows(store):
            fields = msgspec.msgpack.decode(row)
            fields.pop(strange, None)
            changes.append(Change(store, key, msgspec.msgpack.encode(fields | ({"format": 1} if not strange else {}))))
    assert {each.store for each in changes} == {"$parked", "$parking", "$edition"}
    membership = await stage.broker.group.join(stage.plan(noting("a")).spec(QUICK))
    ownership = await membership.take_over(0)
    transaction = ownership.transaction()
    transaction.changes(changes)
    transaction.positions(ownership.positions)
    await transaction.commit()
    await membership.leave()
