"""The rows of breakers: what the next owner of a task knows of them, and what keeping it costs."""

import asyncio
from collections.abc import Callable

import pytest

from mainstem.delivery import Breaker, Retry
from mainstem.delivery.guards import gate
from mainstem.delivery.guards.gate import BREAKERS_STORE, decode_state
from mainstem.resilience import BreakerRule, BreakerState, CallsWindow, LastCalls
from tests.rooms.delivery.stage import Paid, Running, Stage, on, staged, until

AGAIN = Retry.on(ConnectionError).inline(3)


def states(stage: Stage) -> list[BreakerState]:
    """What is remembered of breakers."""
    return [decode_state(row) for _, row in stage.rows(BREAKERS_STORE)]


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[BreakerState]:
    """Every state that is made into a row."""
    found: list[BreakerState] = []
    encode: Callable[[BreakerState], bytes] = gate.encode_state

    def noting(state: BreakerState) -> bytes:
        found.append(state)
        return encode(state)

    monkeypatch.setattr(gate, "encode_state", noting)
    return found


async def test_a_commit_carries_a_row_once_for_many_events(encoded: list[BreakerState]) -> None:
    """While a failure is remembered each event changes the state; only what is committed is made into a row."""

    @on(Paid, name="call", retry=AGAIN, breaker=Breaker(BreakerRule(window=CallsWindow(10_000))))
    async def call(event: Paid) -> None:
        if event.n == 0:
            raise ConnectionError

    async with staged() as stage:
        await stage.publish(*[Paid(f"k{n}", n) for n in range(400)])
        counters = await stage.run(call, lanes=8)
        assert 0 < len(encoded) <= counters.commits < 40
        [state] = states(stage)
        assert isinstance(state.outcomes, LastCalls)
        assert state.outcomes.seen == 403


async def test_a_breaker_that_forgets_its_failures_has_no_row() -> None:
    """What has left the window is no reason to remember anything."""
    failing = True

    @on(Paid, name="call", retry=AGAIN, breaker=Breaker(BreakerRule(window=CallsWindow(20))))
    async def call(_event: Paid) -> None:
        nonlocal failing
        if failing:
            failing = False
            raise ConnectionError

    async with staged() as stage:
        await stage.publish(Paid("k"))
        await stage.run(call)
        assert len(states(stage)) == 1
        await stage.publish(*[Paid(f"k{n}") for n in range(20)])
        await stage.run(call)
        assert states(stage) == []


async def test_half_open_it_is_remembered_as_open_with_all_its_probes() -> None:
    """Whoever takes over does not know what has become of a probe, and of one that had succeeded, and begins anew."""
    probed, hangs = asyncio.Event(), asyncio.Event()
    failing = True
    rule = BreakerRule(window=CallsWindow(2), minimum_calls=2, open_ms=1, probes=3)

    @on(Paid, name="call", retry=AGAIN, breaker=Breaker(rule, counts=(ConnectionError,)))
    async def call(event: Paid) -> None:
        nonlocal failing
        if failing:
            raise ConnectionError
        if event.n != 1:
            probed.set()
            await hangs.wait()

    def open_now(running: Running) -> bool:
        return any(each.open_breakers for each in running.runner.tasks.values())

    async with staged() as stage:
        await stage.publish(*[Paid(f"k{n}", n) for n in range(4)])
        async with stage.running(call, lanes=8) as running:
            await until(lambda: open_now(running))
            failing = False
            await probed.wait()
            await until(lambda: len(stage.rows(BREAKERS_STORE)) == 1)
            await until(lambda: [(each.phase, each.probes, each.proved) for each in states(stage)] == [("open", (), 0)])
            hangs.set()
            # A probe that was under way when another one failed proves nothing: with so many more there are enough.
            await stage.publish(*[Paid(f"k{n}", n) for n in range(4, 7)])
            await stage.settled(running)
        assert states(stage) == []
