"""Batch handlers: many events in one call, and a poison among them found."""

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

import pytest

from mainstem.delivery import Command, Context, Processor, Retry, Store
from mainstem.resilience import Backoff
from tests.rooms.delivery.stage import Paid, Shipped, Told, on, staged, until

TOP = Store("top", int, scope="partition")
SPENT = Store("spent", int)
AT_ONCE = Backoff(first_seconds=0.0, longest_seconds=0.0)


def collecting(
    calls: list[list[int]], poison: set[int], retry: Retry | None = None, *, plain: bool = False
) -> Processor:
    """A batch handler that fails when there is poison."""

    def take(events: list[Paid], context: Context) -> list[Told]:
        calls.append([event.n for event in events])
        for event in events:
            context.put(TOP, (context.get(TOP, key=event.order) or 0) + 1, key=event.order)
        if any(event.n in poison for event in events):
            raise ValueError("poison")
        return [Told(str(event.n)) for event in events]

    async def take_slowly(events: list[Paid], context: Context) -> list[Told]:
        return take(events, context)

    return on(Paid, name="take", retry=retry or Retry.never())(take if plain else take_slowly)


@pytest.fixture
def threads() -> Iterator[Executor]:
    """Worker threads."""
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.mark.parametrize("plain", [False, True])
async def test_a_batch_is_one_call(threads: Executor, plain: bool) -> None:  # noqa: FBT001 - a test's parameter
    """Events that were read together come together, in order; all their effects are committed at once."""
    calls: list[list[int]] = []
    async with staged() as stage:
        await stage.publish_at_once(*[Paid(f"k{n % 3}", n) for n in range(10)])
        counters = await stage.run(collecting(calls, set(), plain=plain), stores=[TOP], lanes=1, executor=threads)
        assert calls == [list(range(10))]
        assert await stage.told() == [str(n) for n in range(10)]
        assert len(set(await stage.told_ids())) == 10
        assert [stage.stored(TOP, key) for key in ("k0", "k1", "k2")] == [4, 3, 3]
        assert counters.handled == 10


async def test_a_poison_is_found_and_its_key_waits() -> None:
    """One call each finds it: it is a dead letter, later events of its key wait behind it, all others are done."""
    calls: list[list[int]] = []
    async with staged() as stage:
        await stage.publish_at_once(*[Paid(f"k{n % 3}", n) for n in range(9)])
        await stage.run(collecting(calls, {4, 7}), stores=[TOP], lanes=1)
        assert calls == [list(range(9)), [0], [1], [2], [3], [4], [5], [6], [8]]
        assert await stage.told() == ["0", "1", "2", "3", "5", "6", "8"]
        assert [stage.stored(TOP, key) for key in ("k0", "k1", "k2")] == [3, 1, 3]
        [entry] = [each for each in await stage.entries() if each]
        assert (entry.key, entry.letter.offset, entry.status) == ("k1", 4, "dead-lettered")
        assert len(stage.rows("$parked")) == 2


async def test_parked_keys_are_left_out_of_later_batches() -> None:
    """While a key is parked its events wait; a redrive hands them over in order, each in a list of its own."""
    calls: list[list[int]] = []
    poison = {1}
    async with staged() as stage:
        await stage.publish_at_once(Paid("bad", 1), Paid("ok", 2))
        handler = collecting(calls, poison)
        async with stage.running(handler, stores=[TOP], lanes=1) as running:
            await stage.settled(running)
            await stage.publish_at_once(Paid("ok", 3), Paid("bad", 4), Paid("ok", 5))
            await stage.settled(running)
            assert calls == [[1, 2], [1], [2], [3, 5]]
            poison.clear()
            await stage.command(Command("c", "redrive", "take", b"kbad"))
            await until(lambda: not stage.rows("$parking"))
        assert calls[4:] == [[1], [4]]
        assert await stage.told() == ["2", "3", "5", "1", "4"]


async def test_a_batch_is_tried_again_as_a_whole() -> None:
    """What fails for a moment is run again inline; what is to be tried later is parked key by key."""
    calls: list[list[int]] = []
    poison = {2}
    retry = Retry.on(ValueError).inline(1, AT_ONCE).later("2ms")

    async with staged() as stage:
        await stage.publish_at_once(Paid("a", 1), Paid("b", 2))
        async with stage.running(collecting(calls, poison, retry), stores=[TOP], lanes=1) as running:
            await until(lambda: len(calls) >= 5)
            poison.clear()

            async def mended() -> bool:
                return len(await stage.told()) == 2

            await until(mended)
            await stage.settled(running)
        assert calls[:5] == [[1, 2], [1, 2], [1], [2], [2]]
        assert sorted(await stage.told()) == ["1", "2"]
        assert [stage.stored(TOP, key) for key in ("a", "b")] == [1, 1]


async def test_other_handlers_of_the_same_events_run_one_by_one() -> None:
    """Each sees what those before it have done; one that fails in the middle parks its key, and keeps its order."""
    calls: list[list[int]] = []
    seen: list[str] = []

    @on(Paid, retry=Retry.never())
    async def single(event: Paid, context: Context) -> Told:
        seen.append(f"{event.order}{event.n} {context.get(TOP, key=event.order)}")
        if event.n == 1:
            raise ValueError("no")
        return Told(f"single {event.n}")

    async with staged() as stage:
        await stage.publish_at_once(Paid("a", 1), Paid("b", 2), Paid("a", 3))
        await stage.run(collecting(calls, set()), single, stores=[TOP], lanes=1)
        assert seen == ["a1 2", "b2 1"]
        assert await stage.told() == ["1", "2", "3", "single 2"]
        assert len(stage.rows("$parked")) == 2
        [entry] = [each for each in await stage.entries() if each]
        assert (entry.handler, entry.letter.offset) == ("single", 0)


async def test_a_predicate_thins_a_batch_out() -> None:
    """What it does not want is left out, and the rest still comes together."""
    calls: list[list[int]] = []

    @on(Paid, where=lambda envelope: envelope.origin.offset % 2 == 0)
    async def even(events: list[Paid]) -> None:
        calls.append([event.n for event in events])

    async with staged() as stage:
        await stage.publish_at_once(*[Paid("k", n) for n in range(7)])
        await stage.run(even, lanes=1)
        assert calls == [[0, 2, 4, 6]]


async def test_types_are_kept_apart_unless_one_handler_takes_both() -> None:
    """A batch holds neighbouring events for the same handlers, in the order they were read."""
    calls: list[list[str]] = []

    @on(Paid, Shipped)
    async def both(events: list[Paid | Shipped]) -> None:
        calls.append([f"{type(event).__name__}{event.n}" for event in events])

    @on(Shipped)
    async def shipped(events: list[Shipped]) -> None:
        calls.append([f"only {event.n}" for event in events])

    async with staged() as stage:
        await stage.publish_at_once(Paid("a", 1), Paid("b", 2), Shipped("a", 3), Shipped("b", 4), Paid("a", 5))
        await stage.run(both, shipped, lanes=1)
        assert calls == [["Paid1", "Paid2"], ["Shipped3", "Shipped4"], ["only 3", "only 4"], ["Paid5"]]


async def test_what_cannot_be_read_does_not_spoil_the_batch() -> None:
    """It parks alone, in its place; events before and behind it are handled together."""
    calls: list[list[int]] = []
    async with staged() as stage:
        await stage.publish(Paid("a", 1))
        await stage.append("orders", b"b", b"no json", ce_type=b"Paid")
        await stage.publish(Paid("b", 2), Paid("a", 3), Paid("c", 4))
        await stage.run(collecting(calls, set()), stores=[TOP], lanes=1)
        assert [n for call in calls for n in call] == [1, 3, 4]
        assert await stage.history() == ["dead-lettered"]
        assert len(stage.rows("$parked")) == 2


async def test_a_batch_has_no_key() -> None:
    """It holds many; so stores and timers by the event's key are refused, with the way out."""

    @on(Paid, retry=Retry.never())
    async def handle(events: list[Paid], context: Context) -> None:
        context.get(SPENT)

    async with staged() as stage:
        await stage.publish(Paid("a"))
        await stage.run(handle, stores=[SPENT], lanes=1)
        [entry] = [each for each in await stage.entries() if each]
        assert "needs a key" in entry.failure.error
