"""Retiring a handler: what a group remembers of it goes, with a record, and the group starts again."""

import asyncio

import pytest

from mainstem.errors import DefinitionError
from tests.journeys.conditions import until
from tests.rooms.ops.conftest import Shell
from tests.rooms.ops.shop import OrderPaid, changed, loyalty


async def start_changed(shell: Shell) -> None:
    """Run the service whose handler has another name, until both tasks are owned."""
    async with shell.running(changed) as process:
        await until(lambda: len([task for task in process.runners["loyalty"].tasks.values() if task.positions]) == 2)


@pytest.fixture
def left_behind(shell: Shell) -> Shell:
    """Two customers' orders are dead letters of ``tally``, a third one has a timer, and nobody runs the group."""

    async def leave() -> None:
        await shell.fail("c-1", "c-2")
        async with shell.running(loyalty) as process:
            await loyalty.publish(OrderPaid("c-3", 1))

            async def done() -> bool:
                tasks = await process.statistics()
                return sum(each.counters.handled for each in tasks) == 1 and not sum(each.lag for each in tasks)

            await until(done)

    asyncio.run(leave())
    return shell


def test_a_group_starts_again_once_what_it_remembers_is_retired(left_behind: Shell) -> None:
    """A handler that was removed stops the start; retired with its timers, it does not, and its letters are told of."""
    shell = left_behind
    with pytest.raises(DefinitionError, match="mainstem retire loyalty tally --yes"):
        asyncio.run(start_changed(shell))
    [found] = shell.json("retire", "loyalty", "tally")
    remembered = {"tasks": 2, "sequences": 2, "events": 2, "timers": 0, "checkpoints": 0}
    assert (found["remembered"], found["done"], found["registered"]) == (remembered, False, False)
    assert len(shell.json("dead-letters", "list")) == 2, "nothing was done"
    assert shell.json("retire", "loyalty", "tally", "--yes")[0]["remembered"] == remembered
    assert shell.json("dead-letters", "list", "--parked") == []
    told = shell("tail", "loyalty.dead-letters", "--json", "--limit", "100").stdout
    assert told.count('"status":"discarded"') == 2
    assert "the handler tally was retired" in told
    [found] = shell.json("retire", "loyalty", "remind", "--timer", "remind", "--yes")
    assert found["remembered"]["timers"] == 1
    asyncio.run(start_changed(shell))


def test_timers_that_nobody_handles_say_how_to_retire_them(left_behind: Shell) -> None:
    """When only timers are left, the refusal names the command, and the command alone removes them."""
    shell = left_behind
    for handler in ("tally", "remind"):
        shell.json("retire", "loyalty", handler, "--yes")
    with pytest.raises(DefinitionError, match="mainstem retire loyalty HANDLER --timer remind"):
        asyncio.run(start_changed(shell))
    shell.json("retire", "loyalty", "remind", "--timer", "remind", "--yes")
    asyncio.run(start_changed(shell))


def test_positions_stay_and_older_owners_are_fenced(left_behind: Shell) -> None:
    """Retiring takes the tasks over, moves nothing, and leaves the group without members."""
    shell = left_behind
    [before] = shell.json("groups", "show", "loyalty")
    shell.json("retire", "loyalty", "tally", "--yes")
    [after] = shell.json("groups", "show", "loyalty")
    assert after["members"] == []
    for earlier, later in zip(before["tasks"], after["tasks"], strict=True):
        assert later["epoch"] > earlier["epoch"]
        assert later["positions"] == earlier["positions"]
        assert later["owner"] is None


def test_a_running_group_is_not_touched(left_behind: Shell) -> None:
    """As long as somebody runs the group, nothing is retired."""
    shell = left_behind

    async def while_it_runs() -> None:
        async with shell.running(loyalty) as process:
            await until(lambda: len(process.runners["loyalty"].tasks) == 2)
            result = await shell.beside("retire", "loyalty", "tally", "--yes")
            assert result.exit_code == 1
            assert "has live members" in result.stderr

    asyncio.run(while_it_runs())
    assert len(shell.json("dead-letters", "list")) == 2


def test_whoever_is_still_registered_is_pointed_out(left_behind: Shell) -> None:
    """A handler that its service has not given up is shown as such before anything is done."""
    assert "still registered this handler" in left_behind("retire", "loyalty", "tally").stdout


def test_what_is_not_remembered_is_refused(left_behind: Shell) -> None:
    """A wrong name is no success; the second time, there is nothing left either."""
    for arguments in (("loyalty", "tallly"), ("loyality", "tally"), ("loyalty", "tallly", "--timer", "other")):
        result = left_behind("retire", *arguments, "--yes")
        assert result.exit_code == 1
        assert "[not-found]" in result.stderr
    left_behind.json("retire", "loyalty", "tally", "--yes")
    assert left_behind("retire", "loyalty", "tally", "--yes").exit_code == 1
