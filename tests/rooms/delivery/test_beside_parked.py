"""What is parked costs other keys next to nothing: nobody reads the file for each of their events."""

import asyncio
from collections import Counter
from collections.abc import Iterable

import pytest

from mainstem.database import TaskRows
from mainstem.delivery import Command, Context, Retry, Store
from tests.rooms.delivery.stage import Keyless, Paid, Told, on, staged, until

MANY = 300


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the file was asked for rows by their keys, by store."""
    found: Counter[str] = Counter()
    get_many = TaskRows.get_many

    def counted(self: TaskRows, store: str, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        found[store] += 1
        return get_many(self, store, keys)

    monkeypatch.setattr(TaskRows, "get_many", counted)
    return found


async def test_events_of_others_are_looked_up_by_the_batch(reads: Counter[str]) -> None:
    """Beside a parked key neither an event of another key nor one without a key has a look of its own."""
    handled: list[int] = []

    @on(Paid, Keyless, retry=Retry.never(), name="handle")
    async def handle(event: Paid | Keyless, _context: Context) -> None:
        if event.n < 0:
            raise ValueError(event.n)
        handled.append(event.n)

    @on(Paid, Keyless, name="second", stores=frozenset())
    async def second(_event: Paid | Keyless, _context: Context) -> None:
        pass

    for handlers in ([handle], [handle, second]):
        async with staged() as stage:
            await stage.publish(Paid("bad", -1))
            await stage.run(*handlers)
            reads.clear()
            await stage.publish_at_once(*(Paid(f"k{n}", n) for n in range(MANY)))
            await stage.publish_at_once(*(Keyless(n) for n in range(MANY)))
            await stage.run(*handlers)
            assert len(stage.rows("$parked")) == 1
        assert reads["$parking"] < MANY / 10, reads
    assert len(handled) == 4 * MANY


async def test_parking_a_key_reads_nothing_that_is_not_there(reads: Counter[str]) -> None:
    """A key that parks for the first time has no timer, no letters left over and no mark to be looked for."""

    @on(Paid, retry=Retry.never(), name="handle")
    async def refuse(event: Paid) -> None:
        raise ValueError(event.n)

    async with staged() as stage:
        await stage.publish(Paid("first"))
        await stage.run(refuse)
        reads.clear()
        await stage.publish_at_once(*(Paid(f"k{n}", n) for n in range(MANY)))
        await stage.run(refuse)
        assert len(stage.rows("$parking")) == MANY + 1
    assert sum(reads.values()) < MANY / 10, reads


async def test_an_event_without_a_key_waits_behind_what_an_earlier_owner_has_parked_of_it() -> None:
    """A later handler's checkpoint has committed the parked copy: whoever goes on with the event has to look for it."""
    begun, crashing = asyncio.Event(), [True]

    @on(Keyless, retry=Retry.never(), name="first")
    async def first(event: Keyless, _context: Context) -> None:
        raise ValueError(event.n)

    @on(Keyless, name="apart", stores=frozenset())
    async def apart(_event: Keyless, context: Context) -> None:
        await context.checkpoint()
        begun.set()
        if crashing[0]:
            await asyncio.Event().wait()

    @on(Keyless, name="last")
    async def last(event: Keyless, _context: Context) -> Told:
        return Told(str(event.n))

    async with staged() as stage:
        await stage.publish(Keyless(7))
        one = Store("one", int)
        running = stage.start(stage.plan(first, apart, last, stores=[one]))
        await begun.wait()
        await running.crash()
        crashing[0] = False
        await stage.run(first, apart, last, stores=[one])
        assert await stage.told() == []
        [(key, _)] = stage.rows("$parking")
        async with stage.running(first, apart, last, stores=[one]) as again:
            await stage.command(Command("c", "discard", "first", key[7:]))
            await stage.settled(again)
            await until(lambda: not stage.rows("$parked"))
        assert (await stage.answers())[0].text == "discard: 2 events, of first, last"
