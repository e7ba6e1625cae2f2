"""Commands about dead letters: redriven in order or discarded, answered also when nothing was found."""

import asyncio

from mainstem.broker import TopicPartition, TopicSpec
from mainstem.delivery import Command, Context, Processor, Retry, Store
from tests.rooms.delivery.stage import Keyless, Paid, Running, Stage, Told, on, staged, until

SPENT = Store("spent", int)


class Weather:
    """Whether handlers fail."""

    def __init__(self) -> None:
        """They do."""
        self.bad = True
        self.runs: list[str] = []


def handler(weather: Weather, retry: Retry | None = None) -> Processor:
    """A handler that fails in bad weather."""

    @on(Paid, retry=retry or Retry.never(), name="handle")
    async def handle(event: Paid, context: Context) -> Told:
        weather.runs.append(f"{event.order}{event.n}")
        await asyncio.sleep(0)
        if weather.bad and event.order.startswith("bad"):
            raise ValueError("bad weather")
        context.put(SPENT, (context.get(SPENT) or 0) + event.n)
        return Told(f"{event.order}{event.n}")

    return handle


async def answered(stage: Stage, running: Running, *commands: Command) -> list[tuple[str, int, str]]:
    """Send commands, and wait for as many answers."""
    before = len(await stage.answers())
    for each in commands:
        await stage.command(each)

    async def done() -> bool:
        return len(await stage.answers()) == before + len(commands)

    await until(done)
    await stage.settled(running)
    return [(each.id, each.found, each.text) for each in (await stage.answers())[before:]]


async def test_a_redrive_handles_the_sequence_in_order() -> None:
    """The dead letter and what waits behind it are handled, once each and in order; then the key is free again."""
    weather = Weather()
    async with staged() as stage:
        await stage.publish(*[Paid("bad", n) for n in range(1, 5)], Paid("ok", 1))
        async with stage.running(handler(weather), stores=[SPENT]) as running:
            await stage.settled(running)
            weather.bad = False
            found = await answered(stage, running, Command("c-1", "redrive", "handle", b"kbad", "the weather is good"))
            assert found == [("c-1", 4, "redrive: 4 events")]
            await stage.publish(Paid("bad", 5))
            await stage.settled(running)
            assert running.counters.redriven == 4
        assert [told for told in await stage.told() if told != "ok1"] == ["bad1", "bad2", "bad3", "bad4", "bad5"]
        assert stage.stored(SPENT, "bad") == 15
        assert await stage.history() == ["dead-lettered", "redriven", "over"]
        redriven = (await stage.entries())[1]
        assert redriven is not None
        assert (redriven.reason, redriven.waiting) == ("the weather is good", 4)
        assert stage.rows("$parked") == stage.rows("$parking") == stage.rows("$due") == []


async def test_a_redrive_that_fails_is_a_dead_letter_again() -> None:
    """Its failures are forgiven, so the policy begins anew; what follows waits on, and what comes later too."""
    weather = Weather()
    retry = Retry.on(ValueError).later("2ms")
    async with staged() as stage:
        await stage.publish(Paid("bad", 1), Paid("bad", 2))
        async with stage.running(handler(weather, retry), stores=[SPENT]) as running:
            await until(lambda: len(weather.runs) == 2)
            await stage.settled(running)
            await answered(stage, running, Command("c-1", "redrive", "handle", b"kbad"))
            await until(lambda: len(weather.runs) == 4)
            await stage.settled(running)
            await stage.publish(Paid("bad", 3))
            await stage.settled(running)
        assert weather.runs == ["bad1"] * 4
        assert await stage.history() == ["parked", "dead-lettered", "redriven", "parked", "dead-lettered"]
        assert len(stage.rows("$parked")) == 3
        assert stage.rows("$due") == []


async def test_a_crash_in_a_redrive_loses_nothing() -> None:
    """The mark is on its way through the sequence; the next owner goes on where the last commit stopped."""
    weather = Weather()
    door = asyncio.Event()

    @on(Paid, retry=Retry.never(), name="handle")
    async def handle(event: Paid, context: Context) -> Told:
        if weather.bad:
            raise ValueError("no")
        if event.n == 3:
            await door.wait()
        return Told(f"{event.order}{event.n}")

    async with staged() as stage:
        await stage.publish(*[Paid("bad", n) for n in range(1, 6)])
        await stage.run(handle)
        weather.bad = False
        running = stage.start(stage.plan(handle))
        await stage.command(Command("c-1", "redrive", "handle", b"kbad"))

        async def two_told() -> bool:
            return len(await stage.told()) == 2

        await until(two_told)
        await running.crash()
        door.set()
        await stage.publish(Paid("bad", 6))

        async def all_told() -> bool:
            return len(await stage.told()) == 6

        async with stage.running(handle) as running:
            await until(all_told)
            await stage.settled(running)
        assert await stage.told() == [f"bad{n}" for n in range(1, 7)]
        assert len(await stage.answers()) == 1
        assert stage.rows("$parked") == stage.rows("$due") == []


async def test_a_discarded_sequence_is_gone() -> None:
    """Nothing of it is handled; the reason stands in the audit stream, and the key is free again."""
    weather = Weather()
    async with staged() as stage:
        await stage.publish(Paid("bad", 1), Paid("bad", 2))
        async with stage.running(handler(weather), stores=[SPENT]) as running:
            await stage.settled(running)
            found = await answered(stage, running, Command("c-1", "discard", "handle", b"kbad", "of no use"))
            assert found == [("c-1", 2, "discard: 2 events")]
            weather.bad = False
            await stage.publish(Paid("bad", 3))
            await stage.settled(running)
        assert (weather.runs, await stage.told()) == (["bad1", "bad3"], ["bad3"])
        assert await stage.history() == ["dead-lettered", "discarded", "over"]
        discarded = (await stage.entries())[1]
        assert discarded is not None
        assert (discarded.reason, discarded.waiting, discarded.letter.offset) == ("of no use", 2, 0)
        assert stage.rows("$parked") == stage.rows("$parking") == []


async def test_every_discard_is_told_for_ever() -> None:
    """What is gone has a record with its reason that outlives compaction, also when the key is parked again."""
    weather, reasons = Weather(), ["of no use", "of no use either"]
    async with staged() as stage:
        async with stage.running(handler(weather), stores=[SPENT]) as running:
            for n, reason in enumerate(reasons):
                await stage.publish(Paid("bad", n))
                await stage.settled(running)
                await answered(stage, running, Command(reason, "discard", "handle", b"kbad", reason))
            await stage.publish(Paid("bad", 3))
            await stage.settled(running)
        await stage.broker.admin.alter(TopicSpec("shop.dead-letters", 4, compact=True))
        await stage.broker.maintain()
        kept = [each for each in await stage.entries() if each is not None]
        assert [(each.status, each.reason) for each in kept] == [
            *[("discarded", reason) for reason in reasons],
            ("dead-lettered", ""),
        ]
        assert [each.letter.offset for each in kept] == [0, 1, 2]


async def test_a_keyless_dead_letter_is_named_by_its_place() -> None:
    """Each is a sequence of its own, and can be redriven or discarded alone."""
    bad = {1, 2}

    @on(Keyless, retry=Retry.never())
    async def handle(event: Keyless) -> Told:
        if event.n in bad:
            raise ValueError("no")
        return Told(str(event.n))

    async with staged() as stage:
        await stage.publish(Keyless(1), Keyless(2))
        async with stage.running(handle) as running:
            await stage.settled(running)
            bad.clear()
            places = [each.place for each in await stage.entries() if each]
            assert places == [b"otalk/0/0", b"otalk/0/1"]
            await answered(stage, running, Command("1", "redrive", "handle", places[0]))
            await answered(stage, running, Command("2", "discard", "handle", places[1]))
        assert await stage.told() == ["1"]
        assert stage.rows("$parking") == []


async def test_every_command_is_answered() -> None:
    """Also one that finds nothing, names nobody, or comes a second time; what cannot be read is passed over."""
    weather = Weather()
    async with staged() as stage:
        await stage.publish(Paid("bad", 1))
        async with stage.running(handler(weather), stores=[SPENT]) as running:
            await stage.settled(running)
            weather.bad = False
            redrive = Command("c-1", "redrive", "handle", b"kbad")
            await stage.append("shop.inbox", None, b"what?")
            await stage.append("shop.inbox", None, None)
            found = await answered(
                stage,
                running,
                Command("c-0", "redrive", "nobody", b"kbad"),
                Command("c-0", "discard", "handle", b"kgood"),
                Command("c-0", "discard", "handle", b""),
                redrive,
            )
            assert sorted(text for _, count, text in found if not count) == [
                "discard: nothing is parked there",
                "discard: nothing is parked there",
                "redrive: nothing is parked there",
            ]
            assert [(id, count) for id, count, _ in found if count] == [("c-1", 1)]
            assert await answered(stage, running, redrive) == [("c-1", 0, "redrive: nothing is parked there")]
            assert running.counters.skipped == {"a command that cannot be read": 2}
        assert weather.runs == ["bad1", "bad1"]
        positions = (await stage.broker.admin.groups())["shop"].positions
        assert positions[TopicPartition("shop.inbox", 0)] == 7


async def test_a_command_waits_for_its_keys_lane() -> None:
    """It is applied in the lane of the key: behind what is handled of it, and never in the middle."""
    weather, door = Weather(), asyncio.Event()

    @on(Paid, name="other")
    async def other(event: Paid) -> None:
        if event.n == 2:
            await door.wait()

    async with staged() as stage:
        await stage.publish(Paid("bad", 1))
        async with stage.running(handler(weather), other, stores=[SPENT]) as running:
            await stage.settled(running)
            await stage.publish(Paid("bad", 2))
            await until(lambda: running.in_flight == 1)
            await stage.command(Command("c-1", "discard", "handle", b"kbad"))
            await until(lambda: running.in_flight == 2)
            assert await stage.answers() == []
            door.set()
            await stage.settled(running)
            assert [each.found for each in await stage.answers()] == [2]


async def test_a_redriven_event_that_nobody_takes_any_more_stays() -> None:
    """Its type is not subscribed to now: it is a dead letter with that reason, not lost."""
    async with staged() as stage:

        @on(Paid, retry=Retry.never(), name="handle")
        async def old(event: Paid) -> None:
            raise ValueError("no")

        @on(Keyless, name="handle")
        async def new(event: Keyless) -> None:
            pass

        await stage.publish(Paid("a", 1))
        await stage.run(old)
        async with stage.running(new, inputs=["orders"]) as running:
            await answered(stage, running, Command("c-1", "redrive", "handle", b"ka"))
        assert await stage.history() == ["dead-lettered", "redriven", "dead-lettered"]
        last = (await stage.entries())[-1]
        assert last is not None
        assert "no handler of this group takes Paid" in last.failure.error
        assert len(stage.rows("$parked")) == 1


async def test_a_redrive_asks_the_predicate_again() -> None:
    """An event that a predicate could not judge is handled when it can, and passed over when it says no."""
    judging: dict[str, bool] = {}

    @on(Paid, where=lambda envelope: judging[(envelope.origin.key or b"").decode()])
    async def handle(event: Paid) -> Told:
        return Told(event.order)

    async with staged() as stage:
        await stage.publish(Paid("a"), Paid("b"))
        async with stage.running(handle) as running:
            await stage.settled(running)
            assert await stage.history() == ["dead-lettered", "dead-lettered"]
            judging.update(a=True, b=False)
            for key in (b"ka", b"kb"):
                await answered(stage, running, Command("c", "redrive", "handle", key))
        assert await stage.told() == ["a"]
        assert stage.rows("$parking") == stage.rows("$parked") == []


async def test_a_keyless_event_is_redriven_once() -> None:
    """The redrive and the timer that it sets do not work the same event off side by side."""
    weather = Weather()

    @on(Keyless, retry=Retry.never(), name="handle")
    async def handle(event: Keyless) -> Told:
        weather.runs.append(f"{event.n}")
        await asyncio.sleep(0.02)
        if weather.bad:
            raise ValueError("bad weather")
        return Told(f"{event.n}")

    async with staged() as stage:
        await stage.publish(Keyless(1))
        async with stage.running(handle) as running:
            await stage.settled(running)
            weather.bad = False
            redrives = [Command(f"c-{n}", "redrive", "handle", b"otalk/0/0") for n in range(2)]
            assert [found for _, found, _ in await answered(stage, running, *redrives)] == [1, 0]
        assert (weather.runs, await stage.told()) == (["1", "1"], ["1"])


async def test_a_try_that_was_due_before_a_redrive_is_not_made_after_it() -> None:
    """A redrive that fails sets another time for the next try; the one that had become due meanwhile is void."""
    door, rang = asyncio.Event(), asyncio.Event()
    errors: list[Exception] = [ValueError("soon"), KeyError("in an hour")]
    runs: list[str] = []

    @on(Paid, name="handle", retry=Retry.on(ValueError).later("10m").also_on(KeyError).later("1h"))
    async def handle(event: Paid) -> None:
        if event.order == "a":
            runs.append("run")
            raise errors.pop(0)

    @on(Paid, name="other")
    async def other(event: Paid, context: Context) -> None:
        if event.order == "b":
            context.wake("ring", at=0)  # which makes the task look at the clock
        elif event.n:
            await door.wait()

    @on(timer="ring")
    async def ring() -> None:
        rang.set()

    async with staged() as stage:
        await stage.publish(Paid("a"))
        async with stage.running(handle, other, ring) as running:
            await until(lambda: bool(stage.rows("$parking")))
            await stage.publish(Paid("a", 1))
            await until(lambda: running.in_flight == 1)
            await stage.command(Command("c", "redrive", "handle", b"ka"))
            await until(lambda: running.in_flight == 2)
            stage.clock.ahead_ms += 11 * 60_000
            await stage.publish(Paid("b"), timestamp_ms=1)
            # The command waits for the lane, and behind it the try that is due.
            await rang.wait()
            await until(lambda: running.in_flight == 3)
            door.set()
            await stage.settled(running)
        assert (runs, errors) == (["run", "run"], [])
        assert await stage.history() == ["parked", "redriven", "parked"]
