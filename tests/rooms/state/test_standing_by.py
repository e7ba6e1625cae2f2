"""Copies of standbys: since when one has not been whole, who has the lock, and how it is given up."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from mainstem.clock import ManualClock, SystemClock
from mainstem.errors import DatabaseFailed
from mainstem.state import Changelog, Replica, ReplicaFolder
from tests.crash.crew import wait_until

HOUR = 3_600.0
OLDEST_SECONDS = 12 * HOUR
LOG = Changelog("first", 0, 100)


class Machine:
    """A folder of copies, and a clock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = ManualClock()
        self.folder = ReplicaFolder(path, self.clock, oldest_seconds=OLDEST_SECONDS)

    def made(self, after: int = 10, *, whole: bool = True) -> None:
        """Leave a copy behind that has one row, and has come so far."""
        replica = self.folder.open("shop", 0, LOG)
        replica.apply({"counts": [(b"k", b"1")]}, replica.next, after, whole=whole)
        replica.close()

    def next(self, changelog: Changelog = LOG) -> int:
        """Where whoever opens the copy now goes on."""
        replica = self.folder.open("shop", 0, changelog)
        try:
            assert bool(replica.get_many("counts", [b"k"])) is (replica.next > changelog.start)
            return replica.next
        finally:
            replica.close()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """One with an empty folder."""
    return Machine(tmp_path / "copies")


def test_writing_does_not_make_an_old_copy_young(machine: Machine) -> None:
    """Half of a restore leaves the time when the copy was last whole: what is to come may have been compacted since."""
    machine.made()
    machine.clock.advance(OLDEST_SECONDS - 1)
    machine.made(20, whole=False)
    machine.clock.advance(2)
    assert machine.next() == 0


def test_noting_that_it_is_whole_keeps_a_copy_young(machine: Machine) -> None:
    """Also where nothing has come for long."""
    machine.made()
    machine.clock.advance(OLDEST_SECONDS - 1)
    machine.made(10)
    machine.clock.advance(OLDEST_SECONDS - 1)
    assert machine.next() == 10


def test_a_mark_of_another_shape_is_made_anew(machine: Machine) -> None:
    """A file of an earlier version, or of something else that SQLite can read, is no error."""
    machine.made()
    connection = apsw.Connection(str(machine.path / "shop.0.db"))
    connection.execute("drop table mark; create table mark(form, source, next)")
    connection.close()
    assert machine.next() == 0


def test_a_copy_of_another_format_is_made_anew(machine: Machine) -> None:
    """What its rows mean is known to the version that has written it."""
    machine.made()
    connection = apsw.Connection(str(machine.path / "shop.0.db"))
    connection.execute("update mark set form = form + 1")
    connection.close()
    assert machine.next() == 0


def test_a_copy_with_a_damaged_page_is_made_anew(machine: Machine) -> None:
    """Every page is looked at before anything is believed, also those that nobody would read for long."""
    replica = machine.folder.open("shop", 0, Changelog("first", 0, 100_000))
    rows = [(b"%08d" % number, b"x" * 20) for number in range(20_000)]
    replica.apply({"counts": [(b"k", b"1")], "others": rows}, 0, 50_000, whole=True)
    replica.close()
    path = machine.path / "shop.0.db"
    with path.open("rb+") as file:
        file.seek(path.stat().st_size - 4_096)
        file.write(b"\x07" * 4_096)
    assert machine.next(Changelog("first", 0, 100_000)) == 0


def test_a_standby_is_not_opened_where_the_task_is_owned(machine: Machine) -> None:
    """Its owner has the lock; and whoever owns a task is not asked for its copy."""
    owner = machine.folder.open("shop", 0, LOG)
    assert machine.folder.standby("shop", 0, LOG) is None
    second = machine.folder.open("shop", 0, LOG)
    assert second.next == 0
    assert sorted(path.suffix for path in machine.path.glob("*.db")) == [".db", ".db"], "a copy of its own"
    second.close()
    owner.close()


@pytest.mark.timeout(150)
def test_a_standby_becomes_the_owner(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy goes on as it is, and is not lent any more: nobody waits for it to be given up."""
    monkeypatch.setattr("mainstem.state.replica.YIELD_SECONDS", 1_000.0)
    machine.made()
    standby = machine.folder.standby("shop", 0, LOG)
    assert standby is not None
    standby.apply({}, 10, 20, whole=True)
    assert machine.folder.keep(standby, LOG)
    assert standby.get_many("counts", [b"k"]) == {b"k": b"1"}
    other = machine.folder.open("shop", 0, LOG)
    assert other.next == 0, "it has given the owner's copy away"
    other.close()
    standby.close()


def test_a_standby_of_another_changelog_does_not(machine: Machine) -> None:
    """What was read of a topic that has been made anew, or for too long has not been whole, is closed."""
    for changelog, seconds in ((Changelog("second", 0, 100), 0.0), (LOG, OLDEST_SECONDS + 1)):
        machine.made()
        standby = machine.folder.standby("shop", 0, LOG)
        assert standby is not None
        machine.clock.advance(seconds)
        assert not machine.folder.keep(standby, changelog)
        assert standby.closed


@pytest.fixture
def standing(tmp_path: Path) -> Iterator[tuple[ReplicaFolder, Replica]]:
    """A standby, and its folder as another process of the machine sees it."""
    folder = ReplicaFolder(tmp_path, SystemClock(), oldest_seconds=OLDEST_SECONDS)
    standby = folder.standby("shop", 0, LOG)
    assert standby is not None
    standby.apply({"counts": [(b"k", b"1")]}, 0, 10, whole=True)
    yield ReplicaFolder(tmp_path, SystemClock(), oldest_seconds=OLDEST_SECONDS), standby
    standby.close()


def test_a_standby_gives_way(standing: tuple[ReplicaFolder, Replica], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever takes the task over in the same folder asks for the copy, and gets it as far as it has come."""
    monkeypatch.setattr("mainstem.state.replica.LOOK_SECONDS", -1.0)  # an owner would not be waited for at all
    folder, standby = standing
    taken: list[Replica] = []
    taking = threading.Thread(target=lambda: taken.append(folder.open("shop", 0, LOG)))
    taking.start()
    wait_until(lambda: standby.asked, "it to be asked")
    standby.close()
    taking.join(10)
    assert taken[0].next == 10
    assert not taken[0].asked
    taken[0].close()


def test_a_standby_that_stands_still_holds_nobody_up(
    standing: tuple[ReplicaFolder, Replica], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever takes the task over waits for a bounded time, and then makes a copy of its own."""
    monkeypatch.setattr("mainstem.state.replica.YIELD_SECONDS", 0.2)
    folder, standby = standing
    taken = folder.open("shop", 0, LOG)
    assert (taken.next, standby.next) == (0, 10)
    taken.close()


def test_a_folder_is_called_the_same_by_all_who_share_it(tmp_path: Path) -> None:
    """Also by another process; and one that was copied elsewhere is another one."""
    here, there = tmp_path / "here", tmp_path / "there"
    first = ReplicaFolder(here, SystemClock(), oldest_seconds=1).identity(lambda: "name")
    program = (
        "import sys; from pathlib import Path; from mainstem.state import ReplicaFolder;"
        "from mainstem.clock import SystemClock;"
        "print(ReplicaFolder(Path(sys.argv[1]), SystemClock(), oldest_seconds=1).identity(lambda: 'other'))"
    )
    said = subprocess.run([sys.executable, "-c", program, str(here)], capture_output=True, text=True, check=True).stdout
    assert said.strip() == first
    shutil.copytree(here, there)
    assert ReplicaFolder(there, SystemClock(), oldest_seconds=1).identity(lambda: "other") != first


def test_a_copy_that_is_damaged_while_it_is_open(machine: Machine) -> None:
    """Reading it is refused with an error that names the file; whoever opens it next finds nothing, and goes on."""
    replica = machine.folder.open("shop", 0, Changelog("first", 0, 100_000))
    keys = [b"%08d" % number for number in range(50_000)]
    replica.apply({"counts": [(key, b"x" * 20) for key in keys]}, 0, 50_000, whole=True)
    replica.close()
    replica = machine.folder.open("shop", 0, Changelog("first", 0, 100_000))
    path = machine.path / "shop.0.db"
    with path.open("rb+") as file:
        file.seek(4_096 * 4)
        file.write(b"\x07" * (path.stat().st_size - 4_096 * 4))
    with pytest.raises(DatabaseFailed, match=r"shop\.0\.db"):
        replica.get_many("counts", keys)
    replica.close()
    again = machine.folder.open("shop", 0, Changelog("first", 0, 100_000))
    assert (again.next, again.get_many("counts", keys)) == (0, {})
    again.close()


def test_those_who_name_a_folder_at_once_give_it_one_name(tmp_path: Path) -> None:
    """One that begins while another one is about to name it, as workers do on a new machine, hears of the same name."""
    folder = ReplicaFolder(tmp_path, SystemClock(), oldest_seconds=1)
    meanwhile: list[str] = []

    def name() -> str:
        meanwhile.append(folder.identity(lambda: "quicker"))
        return "slower"

    assert [folder.identity(name)] == meanwhile
    assert meanwhile[0].startswith("quicker-")
    assert [path.name for path in tmp_path.iterdir()] == ["folder-id"]
