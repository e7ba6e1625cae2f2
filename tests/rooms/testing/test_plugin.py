"""What pytest knows once Mainstem is installed: options for searches, stories, and tests in virtual time."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PAGE = """
import asyncio, pytest

@pytest.fixture
def days():
    return 3

@pytest.mark.virtual_time
async def test_that_passes(days):
    await asyncio.sleep(days * 86_400)

@pytest.mark.virtual_time
async def test_that_fails():
    await asyncio.sleep(1)
    assert asyncio.get_running_loop().time() < 1
"""

SEARCH = """
from tests.rooms.testing import bugs
from mainstem.testing import scenario

@scenario(bugs.forgetful, invariants=[bugs.every_order_is_charged_once], replace={bugs.Bank: bugs.Bank})
async def test_orders(world):
    await bugs.orders_come_in(world)
"""


def run(folder: Path, page: str, *options: str, ci: bool = False) -> str:
    """All that is said of a page of tests, here or on a CI server, where pytest shortens nothing."""
    (folder / "test_page.py").write_text(page)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "mainstem.testing.plugin",
        "-p",
        "no:cacheprovider",
        "-q",
        *options,
        str(folder),
    ]
    here = Path(__file__).parents[3]
    environment = {name: value for name, value in os.environ.items() if name not in {"CI", "BUILD_NUMBER"}}
    if ci:
        environment["CI"] = "true"
    return subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, check=False).stdout


def test_a_mark_lets_a_coroutine_run_in_virtual_time(tmp_path: Path) -> None:
    """It takes fixtures, and can fail. Not here, where the project's own tests run them."""
    assert "1 failed, 1 passed" in run(tmp_path, PAGE, "-c", "/dev/null", "--rootdir", str(tmp_path))


def test_without_a_mark_it_is_for_the_ini_file_to_say(tmp_path: Path) -> None:
    """Nothing is changed by being installed."""
    page = PAGE.replace("@pytest.mark.virtual_time", "")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    assert "1 failed, 1 passed" not in run(tmp_path, page, "-c", str(tmp_path / "pytest.ini"))
    (tmp_path / "pytest.ini").write_text("[pytest]\nmainstem_virtual_time = true\n")
    assert "1 failed, 1 passed" in run(tmp_path, page, "-c", str(tmp_path / "pytest.ini"))


@pytest.mark.parametrize("ci", [False, True])
def test_a_seed_that_does_not_hold_is_told_as_a_story(tmp_path: Path, ci: bool) -> None:  # noqa: FBT001 - a parameter
    """The story alone, and once, with the command that fails again; and that command does."""
    said = run(tmp_path, SEARCH, "--mainstem-seeds=300", "--import-mode=importlib", ci=ci)
    assert "every_order_is_charged_once does not hold" in said
    assert "calls Bank.charge(" in said
    assert "Traceback" not in said
    (again,) = [line for line in said.splitlines() if line.startswith("Run it again: ")]
    assert "::test_orders' --mainstem-seed=" in again
    seed = again.rpartition("=")[2]
    assert f"seed {seed}: every_order_is_charged_once" in run(tmp_path, SEARCH, f"--mainstem-seed={seed}")


def test_it_is_there_once_mainstem_is_installed() -> None:
    """Under the name of its module, so that somebody who asks for it by that name gets no second one."""
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"mainstem.testing.plugin": "mainstem.testing.plugin"}


@pytest.mark.parametrize("module", ["mainstem.testing.world", "mainstem.service.runtime", "apsw"])
def test_being_installed_costs_nothing(module: str) -> None:
    """The plugin is loaded wherever pytest is, so it loads nothing itself."""
    code = f"import sys, mainstem.testing.plugin; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
