"""Many processes on one file, killed again and again: what was acknowledged is there, and everything is done once."""

import os
from pathlib import Path

import pytest

from tests.crash.crew import Crew, wait_until
from tests.crash.journal import read_journal
from tests.crash.killer import Killer
from tests.crash.logfile import DATABASE, Database

ROLES = {
    "worker-1": ("worker", "worker-1"),
    "worker-2": ("worker", "worker-2"),
    "worker-3": ("worker", "worker-3"),
    "producer-1": ("producer", "producer-1", "--patient"),
    "producer-2": ("producer", "producer-2", "--patient"),
    "redriver": ("redriver", "redriver"),
}


def kill_and_check(folder: Path, seed: int, kills: int) -> str:
    """Run the workload, kill so many, let everything be worked off, and check; returns what was seen."""
    with Crew(folder, "--seed", str(seed)) as crew:
        killer = Killer(crew, seed, ROLES)
        killer.start_all()
        killer.kill(kills)
        killer.rest()
        wait_until(lambda: seen_everything(folder), "everything to have happened", every_seconds=0.1)
        killer.stop()
        for name in ("producer-1", "producer-2"):
            crew.members[name].wait_until_ready()
            assert crew.members[name].end() == 0, crew.members[name].say()[-3_000:]
        report = crew.finish()
    story = f"seed {seed}: {killer}\n{report}"
    print(story)
    assert report.sound, story
    assert len(killer.hits) >= kills, story
    assert killer.inside >= 10, story
    with Database(folder / DATABASE) as database:
        redriven = [record.value["found"] for record in database.records("fragile.answers")]
    assert any(redriven), f"no dead letter was ever redriven\n{story}"
    assert report.counts["timers fired"] > 0, story
    return story


def seen_everything(folder: Path) -> bool:
    """Whether the producers have come far, and some key is parked as a dead letter."""
    numbers = [read_journal(path).next_number for path in folder.glob("*.journal")]
    if min(numbers) < 200:
        return False
    with Database(folder / DATABASE) as database:
        told = [
            record.value["status"]
            for record in database.records("fragile.dead-letters")
            if record.value and "status" in record.value
        ]
    return "dead-lettered" in told


@pytest.mark.timeout(900)
def test_nothing_is_lost_and_nothing_is_done_twice(tmp_path: Path) -> None:
    """After fifty kills of workers and producers, in and between their commits, every promise is kept."""
    kill_and_check(tmp_path, seed=1, kills=52)


@pytest.mark.long
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize(
    "seed", range(int(os.environ.get("CRASH_SEED", "100")), int(os.environ.get("CRASH_SEED", "100")) + 10)
)
def test_nothing_is_lost_in_the_long_run(seed: int, tmp_path: Path) -> None:
    """The same for longer, with other seeds; ``CRASH_SEED`` says where they begin."""
    kill_and_check(tmp_path, seed, kills=int(os.environ.get("CRASH_KILLS", "150")))
