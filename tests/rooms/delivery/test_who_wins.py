"""What the table of docs/failures.md says of two things that hold up the same event, or the same task."""

import pytest

from mainstem.delivery import Breaker, KillSwitch, Limit, Retry
from mainstem.resilience import BreakerRule, CallsWindow, TokenBucket
from mainstem.settings import Settings
from tests.rooms.delivery.stage import Paid, on, staged, until
from tests.rooms.delivery.test_breakers import OPEN, Dependency, paused
from tests.rooms.delivery.test_closing import close
from tests.rooms.delivery.test_giving_way import LATE_MS, late

LONG = BreakerRule(window=CallsWindow(2), minimum_calls=2, open_ms=3_600_000, probes=1)
TURNS = Limit(TokenBucket(limit=5, period_ms=3_600_000))


async def test_what_gives_way_takes_no_turn() -> None:
    """Its limit is asked when it is given its events, and not before."""

    @on(Paid, name="call", gives_way_ms=30_000, limit=TURNS)
    async def call(_event: Paid) -> None: ...

    async with staged() as stage:
        await late(stage, Paid("a", 1))
        async with stage.running(call) as running:
            await stage.settled(running)
            assert running.counters.put_aside == 1
        assert stage.rows("$limits") == []
        stage.clock.ahead_ms += 2 * LATE_MS
        async with stage.running(call) as running:
            await until(lambda: len(stage.rows("$limits")) == 1)


async def test_what_a_breaker_holds_back_has_taken_a_turn() -> None:
    """The limit is asked first, so that nobody is let through by a breaker whose turn has not come."""
    needed = Dependency()
    async with staged() as stage:
        await stage.publish(Paid("a", 1), Paid("b", 1))
        async with stage.running(needed.handler(Breaker(LONG, by="n"), limit=TURNS)) as running:
            await until(lambda: any(each.open_breakers for each in running.runner.tasks.values()))
            await stage.publish(Paid("c", 1))
            await until(lambda: len(stage.rows("$held")) == 2)
            assert [row[-1:] for row, _ in stage.rows("$limits")] == [b"a", b"b", b"c"]
        assert sorted(needed.calls) == ["a1", "b1"]


async def test_inputs_go_on_when_the_last_reason_is_gone() -> None:
    """A breaker that closes does not let a task read that has as many parked events as it keeps."""
    few = Settings(commit_interval_ms=1, session_timeout_seconds=5.0, grace_seconds=1.0, parked_events_most=2)
    needed = Dependency()
    async with staged() as stage:
        await stage.publish(Paid("a"), Paid("b"))
        async with stage.running(needed.handler(Breaker(LONG)), settings=few) as running:
            await until(lambda: len(paused(running)) == 2)
            await stage.publish(Paid("c"))
            await close(stage)
            await until(lambda: len(paused(running)) == 1)
            assert OPEN not in paused(running)
            assert not any(each.startswith("c") for each in needed.calls)


@pytest.mark.parametrize("breaker", [Breaker(LONG), KillSwitch(failures=2, probe="1h", longest="1h")])
async def test_what_fails_while_a_breaker_is_open_is_not_given_up(breaker: Breaker | KillSwitch) -> None:
    """It would be a dead letter by its policy, and waits instead; what had failed before goes as the policy says."""
    needed = Dependency()
    async with staged() as stage:
        await stage.publish(*[Paid(f"k{n}") for n in range(6)])
        async with stage.running(needed.handler(breaker), lanes=1) as running:
            await until(lambda: paused(running) == [OPEN] and len(stage.rows("$held")) == 1)
        history = await stage.history()
        assert (history.count("dead-lettered"), history.count("parked")) == (1, 1)


async def test_a_pause_wins_over_a_breaker() -> None:
    """What is to try again by its policy keeps its lane and does so, and is not parked for the breaker."""
    needed = Dependency()
    quick = BreakerRule(window=CallsWindow(2), minimum_calls=2, open_ms=5, probes=1)
    policy = Retry.on(ConnectionError).pause("5ms")
    async with staged() as stage:
        await stage.publish(*[Paid(f"k{n}") for n in range(6)])
        async with stage.running(needed.handler(Breaker(quick), policy), lanes=2) as running:
            await until(lambda: len(needed.calls) > 12 and OPEN in paused(running))
            needed.back = True
            await stage.settled(running)
            await until(lambda: paused(running) == [])
        assert len(await stage.told()) == 6
        assert await stage.history() == []


async def test_what_is_parked_stays_first() -> None:
    """Whose key waits waits behind it, also where the limit would let it run."""
    needed = Dependency()
    async with staged() as stage:
        await stage.publish(Paid("a", 1), Paid("a", 2), Paid("a", 3))
        counters = await stage.run(needed.handler(None, limit=TURNS))
        assert needed.calls == ["a1"]
        assert (counters.dead_lettered, len(stage.rows("$parked"))) == (1, 3)
