"""What a task keeps of parked events is bounded: it counts them in its commits, and reads no more at the bound."""

from collections.abc import Callable

import pytest

from mainstem.delivery import Command, Retry
from mainstem.delivery.context import Effects, no_effects
from mainstem.delivery.failures import letters
from mainstem.delivery.guards import COUNT_STORE
from mainstem.settings import Settings
from mainstem.state import TaskState
from tests.rooms.delivery.stage import Paid, Running, Stage, Told, on, staged, until
from tests.rooms.state.rows import DictRows

FEW = Settings(
    commit_interval_ms=1, session_timeout_seconds=5.0, grace_seconds=1.0, parked_events_most=10, buffer_events=5
)


@on(Paid, retry=Retry.never(), name="handle")
async def refuse(event: Paid) -> Told:
    """Refuses what has no number."""
    if event.n == 0:
        raise ValueError
    return Told(event.order)


def counted(stage: Stage) -> int:
    """What the task's store says."""
    rows = stage.rows(COUNT_STORE)
    return int(rows[0][1]) if rows else 0


def stands_still(running: Running) -> bool:
    """Whether the inputs of a task do."""
    return any(each.paused for each in running.runner.tasks.values())


async def test_at_the_bound_nothing_is_read_but_the_inbox(caplog: pytest.LogCaptureFixture) -> None:
    """It is said once; discards make room, and when there is a tenth of it reading goes on."""
    async with staged() as stage:
        await stage.publish(*[Paid(f"k{n}") for n in range(10)])
        async with stage.running(refuse, settings=FEW) as running:
            await until(lambda: stands_still(running) and counted(stage) == 10)
            await stage.publish(*[Paid(f"l{n}", 1) for n in range(3)])
            await stage.command(Command("c1", "redrive", "handle", b"kk1"))
            await until(lambda: running.counters.dead_lettered == 11)
            assert (counted(stage), await stage.told()) == (10, [])
            await stage.command(Command("c2", "discard", "handle", b"kk1"))
            await until(lambda: not stands_still(running))
            await stage.settled(running)
            assert await stage.told() == ["l0", "l1", "l2"]
            assert counted(stage) == len(stage.rows("$parked")) == 9
    assert caplog.text.count("inputs stand still: 10 parked events are as many as it keeps") == 1


async def test_the_count_is_taken_over() -> None:
    """Whoever takes over a task that is full reads nothing; with a higher bound it goes on."""
    async with staged() as stage:
        await stage.publish(*[Paid(f"k{n}") for n in range(12)])
        await stage.run(refuse)
        assert counted(stage) == 12
        await stage.publish(Paid("free", 1))
        async with stage.running(refuse, settings=FEW) as running:
            await until(lambda: stands_still(running))
            # When this has been there and back, what waits in the input would have been read too.
            await stage.command(Command("c", "discard", "handle", b"kk0"))
            await until(lambda: counted(stage) == 11)
            assert await stage.told() == []
        await stage.run(refuse)
        assert await stage.told() == ["free"]


async def test_what_was_parked_before_there_was_a_count_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once; and no row is left when nothing is parked."""
    async with staged() as stage:
        await stage.publish(*[Paid("k") for n in range(3)])
        with monkeypatch.context() as before:
            before.setattr("mainstem.delivery.guards.LetterCount.row", lambda _: {})
            await stage.run(refuse)
        assert (counted(stage), len(stage.rows("$parked"))) == (0, 3)
        await stage.publish(Paid("k"))
        await stage.run(refuse)
        assert counted(stage) == 4
        await stage.command(Command("c", "discard", "handle", b"kk"))
        await stage.run(refuse)
        assert (stage.rows(COUNT_STORE), stage.rows("$parked")) == ([], [])


def test_what_has_gone_before_is_not_counted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dropped sequence may have a gap where letters were worked off, and is deleted a few at a time all the same."""
    monkeypatch.setattr(letters, "LETTERS_AT_ONCE", 5)
    state = TaskState(DictRows())
    kept = letters.Letters(state)
    letter, total = letters.Letter("orders", 0, 1, 1, b"k", b"", {}), 0

    def done(effects: Effects) -> None:
        nonlocal total
        total += effects.letters
        state.apply(effects.writes)
        assert total == sum(1 for _ in state.walk(letters.LETTERS))

    def step(change: Callable[[Effects], None]) -> None:
        change(effects := no_effects())
        done(effects)

    for number in range(40):
        step(lambda effects, at=number: kept.put(effects, ("handle", b"kk"), letter, at))  # type: ignore[misc]
        if number == 29:
            step(lambda effects: kept.drop(effects, "handle", b"kk", range(30), 1))
            step(lambda effects: kept.sweep(effects, "handle", b"kk", 1))
    for number in range(30, 33):
        step(lambda effects, at=number: kept.delete(effects, "handle", b"kk", range(at, at + 1)))  # type: ignore[misc]
    step(lambda effects: kept.drop(effects, "handle", b"kk", range(33, 40), 1))
    for each in kept.sweep_all("handle"):
        done(each)
    assert total == 0
