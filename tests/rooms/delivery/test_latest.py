"""Of outputs that replace one another, a commit carries the last one of each key."""

from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from mainstem.delivery import Command, Context, Processor, Retry
from mainstem.errors import DefinitionError
from mainstem.identifiers import Derivation
from mainstem.settings import Settings
from tests.rooms.delivery.faults import Commit, Ending, Faulty
from tests.rooms.delivery.stage import GROUP, Keyless, Paid, Shipped, Stage, Told, on, staged

SELDOM = Settings(commit_interval_ms=100, session_timeout_seconds=5.0, grace_seconds=1.0)


@on(Paid, latest=(Shipped,))
async def numbers(event: Paid) -> Shipped:
    """Tells a number, which is another one soon."""
    return Shipped(f"n-{event.order}", event.n)


async def shipped(stage: Stage) -> list[tuple[str, int]]:
    """What was published as Shipped, in order."""
    return [(each.order, each.n) for each in await orders(stage) if isinstance(each, Shipped)]


async def orders(stage: Stage) -> list[Paid | Shipped]:
    """All that stands in the topic of orders."""
    types: dict[bytes, type[Paid | Shipped]] = {b"Paid": Paid, b"Shipped": Shipped}
    rows = await stage.read("orders")
    return [msgspec.json.decode(value, type=types[headers["ce_type"]]) for _, value, headers in rows if value]


async def test_only_the_last_of_each_key_is_published() -> None:
    """However many a handler has published since the last commit."""
    async with staged() as stage:
        await stage.publish_at_once(*[Paid("ab"[n % 2], n) for n in range(10)])
        counters = await stage.run(numbers, settings=SELDOM)
        assert await shipped(stage) == [("n-a", 8), ("n-b", 9)]
        assert (counters.handled, counters.published) == (10, 2)


async def test_every_commit_publishes_its_own() -> None:
    """What an earlier commit has published is not called back, nor does it stop a later one."""
    async with staged() as stage:
        for first in (0, 10):
            await stage.publish_at_once(*[Paid("a", first + n) for n in range(5)])
            await stage.run(numbers, settings=SELDOM)
        assert await shipped(stage) == [("n-a", 4), ("n-a", 14)]


async def test_a_checkpoint_publishes_what_is_the_last_until_then() -> None:
    """It is a commit like any other."""

    @on(Paid, latest=(Told,))
    async def handle(event: Paid, context: Context) -> Told:
        context.publish(Told("a"))
        context.publish(Told("a"))
        await context.checkpoint()
        return Told("a")

    async with staged() as stage:
        await stage.publish(Paid("x"))
        await stage.run(handle, settings=SELDOM)
        assert await stage.told() == ["a", "a"]


async def test_it_stays_in_order_with_what_is_not_replaced() -> None:
    """The last one stands behind all that its handler has published before it, and before what came later."""

    @on(Paid, latest=(Shipped,), publishes=(Shipped, Paid))
    async def handle(event: Paid, context: Context) -> None:
        if event.n < 100:
            context.publish(Shipped("k", event.n))
            context.publish(Paid("k", 100 + event.n))

    async with staged() as stage:
        await stage.publish_at_once(*[Paid("k", n) for n in range(3)])
        await stage.run(handle, settings=SELDOM)
        found = (await orders(stage))[3:]
        assert found == [Paid("k", 100), Paid("k", 101), Shipped("k", 2), Paid("k", 102)]


async def test_handlers_do_not_replace_what_others_publish() -> None:
    """Two that tell of the same key each have their last one; what a third tells without the option stays whole."""

    def telling(name: str, latest: tuple[type[Told], ...]) -> Processor:
        async def tell(_event: Paid) -> Told:
            return Told("same")

        return on(Paid, name=name, latest=latest)(tell)

    async with staged() as stage:
        await stage.publish_at_once(*[Paid("a", n) for n in range(4)])
        await stage.run(telling("one", (Told,)), telling("two", (Told,)), telling("all", ()), settings=SELDOM)
        assert len(await stage.told()) == 1 + 1 + 4


@pytest.mark.parametrize("ending", ["done", "refused", "unknown"])
async def test_redelivery_gives_the_same_ids(ending: Ending) -> None:
    """An output has the id that it would have without the option, also when its commit had to be made anew."""
    async with staged() as stage:

        def once(commit: Commit) -> Ending:
            first = next((each for each in faulty.commits if each.records), None)
            return ending if commit is first else "done"

        faulty = Faulty(stage.broker, once)
        await stage.publish_at_once(*[Paid("ab"[n % 2], n) for n in range(10)])
        await stage.run(numbers, settings=SELDOM, broker=faulty.broker)
        assert await shipped(stage) == [("n-a", 8), ("n-b", 9)]
        ids = [headers["ce_id"] for _, _, headers in await stage.read("orders")]
        assert ids[10:] == [Derivation(GROUP, GROUP, "numbers").nth(cause, 0) for cause in ids[8:10]]


async def test_a_parked_sequence_publishes_its_last_one_when_it_is_worked_off() -> None:
    """What fails publishes nothing; redriven, its events are handled in order and replace one another as ever."""
    broken = True

    @on(Paid, name="handle", publishes=(Told,), latest=(Told,), retry=Retry.never())
    async def handle(event: Paid, context: Context) -> None:
        context.publish(Told(event.order))
        if broken:
            raise ValueError(event.n)

    async with staged() as stage:
        await stage.publish_at_once(*[Paid("a", n) for n in range(4)])
        async with stage.running(handle, settings=Settings(commit_interval_ms=5)) as running:
            await stage.settled(running)
            assert await stage.told() == []
            broken = False
            await stage.command(Command("c-1", "redrive", "handle", b"ka"))
            await stage.settled(running)
        assert await stage.told() == ["a"]


async def test_plain_handlers_and_batches() -> None:
    """In threads, and for a list of events at once."""

    @on(Paid, latest=(Told,))
    def plain(event: Paid) -> Told:
        return Told("plain")

    @on(Paid, latest=(Told,))
    async def batch(events: list[Paid]) -> list[Told]:
        return [Told("batch") for _ in events]

    for handler in (plain, batch):
        with ThreadPoolExecutor(2) as executor:
            async with staged() as stage:
                await stage.publish_at_once(*[Paid("a", n) for n in range(10)])
                await stage.run(handler, settings=SELDOM, executor=executor)
                assert await stage.told() == [handler.name]


async def told(_event: Paid) -> Told:
    """Publishes what has a key."""
    return Told("a")


async def talk(_event: Paid) -> Keyless:
    """Publishes what has none."""
    return Keyless()


def test_what_is_not_published_cannot_replace_anything() -> None:
    """A type that is not among the outputs is a mistake in the declaration."""
    with pytest.raises(DefinitionError, match="cannot publish the latest Shipped of each key alone") as raised:
        on(Paid, latest=(Shipped,))(told)
    assert raised.value.why == "it publishes none"


def test_events_without_a_key_do_not_replace_one_another() -> None:
    """Nobody could say which of them is the last."""
    with pytest.raises(DefinitionError, match="cannot publish the latest Keyless of each key alone") as raised:
        on(Paid, latest=(Keyless,))(talk)
    assert raised.value.why == "its events have no key"
