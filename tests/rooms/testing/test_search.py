"""Searching many seeds; and pytest's way to run a coroutine function in virtual time."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from mainstem.testing import SeedFailed, SimulationLoop, crash, run_simulation, search, simulate
from tests.rooms.testing.billing import Bank, OrderPlaced, PatientBank, PaymentTaken, billing


def seed() -> int:
    """The seed of the loop that runs."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimulationLoop)
    return loop.seed


async def harmless() -> None:
    """Holds with every seed."""
    await asyncio.sleep(seed())


async def unlucky() -> None:
    """Fails with two seeds."""
    async with simulate(billing, replace={Bank: PatientBank()}, faults=[crash("commit.append")]) as world:
        await world.publish(OrderPlaced("o-1", "c-9", 100))
        await world.settle()
        assert len(world.published(PaymentTaken)) == 1
        assert seed() not in (5, 7), "an unlucky number"


def test_every_seed_is_run() -> None:
    """A number of seeds counts from 0; a range says which."""
    seen: list[int] = []

    async def scenario() -> None:
        seen.append(seed())

    assert search(scenario, 3) == 3
    assert search(scenario, range(10, 12)) == 2
    assert seen == [0, 1, 2, 10, 11]


def test_a_failure_names_its_seed_and_tells_what_happened() -> None:
    """The message has the seed, the error and the trace; with that seed it fails again."""
    with pytest.raises(SeedFailed, match=r"seed 5: AssertionError: an unlucky number") as failed:
        search(unlucky, range(4, 9))
    assert failed.value.seed == 5
    assert "worker 0 at commit.append" in str(failed.value)
    assert isinstance(failed.value.__cause__, AssertionError)
    with pytest.raises(AssertionError, match="unlucky"):
        run_simulation(unlucky, seed=5)


def test_several_processes_share_the_seeds() -> None:
    """They find the same first failure."""
    assert search(harmless, 4, processes=2) == 4
    with pytest.raises(SeedFailed, match="seed 5") as failed:
        search(unlucky, range(4, 9), processes=2)
    assert "worker 0 at commit.append" in failed.value.trace


PAGE = """
import asyncio, pytest

@pytest.fixture
def days():
    return 3

async def test_that_passes(days):
    await asyncio.sleep(days * 86_400)

async def test_that_fails():
    await asyncio.sleep(1)
    assert asyncio.get_running_loop().time() < 1
"""


def test_pytest_runs_coroutine_functions(tmp_path: Path) -> None:
    """With the plugin, an ``async def`` test runs in virtual time, takes fixtures, and can fail."""
    (tmp_path / "test_page.py").write_text(PAGE)
    command = [sys.executable, "-m", "pytest", "-p", "mainstem.testing.plugin", "-p", "no:cacheprovider", "-q", "."]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "1 failed, 1 passed" in run.stdout
