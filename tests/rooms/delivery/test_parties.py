"""Handlers that share a store wait together for a key; those that waive the order do not."""

import pytest

from mainstem.delivery import Command, Context, Processor, Retirement, Retry, Store, faults_of
from mainstem.errors import DefinitionError, StoreRefused
from mainstem.service import Handlers
from mainstem.state import Timer
from tests.rooms.delivery.stage import GROUP, Paid, Stage, Told, on, staged, until

LATER = Retry.on(ConnectionError).later("1ms").also_on(ValueError)
K = b"kk"
SEEN, OTHER = frozenset({"seen"}), frozenset({"other"})
seen = Store("seen", list[str])
other = Store("other", list[str])


def noting(name: str, fails: dict[int, int], *, retry: Retry = LATER, **options: object) -> Processor:
    """A handler that notes in the store they share what it has handled; it fails at some events so many times."""

    async def handle(paid: Paid, context: Context) -> None:
        context.put(seen, [*context.get(seen, []), f"{name}{paid.n}"])
        if fails.get(paid.n, 0) > 0:
            fails[paid.n] -= 1
            raise ValueError(paid.n) if retry is not LATER else ConnectionError

    return on(Paid, name=name, retry=retry, **options)(handle)


async def redrive(stage: Stage, handler: str) -> None:
    """Ask for what is parked under a name."""
    await stage.command(Command("c", "redrive", handler, K))


@pytest.mark.parametrize(
    ("failing", "expected"),
    [
        ("a", ["a0", "b0", "a1", "b1", "a2", "b2"]),
        ("b", ["a0", "b0", "a1", "b1", "a2", "b2"]),
    ],
)
async def test_the_first_failure_parks_the_key_for_all_that_share_the_store(failing: str, expected: list[str]) -> None:
    """Whoever fails, the others wait for it, and the store sees what it would have seen without a failure."""
    async with staged() as stage:
        await stage.publish(*(Paid("k", n) for n in range(3)))
        handlers = [noting(each, {0: 1} if each == failing else {}) for each in "ab"]
        async with stage.running(*handlers, stores=[seen]) as running:
            await stage.settled(running)
            await until(lambda: not (stage.rows("$parking") or (stage.stored(seen, "k") or [])[-1:] != ["b2"]))
        assert stage.stored(seen, "k") == expected
        assert stage.rows("$parked") == []
        assert await stage.history() == ["parked", "over"]


async def test_who_is_through_when_another_fails_is_not_run_again() -> None:
    """A letter owes those only that have not handled its event; the entry names who has yet to handle any."""
    async with staged() as stage:
        await stage.publish(Paid("k", 0), Paid("k", 1))
        a, b = noting("a", {}), noting("b", {0: 1}, retry=Retry.never())
        async with stage.running(a, b, stores=[seen]) as running:
            await stage.settled(running)
            assert stage.stored(seen, "k") == ["a0"]
            entry = (await stage.entries())[-1]
            assert entry is not None
            assert (entry.handler, entry.owes, entry.status) == ("b", ("b",), "dead-lettered")
            await redrive(stage, "b")
            await stage.settled(running)
        assert stage.stored(seen, "k") == ["a0", "b0", "a1", "b1"]
        [told] = [each for each in await stage.entries() if each is not None and each.status == "redriven"]
        assert told.owes == ("b", "a")


async def test_a_later_one_that_fails_keeps_what_is_still_owed() -> None:
    """In one working off the first succeeds and the second fails: the first is not run again for that event."""
    async with staged() as stage:
        await stage.publish(Paid("k", 0), Paid("k", 1))
        a = noting("a", {0: 1}, retry=Retry.never())
        b = noting("b", {0: 1}, retry=Retry.never())
        async with stage.running(a, b, stores=[seen]) as running:
            await stage.settled(running)
            await redrive(stage, "a")
            await stage.settled(running)
            assert stage.stored(seen, "k") == ["a0"]
        async with stage.running(a, b, stores=[seen]) as running:  # whoever takes over finds it so
            await redrive(stage, "a")
            await stage.settled(running)
        assert stage.stored(seen, "k") == ["a0", "b0", "a1", "b1"]
        assert await stage.history() == ["dead-lettered", "redriven", "dead-lettered", "redriven", "over"]


async def test_who_states_another_store_does_not_wait() -> None:
    """Parties are connected by stores: a handler that states one of its own goes on."""
    async with staged() as stage:
        await stage.publish(Paid("k", 0), Paid("k", 1))

        @on(Paid, stores=OTHER)
        async def apart(paid: Paid, context: Context) -> None:
            context.put(other, [*context.get(other, []), f"{paid.n}"])

        @on(Paid)
        async def without_context(paid: Paid) -> Told:
            return Told(f"{paid.n}")

        a = noting("a", {0: 9}, retry=Retry.never(), stores=SEEN)
        await stage.run(a, apart, without_context, noting("b", {}, stores=SEEN), stores=[seen, other])
        assert stage.stored(other, "k") == ["0", "1"]
        assert await stage.told() == ["0", "1"]
        assert stage.stored(seen, "k") is None


async def test_a_store_that_is_not_stated_cannot_be_used() -> None:
    """What a handler states is what it may use: otherwise others would not wait for it that have to."""
    async with staged() as stage:
        await stage.publish(Paid("k", 0))
        await stage.run(noting("a", {}, stores=OTHER), stores=[seen, other])
        [entry] = await stage.entries()
        assert entry is not None
        assert entry.failure.error_type == StoreRefused.__name__
        assert "stores=" in entry.failure.error
        assert "states the store 'other'" in str(faults_of(stage.plan(noting("a", {}, stores=OTHER), stores=[seen])))


async def test_a_timer_of_the_party_waits_too() -> None:
    """A firing runs behind the events that its handler's party has parked."""
    async with staged() as stage:
        await stage.publish(Paid("k", 0))

        @on(timer="ring")
        async def ring(timer: Timer, context: Context) -> None:
            context.put(seen, [*context.get(seen, []), timer.name])

        @on(Paid, retry=Retry.never())
        async def wake(paid: Paid, context: Context) -> None:
            if paid.n == 0:
                context.wake("ring", after="1ms")
            else:
                raise ConnectionError

        broken = noting("broken", {0: 1}, retry=Retry.never())
        async with stage.running(wake, broken, ring, stores=[seen]) as running:
            await stage.settled(running)
            await until(lambda: not (stage.rows("$due")))
            assert stage.stored(seen, "k") is None
            await redrive(stage, "broken")
            await stage.settled(running)
        assert stage.stored(seen, "k") == ["broken0", "ring"]


async def test_a_discard_is_for_all_that_are_owed() -> None:
    """A sequence is given up as a whole; its entry names for whom, and nothing of it is left."""
    async with staged() as stage:
        await stage.publish(Paid("k", 0), Paid("k", 1))
        handlers = noting("a", {0: 9}, retry=Retry.never()), noting("b", {})
        async with stage.running(*handlers, stores=[seen]) as running:
            await stage.settled(running)
            await stage.command(Command("c", "discard", "a", K, "of no use"))
            await stage.settled(running)
            await stage.publish(Paid("k", 2))
            await stage.settled(running)
        assert stage.stored(seen, "k") == ["a2", "b2"]
        [told] = [each for each in await stage.entries() if each is not None and each.status == "discarded"]
        assert (told.owes, told.waiting) == (("a", "b"), 2)
        assert [each.text for each in await stage.answers()] == ["discard: 2 events, of a, b"]
        assert stage.rows("$parking") == stage.rows("$parked") == []


async def test_a_checkpoint_in_a_working_off_keeps_who_was_through() -> None:
    """The first has succeeded, the second commits a part and the process dies: the first is not run again."""
    async with staged() as stage:
        await stage.publish(Paid("k", 0))
        crashing = [False]

        @on(Paid, retry=Retry.never())
        async def b(paid: Paid, context: Context) -> None:
            await context.checkpoint()
            if crashing[0]:
                message = "dies here"
                raise ValueError(message)
            context.put(seen, [*context.get(seen, []), f"b{paid.n}"])

        a = noting("a", {0: 1}, retry=Retry.never())
        async with stage.running(a, b, stores=[seen]) as running:
            await stage.settled(running)
            crashing[0] = True
            await redrive(stage, "a")
            await stage.settled(running)
            assert stage.stored(seen, "k") == ["a0"]
            crashing[0] = False
            await redrive(stage, "a")
            await stage.settled(running)
        assert stage.stored(seen, "k") == ["a0", "b0"]


async def test_a_renamed_handler_stays_owed_what_others_parked() -> None:
    """Letters and marks of another's sequence name it anew."""
    async with staged() as stage:
        await stage.publish(Paid("k", 0), Paid("k", 1))
        a = noting("a", {0: 1}, retry=Retry.never())
        await stage.run(a, noting("b", {}), stores=[seen])
        async with stage.running(a, noting("c", {}, was=("b",)), stores=[seen]) as running:
            await redrive(stage, "a")
            await stage.settled(running)
        assert stage.stored(seen, "k") == ["a0", "c0", "a1", "c1"]


async def test_whoever_fails_without_order_waits_alone() -> None:
    """With order="none" later events pass, of the handler itself and of those that share its store."""
    async with staged() as stage:
        await stage.publish(*(Paid("k", n) for n in range(3)))
        a = noting("a", {0: 1, 1: 1}, retry=Retry.never(), order="none")
        async with stage.running(a, noting("b", {}), stores=[seen]) as running:
            await stage.settled(running)
            assert stage.stored(seen, "k") == ["b0", "b1", "a2", "b2"]
            for entry in await stage.entries():
                assert entry is not None
                assert (entry.key, entry.waiting) == ("k", 1)
                await stage.command(Command("c", "redrive", "a", entry.place))
            await stage.settled(running)
        assert stage.stored(seen, "k") == ["b0", "b1", "a2", "b2", "a0", "a1"]
        assert stage.rows("$parking") == []


async def test_a_dead_letter_is_skipped_where_the_order_says_so() -> None:
    """While tries are left the key waits; then the letter stays alone, and the others run in order."""
    async with staged() as stage:
        await stage.publish(*(Paid("k", n) for n in range(3)))
        a = noting("a", {0: 2}, order="skip")
        async with stage.running(a, noting("b", {}), stores=[seen]) as running:
            await stage.settled(running)
            await until(lambda: (stage.stored(seen, "k") or [])[-1:] == ["b2"])
            assert stage.stored(seen, "k") == ["b0", "a1", "b1", "a2", "b2"]
            [entry] = [each for each in await stage.entries() if each is not None and each.status == "dead-lettered"]
            assert (entry.owes, entry.key, entry.waiting) == (("a",), "k", 1)
            await stage.command(Command("c", "redrive", "a", entry.place))
            await stage.settled(running)
        assert stage.stored(seen, "k") == ["b0", "a1", "b1", "a2", "b2", "a0"]
        assert stage.rows("$parking") == stage.rows("$parked") == []


def test_what_is_no_order_and_no_store_is_refused() -> None:
    """A mistake in either is told where it is made."""
    desk = Handlers()
    for options in ({"order": "any"}, {"stores": ("seen",)}, {"stores": seen}):
        with pytest.raises(DefinitionError, match=r"is no order|is not a store|is not a tuple"):
            desk.on(Paid, name="h", **options)(lambda: None)


async def test_what_a_retired_handler_was_owed_leaves_the_others_theirs() -> None:
    """The sequence that it has stopped stays the others', is tried again without it, and owes it nothing any more."""
    async with staged() as stage:
        await stage.publish(Paid("k", 0), Paid("k", 1))
        await stage.run(noting("a", {0: 9}, retry=Retry.never()), noting("b", {}), stores=[seen])
        group = (await stage.broker.admin.groups())[GROUP]
        retirement = Retirement(stage.broker, group, "a")
        assert (await retirement.look()).events == 2
        await retirement.carry_out(stage.clock, "gone", lambda _: None)
        async with stage.running(noting("b", {}), stores=[seen]) as running:
            await stage.settled(running)
            await until(lambda: not (stage.rows("$parking")))
        assert stage.stored(seen, "k") == ["b0", "b1"]
        assert await stage.history() == ["dead-lettered", "discarded", "over", "redriven", "over"]
