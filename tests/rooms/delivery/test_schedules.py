"""Schedules of a group from one start to the next: kept, changed, renamed and removed; and their runs that fail."""

from collections.abc import Callable

import pytest

from mainstem.delivery import Context, Cron, Processor, Recurring, Registration, Retry, compile_handler
from mainstem.delivery.context import no_effects
from mainstem.delivery.schedules import CRON, Calendar, Missed, take_run
from mainstem.delivery.schedules.calendar import LATE_MS
from mainstem.identifiers import Derivation
from mainstem.state import TaskState, Timer, timers
from tests.rooms.delivery.stage import Paid, Stage, Told, on, staged, until
from tests.rooms.state.rows import DictRows

HOUR_MS = 3_600_000
DEFAULT = Retry()


@on(Paid, name="paid")
async def paid(event: Paid) -> None:
    """Something else to do."""


def by(cron: str, name: str = "tell", *, was: tuple[str, ...] = (), retry: Retry = DEFAULT) -> Processor:
    """A handler that tells when it was due."""

    async def tell(timer: Timer) -> Told:
        return Told(str(timer.due_ms))

    return scheduled(tell, cron, name, was, retry)


def scheduled(
    function: Callable[..., object], cron: str, name: str, was: tuple[str, ...] = (), retry: Retry = DEFAULT
) -> Processor:
    """Any function, by the calendar."""
    recurring = Recurring(Cron(cron, "UTC"), "all")
    timer = CRON + name
    registration = Registration(function=function, name=name, timer=timer, schedule=recurring, was=was, retry=retry)
    return compile_handler(registration, {})


def due(stage: Stage) -> list[tuple[str, int]]:
    """The next runs that are set."""
    return sorted(
        (key[2:-1].decode().removeprefix(CRON), int.from_bytes(row[:8], "big")) for key, row in stage.rows("$timers")
    )


async def test_a_schedule_is_kept_over_a_start() -> None:
    """What was missed in between is not forgotten."""
    async with staged() as stage:
        await stage.run(by("0 * * * *"))
        [(_, first)] = due(stage)
        stage.clock.ahead_ms += 3 * HOUR_MS
        async with stage.running(by("0 * * * *")) as running:

            async def told() -> bool:
                return len(await stage.told()) == 3

            await until(told)
            await stage.settled(running)
        assert await stage.told() == [str(first + number * HOUR_MS) for number in range(3)]
        assert due(stage) == [("tell", first + 3 * HOUR_MS)]


async def test_a_changed_schedule_begins_anew() -> None:
    """What was due under the old one is not made up for under the new one."""
    async with staged() as stage:
        await stage.run(by("7 * * * *"))
        stage.clock.ahead_ms += 3 * HOUR_MS
        await stage.run(by("9 4 * * *"))
        [(_, next_ms)] = due(stage)
        assert next_ms > stage.clock.now_ms()
        assert Cron("9 4 * * *", "UTC").is_run(next_ms)
        assert await stage.told() == []


async def test_a_removed_schedule_is_forgotten() -> None:
    """In play at the next start; otherwise a handler that is gone stops the start, as any other."""
    async with staged() as stage:
        await stage.run(by("0 * * * *"), by("1 * * * *", "other"), paid)
        assert [name for name, _ in due(stage)] == ["other", "tell"]
        await stage.run(by("1 * * * *", "other"), paid, dev=True)
        assert [name for name, _ in due(stage)] == ["other"]


async def test_a_renamed_handler_keeps_its_next_run() -> None:
    """Also one that has been missed meanwhile."""
    async with staged() as stage:
        await stage.run(by("0 * * * *"))
        [(_, first)] = due(stage)
        await stage.run(by("0 * * * *", "say", was=("tell",)))
        assert due(stage) == [("say", first)]


async def test_one_task_owns_them() -> None:
    """However many tasks a group has, and however many processes."""
    async with staged(orders=4) as stage:
        await stage.run(by("0 * * * *"), paid, tasks=4)
        assert [len(stage.rows("$timers", task)) for task in range(4)] == [1, 0, 0, 0]


@pytest.mark.parametrize("renamed", [False, True])
async def test_a_run_that_was_interrupted_goes_on(renamed: bool) -> None:  # noqa: FBT001 - a parameter
    """With the same id, also under another name; and its schedule has gone on meanwhile."""
    ids: list[str] = []
    running_now: list[bool] = []

    async def half(context: Context) -> Told:
        ids.append(context.event_id)
        assert context.causation_id is None
        if len(ids) == 1:
            context.publish(Told("half"))
            await context.checkpoint()
            running_now.append(True)
            await until(lambda: False, 60)
        return Told(str(context.timestamp_ms))

    async with staged() as stage:
        await stage.run(scheduled(half, "0 * * * *", "half"))
        stage.clock.ahead_ms += HOUR_MS
        running = stage.start(stage.plan(scheduled(half, "0 * * * *", "half")))
        await until(lambda: bool(running_now))
        await running.crash()
        assert len(stage.rows("$begun")) == len(due(stage)) == 1
        name, was = ("whole", ("half",)) if renamed else ("half", ())
        async with stage.running(scheduled(half, "0 * * * *", name, was)) as running:
            await until(lambda: len(ids) == 2)
            await stage.settled(running)
        assert ids[0] == ids[1]
        assert len(await stage.told()) == 2
        assert stage.rows("$begun") == []


async def test_a_run_that_fails_parks_alone() -> None:
    """It is tried again later, and the next ones do not wait for it."""
    bad: list[int] = []

    async def fail_once(timer: Timer) -> Told:
        if not bad:
            bad.append(timer.due_ms)
            raise ConnectionError
        return Told(str(timer.due_ms))

    retry = Retry.on(ConnectionError).later("1h")
    async with staged() as stage:
        await stage.run(scheduled(fail_once, "0 * * * *", "fail"))
        stage.clock.ahead_ms += 2 * HOUR_MS
        async with stage.running(scheduled(fail_once, "0 * * * *", "fail", (), retry)) as running:

            async def told() -> bool:
                return len(await stage.told()) == 1

            await until(told)
            await stage.settled(running)
        assert await stage.told() == [str(bad[0] + HOUR_MS)]
        assert len(stage.rows("$parking")) == 1


def run_found(missed: Missed, set_ms: int, found_ms: int, now_ms: int) -> tuple[list[int], list[int], int]:
    """What becomes of an hourly run that was found due: those that begin, when the next is due, and what was written.

    Another one may have been set since.
    """
    state, set_up, effects = TaskState(DictRows()), no_effects(), no_effects()
    timers.put(state.get, set_up.write, Timer(set_ms, CRON + "tell", None))
    state.apply(set_up.writes)
    hourly = Calendar("tell", (), Recurring(Cron("0 * * * *", "UTC"), missed), Derivation("shop"))
    take_run(state.get, effects, Timer(found_ms, CRON + "tell", None), hourly, now_ms)
    state.apply(effects.writes)
    begun = [each.timer.due_ms for each in timers.begun(state)]
    return begun, [each.due_ms for each in timers.named(state, CRON + "tell")], len(effects.writes)


def test_a_run_that_is_not_set_any_more_does_not_begin() -> None:
    """It was found due, and another one was set before its turn came: nothing is written."""
    later = 2 * HOUR_MS
    assert run_found("once", later, HOUR_MS, HOUR_MS) == ([], [later], 0)


@pytest.mark.parametrize(("missed", "made_up"), [("skip", []), ("once", [3 * HOUR_MS]), ("all", [HOUR_MS])])
def test_a_run_is_missed_when_it_is_a_minute_late(missed: Missed, made_up: list[int]) -> None:
    """Up to then it begins as due, whatever becomes of those that are missed."""
    begun, following, _ = run_found(missed, HOUR_MS, HOUR_MS, HOUR_MS + LATE_MS - 1)
    assert (begun, following) == ([HOUR_MS], [2 * HOUR_MS])
    begun, _, _ = run_found(missed, HOUR_MS, HOUR_MS, HOUR_MS + LATE_MS)
    assert begun == ([HOUR_MS] if made_up else [])
    begun, following, _ = run_found(missed, HOUR_MS, HOUR_MS, 3 * HOUR_MS + LATE_MS)
    assert (begun, following) == (made_up, [2 * HOUR_MS if missed == "all" else 4 * HOUR_MS])
