"""What else happens to processes: they are stopped, their clock jumps, they are started where they must not run."""

import re
from pathlib import Path

import apsw
import pytest

from tests.crash.crew import Crew, wait_until
from tests.crash.logfile import DATABASE, Database
from tests.crash.page import Ask

HOUR_MS = 3_600_000


def test_waiters_name_a_stopped_process_that_holds_the_lock(tmp_path: Path) -> None:
    """A process that is stopped within a commit holds everybody up; their logs say which one it is."""
    (tmp_path / "mended").touch()
    with Crew(tmp_path) as crew:
        holder = crew.up("worker", "holder")
        producer = crew.up("producer", "producer-1", "--pause", "0.01")
        holder.wait_at(Ask.STOP, "begun")
        newcomer = crew.start("worker", "newcomer")
        blamed = re.compile(rf"it is held by process {holder.process.pid} \(.*\), state T \(stopped\)")
        wait_until(lambda: bool(blamed.search(producer.say())), "the holder to be named", producer)
        wait_until(lambda: bool(blamed.search(newcomer.say())), "the holder to be named", newcomer)
        holder.go_on()
        newcomer.wait_until_ready()
        assert producer.end() == 0
        report = crew.finish()
    assert report.sound, str(report)


def test_a_clock_that_jumps_does_no_harm(tmp_path: Path) -> None:
    """Nobody is expelled, and timers fire once, although the wall clock jumps an hour forwards, back, and forwards."""
    (tmp_path / "mended").touch()
    clock = tmp_path / "clock"
    clock.write_text("0")
    with Crew(tmp_path, "--shifted", "--world", "watchful", "--session-timeout", "30") as crew:
        workers = [crew.up("worker", f"worker-{number}") for number in (1, 2)]
        for number, shift_ms in enumerate((HOUR_MS, 0, HOUR_MS)):
            crew.run("producer", f"producer-{number}", "--count", "60", "--pause", "0.01")
            jump(clock, shift_ms)
        report = crew.finish()
    assert report.sound, str(report)
    assert report.counts["timers fired"] > 0
    with Database(tmp_path / DATABASE) as database:
        joined = database.rows("select seq from sqlite_sequence where name = 'member'")
        groups = database.rows("select count(*) from groups")
    assert joined == [(len(workers) * groups[0][0],)], "somebody was expelled, and has joined again"


def jump(clock: Path, shift_ms: int) -> None:
    """Set the wall clock of everybody, at once."""
    fresh = clock.with_name("clock.next")
    fresh.write_text(str(shift_ms))
    fresh.rename(clock)


@pytest.mark.parametrize(
    ("world", "says"),
    [
        ("network_file_system", ("[network-file-system]", "(nfs4)", "kafka://")),
        ("old_sqlite", ("[sqlite-too-old]", "SQLite 3.51.2 is too old", "pip install --upgrade apsw")),
    ],
)
def test_it_does_not_start_where_data_would_be_lost(world: str, says: tuple[str, ...], tmp_path: Path) -> None:
    """A worker ends at once, and says why and what to do."""
    with Crew(tmp_path) as crew:
        worker = crew.start("worker", "worker", "--world", world)
        assert crew.ends(worker) == 1
    assert [words for words in says if words not in worker.say()] == []
    assert not (tmp_path / DATABASE).exists()


@pytest.mark.parametrize(
    ("pragma", "says"),
    [
        ("user_version = 2", ("has format version 2", "upgrade mainstem")),
        ("user_version = 0", ("has format version 0", "start with a new file")),
        ("application_id = 7", ("is not a database of Mainstem", "move this one away")),
    ],
)
def test_a_file_of_another_format_is_left_alone(pragma: str, says: tuple[str, ...], tmp_path: Path) -> None:
    """A worker does not touch it, and says what to do."""
    with Crew(tmp_path) as crew:
        crew.run("producer", "producer-1", "--count", "3")
        path = tmp_path / DATABASE
        connection = apsw.Connection(str(path))
        connection.execute(f"pragma {pragma}")
        connection.close()
        before = path.read_bytes()
        worker = crew.start("worker", "worker")
        assert crew.ends(worker) == 1
        assert [words for words in ("[wrong-file-format]", *says) if words not in worker.say()] == []
        assert path.read_bytes() == before
