"""Older and newer processes of one group: who runs a task, and who gives it back."""

import asyncio
import logging
from typing import Any

import msgspec
import pytest

from mainstem.broker import Change
from mainstem.delivery import Processor, Rollback
from mainstem.delivery.roster import FORMAT
from mainstem.errors import DefinitionError, Outdated
from mainstem.settings import Settings
from tests.rooms.delivery.stage import GROUP, Paid, Running, Stage, Told, on, staged, until

SOON = Settings(commit_interval_ms=1, session_timeout_seconds=0.2, grace_seconds=0.2)


def telling(name: str) -> Processor:
    """A handler that tells who it is and what it got."""

    @on(Paid, name="tell")
    async def tell(event: Paid) -> Told:
        return Told(f"{name} {event.n}")

    return tell


def start(stage: Stage, definition: int, **options: Any) -> Running:
    """Run the group as a process of this definition does."""
    return stage.start(stage.plan(telling(f"v{definition}"), definition=definition, **options), settings=SOON)


def has(running: Running, count: int) -> bool:
    """Whether a process runs so many tasks, and each has committed."""
    tasks = running.runner.tasks.values()
    return len(tasks) == count and all(each.positions for each in tasks)


async def run(stage: Stage, definition: int) -> None:
    """Handle everything there is, as a process of this definition."""
    running = start(stage, definition)
    await stage.settled(running)
    await running.stop()


async def end_of(running: Running) -> str:
    """What ends a runner by itself."""
    with pytest.raises(Outdated) as refused:
        await asyncio.wait_for(running.task, 5)
    return str(refused.value)


async def test_an_older_definition_gives_the_task_back() -> None:
    """Nothing is handled by a process whose number is lower than the recorded one, and the error says what to do."""
    async with staged() as stage:
        await stage.publish(Paid("a", 1))
        await run(stage, 2)
        await stage.publish(Paid("a", 2))
        said = await end_of(start(stage, 1))
        assert "definition 2; this process has 1" in said
        assert f"mainstem groups rollback {GROUP} --definition 1" in said
        assert await stage.told() == ["v2 1"]
        assert (await stage.broker.admin.groups())[GROUP].owners == (None,)
        await run(stage, 2)
        await stage.publish(Paid("a", 3))
        await run(stage, 3)
        assert await stage.told() == ["v2 1", "v2 2", "v3 3"]
        await end_of(start(stage, 2))


async def test_without_numbers_nothing_is_refused() -> None:
    """Who never states a number is never older; who leaves it out later is older than any."""
    async with staged() as stage:
        await stage.publish(Paid("a", 1))
        await run(stage, 0)
        await stage.publish(Paid("a", 2))
        await run(stage, 0)
        assert await stage.told() == ["v0 1", "v0 2"]
        await run(stage, 1)
        assert "this process has none" in await end_of(start(stage, 0))


async def test_a_newer_format_is_never_touched() -> None:
    """A library that is older than the books does not read them, whatever the definition, and no command helps."""
    async with staged() as stage:
        await run(stage, 1)
        task = (await stage.broker.admin.groups())[GROUP]
        newer = msgspec.msgpack.encode({"definition": 1, "format": FORMAT + 1, "unheard_of": True})
        [(key, row)] = stage.rows("$edition")
        assert msgspec.msgpack.decode(row) == {"definition": 1, "format": FORMAT}
        membership = await stage.broker.group.join(stage.plan(telling("v1")).spec(SOON))
        ownership = await membership.take_over(0)
        transaction = ownership.transaction()
        transaction.changes([Change("$edition", key, newer)])
        transaction.positions(ownership.positions)
        await transaction.commit()
        await membership.leave()
        assert "install that version" in await end_of(start(stage, 9))
        rollback = Rollback(stage.broker, task, 0)
        with pytest.raises(DefinitionError, match="newer mainstem"):
            await rollback.look()


async def test_a_newer_member_is_given_the_task(caplog: pytest.LogCaptureFixture) -> None:
    """An older process that is assigned a task of a newer one passes it on, says so, and stands by."""
    caplog.set_level(logging.ERROR)
    async with staged(orders=4) as stage:
        newer = start(stage, 2, tasks=4)
        await until(lambda: has(newer, 4))
        older = start(stage, 1, tasks=4)
        await until(lambda: len(caplog.records) >= 2)
        await until(lambda: has(newer, 4))
        await stage.publish(*(Paid(f"k{n}", n) for n in range(20)))
        await stage.settled(newer)
        assert len(await stage.told()) == 20
        assert older.runner.tasks == {}
        assert {"was run by a newer definition" in each.message for each in caplog.records} == {True}
        await older.stop()
        await newer.stop()


async def test_those_that_are_all_too_old_do_not_spin() -> None:
    """Older members pass a task round slowly, and run what is left to them."""
    async with staged(orders=2) as stage:
        older = start(stage, 1, tasks=2)
        await until(lambda: has(older, 2))
        newer = start(stage, 2, tasks=2)
        await until(lambda: has(newer, 1) and has(older, 1))
        [theirs] = newer.runner.tasks
        other = start(stage, 1, tasks=2)

        async def joined() -> bool:
            return len((await stage.broker.admin.groups())[GROUP].members) == 3

        await until(joined)
        await newer.stop()

        async def epoch() -> int:
            return (await stage.broker.admin.groups())[GROUP].epochs[theirs]

        before = await epoch()
        ends = asyncio.get_running_loop().time() + 3 * SOON.session_timeout_seconds
        await until(lambda: asyncio.get_running_loop().time() > ends)
        assert 1 <= await epoch() - before <= 16
        assert has(older, 1)
        assert not older.task.done()
        assert not other.task.done()
        await older.crash()
        await end_of(other)


async def test_rolling_back_is_recorded() -> None:
    """After a rollback the older definition runs the tasks, from where the newer one has stopped."""
    async with staged() as stage:
        await stage.publish(Paid("a", 1))
        await run(stage, 3)
        group = (await stage.broker.admin.groups())[GROUP]
        rollback = Rollback(stage.broker, group, 2)
        assert await rollback.look() == {0: 3}
        await rollback.carry_out()
        assert await rollback.look() == {}
        await stage.publish(Paid("a", 2))
        await end_of(start(stage, 1))
        await run(stage, 2)
        assert await stage.told() == ["v3 1", "v2 2"]


async def test_who_waits_to_be_asked_again_does_not_keep_the_others_waiting() -> None:
    """Older members that have passed their tasks round stand by for a session timeout, and end at once if told to."""
    patient = Settings(commit_interval_ms=1, session_timeout_seconds=60.0, grace_seconds=0.2)
    async with staged(orders=2) as stage:
        plans = [stage.plan(telling(f"v{definition}"), definition=definition, tasks=2) for definition in (2, 1, 1)]
        newer = stage.start(plans[0], settings=patient)
        await until(lambda: has(newer, 2))
        await newer.stop()
        first = stage.start(plans[1], settings=patient)
        other = stage.start(plans[2], settings=patient)

        async def each_was_asked_twice() -> bool:
            return min((await stage.broker.admin.groups())[GROUP].epochs) >= 4

        await until(each_was_asked_twice)
        await asyncio.wait_for(asyncio.gather(first.stop(), other.stop()), 5)
