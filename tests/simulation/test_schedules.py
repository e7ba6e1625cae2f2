"""Handlers that run by the calendar: once for each time, whatever the clocks are set to, and whatever crashes."""

import asyncio
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from mainstem import Context, IntegrationEvent, Service, Timer
from mainstem.settings import Settings
from mainstem.testing import (
    Simulation,
    World,
    crash,
    lose_answer,
    lose_ownership,
    nothing_twice,
    refuse_commit,
    search,
    simulate,
    simulated,
)

SIX_HOURS_MS = 6 * 3_600_000


class Reported(IntegrationEvent, topic="reports", key="by"):
    """A run was made."""

    by: str
    due_ms: int


def clockwork(missed: str = "all") -> Service:
    """A service of which every handler runs by the calendar."""
    service = Service("clockwork")

    @service.schedule("30 2 * * *", tz="Europe/Berlin", missed=missed)  # type: ignore[arg-type]
    async def nightly(timer: Timer, context: Context) -> Reported:
        assert timer.due_ms == context.timestamp_ms
        await asyncio.sleep(0.01)
        return Reported("nightly", timer.due_ms)

    @service.schedule("0 */6 * * *", missed=missed, publishes=(Reported,))  # type: ignore[arg-type]
    async def quarterly(timer: Timer, context: Context) -> None:
        context.publish(Reported("quarterly", timer.due_ms))

    return service


def at(due_ms: int) -> str:
    """The time of day, in UTC."""
    return datetime.fromtimestamp(due_ms / 1_000, UTC).strftime("%H:%M")


def check(found: list[Reported], begin_ms: int, end_ms: int) -> None:
    """Each run once, in order, and none is left out."""
    nights = [each.due_ms for each in found if each.by == "nightly"]
    quarters = [each.due_ms for each in found if each.by == "quarterly"]
    assert quarters == list(range((begin_ms // SIX_HOURS_MS + 1) * SIX_HOURS_MS, end_ms, SIX_HOURS_MS))
    assert nights == sorted(set(nights))
    days = [datetime.fromtimestamp(each / 1_000, UTC).date() for each in nights]
    assert [(later - earlier).days for earlier, later in pairwise(days)] == [1] * (len(days) - 1)
    assert {at(each) for each in nights} <= {"00:30", "01:30", "01:00"}


async def days_go_by(world: World) -> None:
    """Some days are lived through while things go wrong."""
    await world.advance("9d")
    await world.restart(0)
    await world.advance("3d")


def each_run_is_made_once(world: World) -> None:
    """From the first one on, none is left out and none is made twice."""
    found = list(world.published(Reported))
    begin_ms = min(each.due_ms for each in found if each.by == "quarterly") - 1
    check(found, begin_ms, world.clock.now_ms() - 1_000)


simulation = Simulation(
    clockwork(),
    scenario=days_go_by,
    invariants=(nothing_twice, each_run_is_made_once),
    faults=[
        refuse_commit(probability=0.1),
        lose_answer(happened=True, probability=0.1),
        lose_answer(happened=False, probability=0.1),
        crash("commit.*", probability=0.2, times=4),
        crash("writer.*", probability=0.1, times=4),
        crash("handler.*", probability=0.2, times=4, restart_after="40h"),
        lose_ownership("*", probability=0.05, times=2),
    ],
    workers=(1, 2),
    settings=Settings(session_timeout_seconds=5),
)


def test_each_run_is_made_once() -> None:
    """Whatever crashes, at whichever step of a commit, and for however long nobody is there."""
    search(simulation, 15)


@pytest.mark.parametrize(
    ("begin", "times"),
    [
        ("2013-03-28T12:05+00:00", ["01:30", "01:30", "01:00", "00:30", "00:30", "00:30"]),
        ("2013-10-24T12:05+00:00", ["00:30", "00:30", "00:30", "01:30", "01:30", "01:30"]),
    ],
)
def test_each_night_has_one_run(begin: str, times: list[str]) -> None:
    """Also that in which half past two does not exist, and that in which it exists twice."""

    @simulated
    async def nights() -> None:
        async with simulate(clockwork("skip")) as world:
            world.clock.jump(datetime.fromisoformat(begin).timestamp() - world.clock.now_ms() / 1_000)
            begin_ms = world.clock.now_ms()
            await world.advance("6d")
            found = list(world.published(Reported))
            check(found, begin_ms, world.clock.now_ms())
            assert [at(each.due_ms) for each in found if each.by == "nightly"] == times

    nights()


@pytest.mark.parametrize(("missed", "count"), [("skip", 0), ("once", 1), ("all", 10)])
def test_runs_are_missed(missed: str, count: int) -> None:
    """After days without anybody: none of them, the last, or each is made up for; then they go on as before."""

    @simulated
    async def days() -> None:
        async with simulate(clockwork(missed)) as world:
            await world.advance("3d")
            before = [each.due_ms for each in world.published(Reported) if each.by == "nightly"]
            world.crash(restart_after="10d")
            await world.advance(10 * 86_400 + 600)
            after = [each.due_ms for each in world.published(Reported) if each.by == "nightly"]
            made_up = after[len(before) :]
            assert len(made_up) == count
            if made_up:
                assert world.clock.now_ms() - made_up[-1] < 86_400_000
            await world.advance("2d")
            assert len([each for each in world.published(Reported) if each.by == "nightly"]) == len(after) + 2

    days()
