"""A disk that loses power, fills up or fails: the process says so, and nothing acknowledged is lost.

When it is full, a process waits for room; when it fails, nobody knows what is in it, and the process ends.
"""

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.crash.checker import check, unsettled
from tests.crash.crew import Crew, Member, NotInTime, wait_until
from tests.crash.journal import read_journal
from tests.crash.logfile import DATABASE, Database
from tests.crash.page import WRITER_POINTS, Ask

ALONE = ("--pause", "0.002")


def acknowledged(crew: Crew, name: str = "alone") -> int:
    """How many publishes were acknowledged so far."""
    return len(read_journal(crew.folder / f"{name}.journal").acknowledged)


def wait_for_more(crew: Crew, member: Member, more: int) -> None:
    """Wait until so many more publishes were acknowledged."""
    until = acknowledged(crew) + more
    wait_until(lambda: acknowledged(crew) >= until or not member.alive, f"{until} acknowledgements", member)
    assert member.alive, member.say()[-3_000:]


def lose_power(crew: Crew) -> None:
    """The power fails at each point of a commit; every other time some of the unsynced writes reach the disk."""
    (crew.folder / "mended").touch()
    for number in range(2 * len(WRITER_POINTS)):
        alone = crew.up("alone", "alone", "--disk", "power-loss", "--seed", str(number), *ALONE, *crew.careless)
        wait_for_more(crew, alone, 3)
        point = WRITER_POINTS[number // 2]
        if number % 2:
            alone.page.ask(Ask.LOSE_POWER, point)
            assert alone.wait_for_end() < 0
        else:
            alone.wait_at(Ask.WAIT, point)
            alone.kill()
        if not crew.careless:
            with Database(crew.database) as database:
                assert database.integrity() == [], f"after a power loss at {point}"
    crew.up("worker", "worker")


def test_what_was_acknowledged_survives_a_power_loss(tmp_path: Path) -> None:
    """Whatever was not synced is lost, or some of it, at any point of a commit; every acknowledged event is there."""
    with Crew(tmp_path) as crew:
        lose_power(crew)
        report = crew.finish()
    assert report.sound, str(report)
    assert report.counts["acknowledged"] >= 6 * len(WRITER_POINTS)


def test_without_syncing_it_does_not(tmp_path: Path) -> None:
    """With ``synchronous=OFF`` acknowledged events are lost, and the checker says which."""
    with Crew(tmp_path, without="synchronous") as crew, suppress(NotInTime):
        lose_power(crew)
    broken = check(tmp_path).differences.keys()
    assert broken & {"an acknowledged event is in the log, once", "the file is sound"}


def test_a_full_disk_pauses_the_process_and_loses_nothing(tmp_path: Path) -> None:
    """When the disk is full the process says so, and tries again; when there is room, the same process goes on."""
    (tmp_path / "mended").touch()
    full = tmp_path / "full"
    with Crew(tmp_path) as crew:
        alone = crew.up("alone", "alone", "--disk", "full", "--patient", *ALONE)
        for times in (1, 2):
            wait_for_more(crew, alone, 5)
            full.touch()
            wait_until(lambda times=times: pauses(alone) >= times, "a task to pause", alone)  # type: ignore[misc]
            full.unlink()
        wait_for_more(crew, alone, 5)
        assert alone.end() == 0
        with Database(tmp_path / DATABASE) as database:
            assert database.integrity() == []
        crew.up("worker", "worker")
        report = crew.finish()
    assert report.sound, str(report)


def pauses(member: Member) -> int:
    """How often a task of the process has found no room."""
    return member.say().count("pauses, and tries again")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder whose database lies on a small file system in memory."""
    disk = (tmp_path / DATABASE).parent
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"NOT TESTED: a disk that is really full; mounting one is not allowed here ({mounted.stderr!r})")
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_disk_that_is_really_full_loses_nothing(small_disk: Path) -> None:
    """The same with a small file system, a worker and a producer; room is made by taking another file away."""
    (small_disk / "mended").touch()
    filler = (small_disk / DATABASE).with_name("filler")
    filler.write_bytes(bytes(18_000_000))
    with Crew(small_disk) as crew:
        worker = crew.start("worker", "worker")
        producer = crew.start("producer", "alone", "--patient", *ALONE)
        wait_until(lambda: pauses(worker) > 0, "the worker to pause", worker)
        wait_until(lambda: "[disk-full]" in producer.say(), "the producer to be refused", producer)
        filler.unlink()
        wait_for_more(crew, producer, 3)
        assert producer.end() == 0
        report = crew.finish()
    assert report.sound, str(report)
    assert report.counts["acknowledged"] > 10


def test_a_failing_sync_ends_the_process_and_loses_nothing(tmp_path: Path) -> None:
    """What a failed sync leaves behind is not known, so the process ends; what it had acknowledged is there."""
    (tmp_path / "mended").touch()
    with Crew(tmp_path) as crew:
        alone = crew.up("alone", "alone", "--disk", "failing-sync", *ALONE)
        wait_for_more(crew, alone, 5)
        (tmp_path / "sync-fails").touch()
        assert crew.ends(alone) == 1
        assert "[database-failed]" in alone.say()
        crew.up("worker", "worker")
        report = crew.finish()
    assert report.sound, str(report)
    assert report.counts["acknowledged"] > 5


def test_a_worker_ends_as_well_when_a_sync_fails(tmp_path: Path) -> None:
    """A worker whose commit cannot be synced does not go on from memory, nor try for ever."""
    gate = tmp_path / "gate-slow"
    gate.touch()
    with Crew(tmp_path) as crew:
        alone = crew.up("alone", "alone", "--disk", "failing-sync", "--count", "3", "--keys", "slow", *ALONE)
        wait_until(lambda: len(unsettled(tmp_path / DATABASE)) == 1, "all but the slow one to be done", alone)
        (tmp_path / "sync-fails").touch()
        gate.unlink()
        assert crew.ends(alone) == 1
        assert "[database-failed]" in alone.say()
        crew.up("worker", "worker")
        report = crew.finish()
    assert report.sound, str(report)
