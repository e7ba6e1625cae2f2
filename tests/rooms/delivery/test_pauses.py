"""Pauses: what concerns every event alike makes the task read no more, and go on by itself."""

import asyncio
import logging

import pytest

from mainstem.broker import Record, TopicPartition
from mainstem.delivery import Breaker, Command, Context, Processor, Retry
from mainstem.delivery.failures import Audit
from mainstem.delivery.guards import Notices, Pauses
from mainstem.delivery.lanes import Lanes
from mainstem.resilience import BreakerRule, CallsWindow
from mainstem.settings import Settings
from tests.rooms.delivery.stage import Paid, Running, Told, on, staged, until


class Dependency:
    """Something that handlers need, and that is away until it is back."""

    def __init__(self) -> None:
        self.back = False
        self.calls: list[str] = []

    def handler(self, retry: Retry) -> Processor:
        """A handler that needs it."""

        @on(Paid, retry=retry, name="handle")
        async def handle(event: Paid, context: Context) -> Told:
            self.calls.append(f"{event.order}#{context.attempt}")
            if not self.back:
                raise ConnectionError("away")
            return Told(f"{event.order}{event.n}")

        return handle


PATIENT = Retry.on(ConnectionError).pause("20ms")


def paused(running: Running) -> list[str]:
    """Why the inputs of the first task stand still."""
    tasks = list(running.runner.tasks.values())
    return list(tasks[0].paused) if tasks else []


async def test_one_event_tries_and_the_others_wait(caplog: pytest.LogCaptureFixture) -> None:
    """Each fails once at most; then one tries again and again, and when it succeeds all go on, none lost or parked."""
    caplog.set_level(logging.INFO, logger="mainstem")
    needed = Dependency()
    async with staged() as stage:
        await stage.publish(*[Paid(f"k{n}", n) for n in range(10)])
        async with stage.running(needed.handler(PATIENT)) as running:
            await until(lambda: len(needed.calls) > 20)
            assert sorted(each for each in needed.calls if "k0#" not in each) == [f"k{n}#1" for n in range(1, 10)]
            assert paused(running) == ["handle waits for what it needs"]
            needed.back = True
            await stage.settled(running)
            assert sorted(await stage.told()) == [f"k{n}{n}" for n in range(10)]
            assert (await stage.history(), paused(running)) == ([], [])
    told = [(each.levelname, each.getMessage()) for each in caplog.records]
    assert [level for level, said in told if "its inputs stand still" in said] == ["WARNING"]
    assert [level for level, said in told if "no longer, after" in said] == ["INFO"]


async def test_nothing_is_read_meanwhile_but_the_inbox() -> None:
    """What is published during a pause waits in the log; a command is answered."""
    needed = Dependency()
    async with staged() as stage:
        await stage.publish(Paid("k", 1))
        async with stage.running(needed.handler(PATIENT)) as running:
            await until(lambda: bool(paused(running)))
            await stage.publish(*[Paid(f"k{n}") for n in range(5)])
            await stage.command(Command("c-1", "discard", "handle", b"knobody"))

            async def answered() -> bool:
                return bool(await stage.answers())

            await until(answered)
            assert {each.partition("#")[0] for each in needed.calls} == {"k"}
            needed.back = True
            await stage.settled(running)
            assert len(await stage.told()) == 6


@pytest.mark.parametrize("lanes", [1, 4])
@pytest.mark.parametrize("guard", ["pause", "breaker"])
async def test_the_inbox_goes_on_when_all_lanes_stand(lanes: int, guard: str) -> None:
    """Many events were read at once, and more stand than there are lanes; a command is applied all the same."""
    rule = BreakerRule(window=CallsWindow(1), minimum_calls=1, open_ms=3_600_000, longest_open_ms=3_600_000)
    needed, begun, most = Dependency(), 0, 0

    @on(Paid, name="handle", **({"retry": PATIENT} if guard == "pause" else {"breaker": Breaker(rule)}))
    async def handle(event: Paid) -> Told:
        nonlocal begun, most
        begun += 1
        most = max(most, begun)
        try:
            await asyncio.sleep(0)
            if not needed.back:
                raise ConnectionError("away")
            return Told(event.order)
        finally:
            begun -= 1

    async with staged() as stage:
        await stage.publish_at_once(*[Paid(f"k{n}") for n in range(20)])
        async with stage.running(handle, lanes=lanes) as running:
            await until(lambda: bool(paused(running)))
            await stage.command(Command("c-1", "discard", "handle", b"knobody"))

            async def answered() -> bool:
                return bool(await stage.answers())

            await until(answered)
            assert paused(running)
            if guard == "pause":
                needed.back = True
                await stage.settled(running)
                told = await stage.told()
                assert sorted(told) == sorted(f"k{n}" for n in range(20))
                assert lanes > 1 or told == [f"k{n}" for n in range(20)]
        assert most <= lanes


async def test_a_task_that_stands_still_drains_at_once() -> None:
    """Nothing that waits, or queues behind it, counts as handled; the next owner begins with it."""
    needed = Dependency()
    async with staged() as stage:
        await stage.publish(*[Paid("k", n) for n in range(5)])
        async with asyncio.timeout(0.9):  # the grace is a second
            async with stage.running(needed.handler(PATIENT)) as running:
                await until(lambda: bool(paused(running)))
        needed.back = True
        await stage.run(needed.handler(PATIENT))
        assert await stage.told() == [f"k{n}" for n in range(5)]


async def test_a_pause_ends_as_the_policy_says(caplog: pytest.LogCaptureFixture) -> None:
    """The event becomes a dead letter, the next one tries in its turn, and the inputs go on when nobody waits."""
    needed = Dependency()
    async with staged() as stage:
        await stage.publish(Paid("a"), Paid("b"))
        async with stage.running(needed.handler(PATIENT.within(attempts=3))) as running:
            await until(lambda: len(needed.calls) >= 6)
            await stage.settled(running)
            assert await stage.history() == ["dead-lettered"] * 2
            assert paused(running) == []
    assert caplog.text.count("its inputs stand still") == 1


async def test_other_handlers_may_pause_too() -> None:
    """The inputs go on when the last one has what it needs."""
    needed = Dependency()
    talking = asyncio.Event()

    @on(Paid, retry=Retry.on(OSError).pause("5ms"), name="talk")
    async def talk(event: Paid) -> None:
        if event.order == "b" and not talking.is_set():
            raise OSError

    async with staged() as stage:
        await stage.publish(Paid("a"), Paid("b"))
        async with stage.running(talk, needed.handler(PATIENT)) as running:
            await until(lambda: len(paused(running)) == 2)
            talking.set()
            await until(lambda: paused(running) == ["handle waits for what it needs"])
            needed.back = True
            await stage.settled(running)
            assert paused(running) == []


async def test_nothing_is_tried_while_the_task_drains() -> None:
    """Another key's handler is still busy and has its grace; what stands still would be run again and again for it."""
    needed, busy = Dependency(), asyncio.Event()

    @on(Paid, name="talk")
    async def talk(event: Paid) -> None:
        if event.order == "slow":
            busy.set()
            await asyncio.Event().wait()

    short = Settings(commit_interval_ms=1, session_timeout_seconds=5.0, grace_seconds=0.2)
    async with staged() as stage:
        await stage.publish(Paid("slow"), Paid("k"))
        handle = needed.handler(Retry.on(ConnectionError).pause("5ms"))
        async with stage.running(talk, handle, settings=short) as running:
            await until(lambda: busy.is_set() and len(needed.calls) > 3)
            running.runner.drain()
            await until(lambda: running.runner.draining)
            before = len(needed.calls)
        assert len(needed.calls) <= before + 1


async def test_a_partition_that_is_set_apart_stays_so() -> None:
    """What stands still for all ends, and it stands still by itself; what it waits for comes, and all stand still."""
    async with staged(talk=2) as stage:
        one, two = TopicPartition("talk", 0), TopicPartition("talk", 1)
        reader = stage.broker.log.reader({one: 0, two: 0})
        lanes = Lanes(1, lambda _: None, lambda: None, lambda _: True)
        pauses = Pauses("it", stage.clock, lanes, Notices(Audit("shop", 0), stage.clock))
        pauses.govern(reader, [one, two])

        def readable() -> list[int]:
            found = []
            while (batch := reader.take()) is not None:
                found.append(batch.partition)
                reader.seek(TopicPartition("talk", batch.partition), 0)
                reader.pause([TopicPartition("talk", batch.partition)])
            reader.resume([TopicPartition("talk", number) for number in found])
            return sorted(found)

        for at in (one, two):
            await stage.broker.log.append(at, [Record(None, b"{}", 0)])
        assert readable() == [0, 1]
        pauses.set_apart(one)
        pauses.hold("away")
        assert readable() == []
        pauses.release("away")
        assert readable() == [1]
        pauses.hold("away")
        pauses.rejoin(one)
        assert readable() == []
        pauses.release("away")
        assert readable() == [0, 1]
        reader.close()
        await lanes.stop()
