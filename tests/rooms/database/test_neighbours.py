"""What processes share beside the file: who is there, and wake-ups."""

import asyncio
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mainstem.clock import ManualClock, SystemClock
from mainstem.database import Alone, Neighbours, SharedFolder
from tests.rooms.database.conftest import until

MEMBER = """
import asyncio, sys
from pathlib import Path
from mainstem.clock import SystemClock
from mainstem.database import SharedFolder

async def main():
    neighbours = SharedFolder(Path(sys.argv[1]), "child", SystemClock())
    neighbours.open(asyncio.get_running_loop(), lambda numbers: print("heard", sorted(numbers), flush=True))
    neighbours.attend("m")
    print("there", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


class Heard:
    """What a process has heard."""

    def __init__(self) -> None:
        self.numbers: list[frozenset[int] | None] = []

    def __call__(self, numbers: frozenset[int] | None) -> None:
        self.numbers.append(numbers)


@pytest.fixture(params=["alone", "folder"])
def neighbours(request: pytest.FixtureRequest, clock: ManualClock, tmp_path: Path) -> Neighbours:
    """Both of them."""
    if request.param == "alone":
        return Alone(clock)
    return SharedFolder(tmp_path / "log.db", "me", clock)


async def test_a_member_is_there_until_it_departs(neighbours: Neighbours, clock: ManualClock) -> None:
    """Presence begins with attending and ends with departing; silence is counted from the last heartbeat."""
    neighbours.open(asyncio.get_running_loop(), Heard())
    assert not neighbours.look("m").alive
    neighbours.attend("m")
    clock.advance(3)
    assert neighbours.look("m") == (True, 3)
    neighbours.beat("m")
    assert neighbours.look("m") == (True, 0)
    neighbours.depart("m")
    clock.advance(2)
    assert neighbours.look("m") == (False, 2)
    neighbours.beat("m")
    assert neighbours.look("m") == (False, 2)
    neighbours.forget("m")
    assert neighbours.look("m") == (False, float("inf"))
    neighbours.close()


async def test_a_killed_process_is_gone_at_once(tmp_path: Path) -> None:
    """The kernel tells of a death, whatever the heartbeat says; a stopped process is there, and silent."""
    neighbours = SharedFolder(tmp_path / "log.db", "me", SystemClock())
    neighbours.open(asyncio.get_running_loop(), Heard())
    command = [sys.executable, "-c", MEMBER, str(tmp_path / "log.db")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:  # noqa: ASYNC220
        assert child.stdout is not None
        assert child.stdout.readline() == "there\n"
        assert neighbours.wake(["child"], [7, 5]) == []
        assert child.stdout.readline() == "heard [5, 7]\n"
        child.send_signal(signal.SIGSTOP)
        await until(lambda: neighbours.look("m").silent_seconds > 0.05)
        assert neighbours.look("m").alive
        child.kill()
        child.wait()
    assert not neighbours.look("m").alive
    assert neighbours.wake(["child"], [7]) == ["child"]
    neighbours.close()


async def test_a_heartbeat_of_another_boot_means_nothing(tmp_path: Path) -> None:
    """The monotonic clock begins anew with the machine, so an older reading of it is no heartbeat."""
    neighbours = SharedFolder(tmp_path / "log.db", "me", SystemClock())
    neighbours.open(asyncio.get_running_loop(), Heard())
    neighbours.attend("m")
    (tmp_path / "log.db-neighbours" / "m.member").write_bytes(b"another-boot 12345.6\n")
    assert neighbours.look("m") == (True, float("inf"))
    neighbours.close()


async def test_processes_wake_each_other(tmp_path: Path) -> None:
    """A wake-up reaches the named processes, and not the one that sends it."""
    loop = asyncio.get_running_loop()
    ears = [Heard() for _ in range(3)]
    processes = [SharedFolder(tmp_path / "log.db", f"p{number}", SystemClock()) for number in range(3)]
    for process, ear in zip(processes, ears, strict=True):
        process.open(loop, ear)
    assert processes[0].wake(["p0", "p1"], [3]) == []
    await until(lambda: ears[1].numbers == [frozenset({3})])
    assert (ears[0].numbers, ears[2].numbers) == ([], [])
    processes[1].close()
    assert processes[0].wake(["p1", "p2"], [4]) == ["p1"]
    await until(lambda: ears[2].numbers == [frozenset({4})])
    for process in processes:
        process.close()


async def test_lost_wake_ups_are_noticed(tmp_path: Path) -> None:
    """Who sends never waits; a receiver whose queue ran over is told to look everywhere."""
    loop = asyncio.get_running_loop()
    ear = Heard()
    sender, receiver = (SharedFolder(tmp_path / "log.db", name, SystemClock()) for name in ("a", "b"))
    sender.open(loop, Heard())
    receiver.open(loop, ear)
    for number in range(20_000):
        assert sender.wake(["b"], [number]) == []
    await until(lambda: None in ear.numbers)
    await asyncio.sleep(0)
    ear.numbers.clear()
    sender.wake(["b"], [1])
    await until(lambda: ear.numbers == [frozenset({1})])
    sender.close()
    receiver.close()


@pytest.fixture
def distant(tmp_path: Path) -> Path:
    """A file whose path is too long for the sockets to be beside it."""
    folder = tmp_path / ("long" * 40)
    folder.mkdir()
    return folder / "log.db"


def far_away(database: Path) -> Path:
    """The folder of the sockets of a distant file."""
    return SharedFolder(database, "nobody", SystemClock())._sockets


async def test_a_long_path_is_no_obstacle(distant: Path) -> None:
    """Sockets whose path would be too long to bind are put where it is short, and found there."""
    ear = Heard()
    sender, receiver = (SharedFolder(distant, name, SystemClock()) for name in ("a", "b"))
    sender.open(asyncio.get_running_loop(), Heard())
    receiver.open(asyncio.get_running_loop(), ear)
    assert sender.wake(["b"], [1]) == []
    await until(lambda: ear.numbers == [frozenset({1})])
    sender.close()
    assert far_away(distant).exists()
    receiver.close()


async def test_the_last_one_takes_the_distant_folder_away(distant: Path) -> None:
    """Whoever closes when nobody listens any more removes it, with the sockets of processes that were killed."""
    neighbours = SharedFolder(distant, "me", SystemClock())
    neighbours.open(asyncio.get_running_loop(), Heard())
    command = [sys.executable, "-c", MEMBER, str(distant)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:  # noqa: ASYNC220
        assert child.stdout is not None
        assert child.stdout.readline() == "there\n"
        child.kill()
    assert len(list(far_away(distant).iterdir())) == 2
    neighbours.close()
    assert not far_away(distant).exists()


def test_a_distant_folder_that_was_just_taken_away_is_made_again(distant: Path) -> None:
    """One process may open while another, the last so far, closes."""

    def come_and_go(name: str) -> None:
        loop = asyncio.new_event_loop()
        try:
            for number in range(300):
                neighbours = SharedFolder(distant, f"{name}-{number}", SystemClock())
                neighbours.open(loop, Heard())
                neighbours.close()
        finally:
            loop.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(come_and_go, "abcd"))
    assert not far_away(distant).exists()
