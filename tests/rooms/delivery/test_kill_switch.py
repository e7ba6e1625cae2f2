"""What a kill switch counts, and what becomes of an open one; and slow calls, which open a breaker as failures do."""

import asyncio

import pytest

from mainstem.delivery import Breaker, KillSwitch, Retry
from mainstem.delivery.guards import breakers
from mainstem.delivery.guards.breaker import Fuse
from mainstem.delivery.guards.gate import OPENED, Gate, Shared
from mainstem.resilience import BreakerRule, CallsWindow
from tests.rooms.delivery.stage import Paid, Running, on, staged, until
from tests.rooms.delivery.test_breakers import OPEN, Dependency, at_rest, paused

NEVER = Retry.never()


def open_now(running: Running) -> bool:
    """Whether any breaker is."""
    return any(each.open_breakers for each in running.runner.tasks.values())


async def test_an_open_one_is_open_for_the_next_owner() -> None:
    """It probes one event at a time there as well, and lets the others go on when that one succeeds."""
    needed = Dependency()
    switch = KillSwitch(failures=4, probe="1h", longest="1h")
    async with staged() as stage:
        await stage.publish(*[Paid(f"k{n}") for n in range(10)])
        async with stage.running(needed.handler(switch), lanes=8) as running:
            await until(lambda: paused(running) == [OPEN] and bool(stage.rows("$breakers")))
        calls, needed.back = len(needed.calls), True
        async with stage.running(needed.handler(switch), lanes=8) as running:
            await until(lambda: paused(running) == [OPEN])
            assert len(needed.calls) == calls
            stage.clock.ahead_ms += 3_600_000
            await running.stop()
        async with stage.running(needed.handler(switch), lanes=8) as running:
            await at_rest(stage, running)
        assert len(await stage.told()) == 7


@pytest.mark.parametrize(("good", "opens"), [(0, True), (1, False)])
async def test_the_next_owner_goes_on_counting(good: int, *, opens: bool) -> None:
    """What had failed in a row before counts, and a success ends the row as it would have ended it there."""
    needed = Dependency()
    switch = KillSwitch(failures=3, probe="1h", longest="1h")
    async with staged() as stage:
        await stage.publish(Paid("a", 1), Paid("b", 1))
        await stage.run(needed.handler(switch))
        needed.back, needed.away = True, {1}
        await stage.publish(*[Paid("c", 2)] * good, Paid("d", 1))
        async with stage.running(needed.handler(switch), lanes=1) as running:
            await stage.settled(running)
            assert (needed.calls[-1], open_now(running)) == ("d1", opens)
        assert len(await stage.told()) == good


async def test_an_owner_who_has_nothing_to_do_stands_still_as_well() -> None:
    """An open breaker holds the inputs from the take-over on, and not only when the first event asks."""
    needed = Dependency()
    switch = KillSwitch(failures=2, probe="1h", longest="1h")
    async with staged() as stage:
        await stage.publish(Paid("a"), Paid("b"))
        async with stage.running(needed.handler(switch)) as running:
            await until(lambda: len(stage.rows("$breakers")) == len(stage.rows("$held")) == 1)
            await until(lambda: paused(running) == [OPEN])
        async with stage.running(needed.handler(switch)) as running:
            await until(lambda: paused(running) == [OPEN])
        assert needed.calls == ["a0", "b0"]


async def test_what_succeeds_at_another_run_at_once_does_not_count() -> None:
    """However many fail side by side: the policy has a further run for each of them."""
    together, tried = asyncio.Barrier(3), set[str]()

    @on(Paid, name="call", retry=Retry.on(OSError).inline(1), breaker=KillSwitch(failures=3))
    async def call(event: Paid) -> None:
        if event.order not in tried:
            tried.add(event.order)
            await together.wait()
            raise ConnectionError

    async with staged() as stage:
        await stage.publish(*[Paid(f"k{n}") for n in range(3)])
        await stage.run(call, lanes=8)
        assert len(tried) == 3
        assert await stage.notices() == []


async def test_a_key_counts_again_after_a_success() -> None:
    """What had failed before it belongs to another row of failures."""
    calls = []

    @on(Paid, name="call", retry=NEVER, order="none", breaker=KillSwitch(failures=2, probe="1h", longest="1h"))
    async def call(event: Paid) -> None:
        calls.append(event.order)
        if event.n == 0:
            raise ConnectionError

    async with staged() as stage, stage.running(call, lanes=1) as running:
        for number, event in enumerate((Paid("a"), Paid("b", 1), Paid("a"), Paid("c")), 1):
            assert not open_now(running)
            await stage.publish(event)
            await until(lambda number=number: len(calls) == number)
        await until(lambda: open_now(running))


async def test_slow_calls_open_a_breaker_as_well() -> None:
    """What takes longer than the rule says counts, though it succeeds; and what is remembered of it has a row."""
    rule = BreakerRule(
        window=CallsWindow(3), minimum_calls=3, slow_ms=20_000, slow_rate=1.0, failure_rate=1.0, open_ms=3_600_000
    )
    slow = True

    async with staged() as stage:

        @on(Paid, name="call", breaker=Breaker(rule))
        async def call(_event: Paid) -> None:
            stage.clock.ahead_ms += 30_000 if slow else 0

        await stage.publish(Paid("a"), Paid("b"))
        await stage.run(call, lanes=1)
        assert len(stage.rows("$breakers")) == 1
        async with stage.running(call, lanes=1) as running:
            await stage.settled(running)
            assert not open_now(running)
            await stage.publish(Paid("c"))
            await until(lambda: open_now(running))


async def test_what_was_parked_goes_on_a_page_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many wait for a breaker: the last of them go on as soon as the commits between let them."""
    monkeypatch.setattr(breakers, "FREED_AT_ONCE", 2)
    needed = Dependency()
    rule = BreakerRule(window=CallsWindow(2), minimum_calls=2, open_ms=20, probes=1)
    async with staged() as stage:
        await stage.publish(*[Paid(f"k{n}", 1) for n in range(14)])
        async with stage.running(needed.handler(Breaker(rule, by="n"))) as running:
            await until(lambda: len(stage.rows("$held")) >= 12)
            needed.back = True
            await at_rest(stage, running)
        assert len(await stage.told()) == 13


async def test_those_that_have_nothing_to_remember_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many values as few as may be are kept, also when their runs fail in ways that tell nothing."""
    monkeypatch.setattr(breakers, "GATES_MOST", 4)
    made: list[bytes | None] = []

    def noted(handler: str, key: bytes | None, fuse: Fuse, shared: Shared) -> Gate:
        made.append(key)
        return Gate(handler, key, fuse, shared)

    monkeypatch.setattr(breakers, "Gate", noted)
    needed = Dependency()
    ignoring = Breaker(BreakerRule(), by="n", ignores=(ConnectionError,))
    async with staged() as stage:
        await stage.publish(*[Paid(f"k{n}", n) for n in range(12)], Paid("again", 0))
        await stage.run(needed.handler(ignoring), lanes=1)
    assert made.count(b"0") == 2


async def test_an_opening_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that somebody can be told when it happens often, however short each time is."""
    needed = Dependency()
    counted: list[int] = []
    monkeypatch.setattr(OPENED, "add", lambda count, _at: counted.append(count))
    async with staged() as stage:
        await stage.publish(*[Paid(f"k{n}") for n in range(4)])
        async with stage.running(needed.handler(KillSwitch(failures=4, probe="5ms", longest="5ms"))) as running:
            await until(lambda: len(needed.calls) > 8)
            needed.back = True
            await at_rest(stage, running)
    assert counted == [1]
