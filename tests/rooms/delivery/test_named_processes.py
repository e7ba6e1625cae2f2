"""A process with a name of its own, and one that runs certain tasks and no others."""

import msgspec
import pytest

from mainstem.errors import MembershipLost
from mainstem.settings import Settings
from tests.rooms.delivery.stage import QUICK, Paid, Running, Stage, on, staged, until


@on(Paid)
async def ignore(event: Paid) -> None:
    """Whatever comes."""


def start(stage: Stage, **settings: str) -> Running:
    """A process in a group of four tasks."""
    return stage.start(stage.plan(ignore, tasks=4), settings=msgspec.structs.replace(QUICK, **settings))


def owned(running: Running) -> set[int]:
    """The tasks that it runs now."""
    return {number for number, task in running.runner.tasks.items() if task.positions}


async def test_a_process_that_comes_back_under_its_name_has_the_tasks_it_had() -> None:
    """The other one notices nothing: its tasks are not taken over again."""
    async with staged(orders=4) as stage:
        one, other = start(stage, static_id="one"), start(stage, static_id="other")
        await until(lambda: len(owned(one)) == len(owned(other)) == 2)
        mine, theirs = owned(one), dict(other.runner.tasks)
        await one.crash()
        again = start(stage, static_id="one")
        await until(lambda: owned(again) == mine)
        assert dict(other.runner.tasks) == theirs
        await again.stop()
        await other.stop()


async def test_of_two_with_one_name_the_older_ends() -> None:
    """It says so, and does not join again: that would take the tasks of the newer one, and so on for ever."""
    async with staged(orders=4) as stage:
        older = start(stage, static_id="one")
        await until(lambda: len(owned(older)) == 4)
        newer = start(stage, static_id="one")
        with pytest.raises(MembershipLost, match="static id"):
            await older.task
        await until(lambda: len(owned(newer)) == 4)
        await newer.stop()


async def test_pinned_tasks_are_run_where_they_are_pinned() -> None:
    """Exactly these; the others go to whoever runs any, and nobody takes those of the first."""
    async with staged(orders=4) as stage:
        pinning = start(stage, pinned_tasks="1,3")
        await until(lambda: len(owned(pinning)) == 2)
        free = start(stage)
        await until(lambda: len(owned(free)) == 2)
        assert (owned(pinning), owned(free)) == ({1, 3}, {0, 2})
        await free.stop()
        await stage.publish(*[Paid(f"o-{n}") for n in range(20)])
        assert owned(pinning) == {1, 3}
        await pinning.stop()


def test_pinned_tasks_are_written_as_numbers() -> None:
    """From the environment as from the file."""
    assert Settings.load({"MAINSTEM_PINNED_TASKS": "0,3"}).pinned == frozenset({0, 3})
    assert Settings.load({}).pinned is None
