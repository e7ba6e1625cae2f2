"""``mainstem run --static-id`` and ``--pin``: what the process and its workers are called, and which tasks they run."""

import asyncio

import pytest

from mainstem.errors import StartRefused
from mainstem.ops.workers.supervisor import Crew
from mainstem.service import running
from mainstem.settings import Settings
from tests.rooms.ops.conftest import Shell
from tests.rooms.ops.shop import loyalty


def test_each_worker_has_a_name_of_its_own() -> None:
    """One alone has the name that was given, several have numbers behind it; without a name they have none."""
    assert Crew(["run"], {}, 1, "shop").arguments_of(1) == ["run", "--static-id", "shop"]
    assert Crew(["run"], {}, 2, "shop").arguments_of(2) == ["run", "--static-id", "shop-2"]
    assert Crew(["run"], {}, 2).arguments_of(2) == ["run"]


@pytest.mark.parametrize("typed", [("--pin", "one"), ("--pin", ""), ("--static-id", "a b"), ("--static-id", "")])
def test_what_no_setting_would_be_is_refused(shell: Shell, typed: tuple[str, str]) -> None:
    """With the code of a wrong command, before anything is loaded; in words, and not as a pattern."""
    result = shell("run", "nothing:here", *typed)
    assert result.exit_code == 2
    assert "it is numbers of tasks" in result.stderr or "it is up to 100 letters" in result.stderr
    assert "regex" not in result.stderr


def test_several_workers_cannot_run_the_same_tasks_alone(shell: Shell) -> None:
    """It is refused, with the way to do it."""
    result = shell("run", "nothing:here", "--workers", "2", "--pin", "0", "--dev")
    assert result.exit_code == 1
    assert "start a process for each set of tasks" in result.stderr


def test_a_task_that_is_not_there_cannot_be_pinned(shell: Shell) -> None:
    """It would be waited for in silence; the group and its size are named."""

    async def start() -> None:
        async with running(loyalty, broker="sqlite:///shop.db", dev=True, settings=Settings(pinned_tasks="0,2")):
            pass

    with pytest.raises(StartRefused, match="group 'loyalty' has 2 tasks, and this process is to run"):
        asyncio.run(start())
