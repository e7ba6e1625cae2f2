"""Closing a breaker by hand: a command to the tasks of the group, answered also when there was nothing to close."""

import pytest

from mainstem.delivery import Breaker, Command, KillSwitch, breaker_place, decode_answer
from mainstem.delivery.commands import answers_topic, encode_command
from mainstem.resilience import BreakerRule, CallsWindow
from tests.rooms.delivery.stage import GROUP, Paid, Running, Stage, staged, until
from tests.rooms.delivery.test_breakers import OPEN, Dependency, paused

LONG = BreakerRule(window=CallsWindow(4), minimum_calls=4, open_ms=3_600_000, probes=2)
WIDE = Breaker(LONG, counts=(ConnectionError,))
KEYED = Breaker(LONG, by="n", counts=(ConnectionError,))


async def close(stage: Stage, handler: str = "call", key: bytes | None = None) -> None:
    """Put the command into the inbox."""
    command = Command("c", "close", handler, breaker_place(key), "it is back", "keeper")
    await stage.append(f"{GROUP}.inbox", b"c", encode_command(command))


async def answers(stage: Stage, count: int) -> list[tuple[int, str]]:
    """What so many commands were answered."""
    given: list[tuple[int, str]] = []

    async def heard() -> bool:
        found = [decode_answer(value or b"") for _, value, _ in await stage.read(answers_topic(GROUP))]
        given[:] = [(each.found, each.text) for each in found]
        return len(given) == count

    await until(heard)
    return given


def open_now(running: Running) -> list[str]:
    """The breakers that are not closed."""
    return [each for task in running.runner.tasks.values() for each in task.open_breakers]


@pytest.mark.parametrize("breaker", [WIDE, KillSwitch(failures=4, probe="1h", longest="1h")])
@pytest.mark.parametrize("lanes", [1, 8])
async def test_what_waits_goes_on_at_once(breaker: Breaker | KillSwitch, lanes: int) -> None:
    """Those that keep their lanes and those that were parked: nobody waits for the hour to pass, or for a probe."""
    needed = Dependency()
    async with staged() as stage:
        await stage.publish(*[Paid(f"k{n}") for n in range(12)])
        async with stage.running(needed.handler(breaker), lanes=lanes) as running:
            await until(lambda: paused(running) == [OPEN])
            needed.back = True
            await close(stage)
            await until(lambda: open_now(running) == [] and paused(running) == [])
            await until(lambda: not stage.rows("$held") and not stage.rows("$due"))
            await stage.settled(running)
            assert await answers(stage, 1) == [(1, "close: 1 closed")]
        assert len(await stage.told()) == 9
        assert stage.rows("$breakers") == []
        notices = await stage.notices()
        assert (notices.count("open: call"), notices.count("not open: call")) == (1, 1)


async def test_what_it_had_counted_counts_no_more() -> None:
    """It opens again when the rule says so of what comes from now on, and not with the next failure."""
    needed = Dependency()
    async with staged() as stage:
        await stage.publish(*[Paid(f"k{n}") for n in range(4)])
        async with stage.running(needed.handler(WIDE), lanes=8) as running:
            await until(lambda: paused(running) == [OPEN])
            await close(stage)
            await until(lambda: paused(running) == [])
            # The fourth of them has waited, parked, and is the first to fail anew.
            await stage.publish(Paid("l0"), Paid("l1"))
            await until(lambda: len(needed.calls) == 7)
            assert open_now(running) == []
            await stage.publish(Paid("l2"))
            await until(lambda: open_now(running) == ["call"])


async def test_one_key_or_all() -> None:
    """With a key the breaker of that one is closed, without one those of all keys; others do not move."""
    needed = Dependency()
    async with staged() as stage:
        await stage.publish(*[Paid(f"{provider}-{n}", provider) for provider in (1, 2, 3) for n in range(6)])
        async with stage.running(needed.handler(KEYED), lanes=8) as running:
            await until(lambda: len(open_now(running)) == 3)
            needed.back = True
            await close(stage, key=b"1")
            await until(lambda: sorted(open_now(running)) == ["call for 2", "call for 3"])
            await close(stage)
            await until(lambda: open_now(running) == [])
            assert [found for found, _ in await answers(stage, 2)] == [1, 2]
            await until(lambda: not stage.rows("$held") and not stage.rows("$due"))
            await stage.settled(running)
        assert len(await stage.told()) == 9


@pytest.mark.parametrize(
    ("handler", "key", "said"),
    [("call", None, "none is open"), ("call", b"9", "none is open"), ("cal", None, "the handler has none")],
)
async def test_a_command_that_finds_nothing_is_answered(handler: str, key: bytes | None, said: str) -> None:
    """Whoever asks is told so, and need not wait until he gives up."""
    needed = Dependency()
    needed.back = True
    async with staged() as stage:
        await stage.publish(Paid("k", 1))
        async with stage.running(needed.handler(KEYED)) as running:
            await stage.settled(running)
            await close(stage, handler, key)
            assert await answers(stage, 1) == [(0, f"close: {said}")]
