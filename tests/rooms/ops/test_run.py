"""``mainstem run``: processes that start, drain, die and come back."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rooms.ops.conftest import SHOP, Shell
from tests.rooms.ops.processes import Spawned, is_alive

LOYALTY = f"{SHOP}:loyalty"
STARTED = "group 'loyalty' of service 'loyalty'"
TOUCHY = """
import os
from pathlib import Path

from mainstem import IntegrationEvent, Service

class Poked(IntegrationEvent, topic="pokes", key=None):
    text: str

poked = Service("poked")
poked.topic("pokes", partitions=1)

@poked.on(Poked)
async def poke(poked: Poked) -> None:
    if poked.text == "slow":
        Path("begun").touch()
        import asyncio
        while not Path("go on").exists():
            await asyncio.sleep(0.01)
        Path("finished").touch()
    if poked.text == "stubborn":
        Path("begun").touch()
        import time
        time.sleep(60)
"""


@pytest.fixture
def program(shell: Shell) -> Iterator[Spawned]:
    """A process in the shell's folder."""
    assert shell.folder.exists()
    with Spawned.nobody() as spawned:
        yield spawned


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_ends_in_order(number: signal.Signals, shell: Shell, program: Spawned) -> None:
    """SIGTERM and Ctrl-C end a process with code 0, and the group has nobody left; the broker was named in full."""
    program.start("run", LOYALTY, "--dev")
    program.wait_for(STARTED)
    program.wait_until(lambda: any(group["members"] for group in shell.json("groups", "list")))
    assert f"broker: sqlite file {shell.folder}/shop.db" in program.said()
    assert program.stop(number) == 0
    assert program.said().index("draining") < program.said().index("stopped")
    assert "Traceback" not in program.said()
    assert shell.json("groups", "list")[0]["members"] == []


def test_what_stands_in_the_url_is_not_on_the_command_line_of_workers(
    shell: Shell, program: Spawned, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody on the machine can read with what a process was started, and a URL may hold a password."""
    monkeypatch.setenv("MAINSTEM_BROKER", f"{shell.broker}?hold_seconds=3601")
    program.start("run", LOYALTY, "--dev", "--workers", "2")
    program.wait_for(STARTED, times=2)
    lines = [Path(f"/proc/{pid}/cmdline").read_text() for pid in program.workers().values()]
    assert all(LOYALTY in line and "hold_seconds" not in line for line in lines)
    assert program.stop() == 0


def test_what_has_begun_is_finished_before_the_end(shell: Shell, program: Spawned) -> None:
    """An event in a handler is finished and committed while the process drains."""
    Path("touchy.py").write_text(TOUCHY)
    program.start("run", "touchy:poked", "--dev")
    program.wait_for("group 'poked'")
    publish_poke(shell, "slow")
    program.wait_until(Path("begun").exists)
    program.send(signal.SIGTERM)
    program.wait_for("draining")
    Path("go on").touch()
    assert program.ended() == 0
    assert Path("finished").exists()
    assert shell.json("groups", "show", "poked")[0]["lag"] == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_signals_that_come_together_are_one(workers: int, shell: Shell, program: Spawned) -> None:
    """Who ends a process and its group tells it twice, and does not mean that it should not drain."""
    Path("touchy.py").write_text(TOUCHY)
    program.start("run", "touchy:poked", "--dev", "--workers", str(workers))
    program.wait_for("group 'poked'", times=workers)
    publish_poke(shell, "slow")
    program.wait_until(Path("begun").exists)
    program.send(signal.SIGTERM)
    program.send(signal.SIGINT)
    program.wait_for("draining", times=workers)
    Path("go on").touch()
    assert program.ended() == 0
    assert shell.json("groups", "show", "poked")[0]["lag"] == 0


def publish_poke(shell: Shell, text: str) -> None:
    """Publish to the service of the folder."""
    before = list(sys.path)
    try:
        assert shell("publish", "touchy:poked", "Poked", f'{{"text": "{text}"}}').exit_code == 0
    finally:
        sys.path[:] = before
        sys.modules.pop("touchy", None)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("text", ["slow", "stubborn"])
def test_a_second_signal_ends_it_at_once(text: str, workers: int, shell: Shell, program: Spawned) -> None:
    """Whoever cannot wait for a handler asks twice, also where it blocks the loop; what that means is said; 130."""
    Path("touchy.py").write_text(TOUCHY)
    program.start("run", "touchy:poked", "--dev", "--workers", str(workers))
    program.wait_for("group 'poked'", times=workers)
    publish_poke(shell, text)
    program.wait_until(Path("begun").exists)
    program.send(signal.SIGINT)
    if text == "slow":
        program.wait_for("a second signal ends", times=workers)
    elif workers > 1:
        program.wait_for("a second signal ends them at once")
    pids = program.workers().values()
    # Signals that come while nobody looks count as one.
    program.wait_until(lambda: program.asked(signal.SIGINT))
    assert program.ended() == 130
    assert "ended without draining" in program.said()
    assert "nothing is lost" in program.said()
    assert "Traceback" not in program.said()
    assert not any(map(is_alive, pids))
    assert shell.json("groups", "show", "poked")[0]["lag"] == 1


def test_workers_share_the_tasks_and_end_with_their_parent(shell: Shell, program: Spawned) -> None:
    """Each worker owns tasks; a signal to the parent drains all of them."""
    program.start("run", LOYALTY, "--dev", "--workers", "2")
    program.wait_for(STARTED, times=2)

    def shared() -> bool:
        owners = {task["owner"] for task in shell.json("groups", "show", "loyalty")[0]["tasks"]}
        return None not in owners and len(owners) == 2

    program.wait_until(shared)
    workers = program.workers()
    assert workers.keys() == {1, 2}
    assert all(os.getpgid(pid) == pid for pid in workers.values()), "a terminal's Ctrl-C must reach the parent alone"
    assert program.stop() == 0
    assert program.said().count("draining") == 2
    assert not any(map(is_alive, workers.values()))


def test_a_worker_that_dies_is_started_again(shell: Shell, program: Spawned) -> None:
    """After SIGKILL the parent says what has happened, and another process takes its place; the others stay."""
    program.start("run", LOYALTY, "--dev", "--workers", "2")
    program.wait_for(STARTED, times=2)
    before = program.workers()
    os.kill(before[1], signal.SIGKILL)
    program.wait_for(STARTED, times=3)
    after = program.workers()
    assert after[1] != before[1]
    assert after[2] == before[2]
    assert f"worker 1 (process {before[1]}) was ended by SIGKILL; starting it again in" in program.said()

    def shared() -> bool:
        return len({task["owner"] for task in shell.json("groups", "show", "loyalty")[0]["tasks"]} - {None}) == 2

    program.wait_until(shared)
    assert program.stop() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_the_process_ids_are_kept_in_a_file(workers: int, program: Spawned) -> None:
    """The parent first, then its workers by number, also after one was replaced; no file is left in the end."""
    pids = Path("pids")
    program.start("run", LOYALTY, "--dev", "--workers", str(workers), "--pid-file", "pids")
    program.wait_for(STARTED, times=workers)

    def written() -> list[int]:
        return [int(line) for line in pids.read_text().splitlines()]

    assert written() == [program.pid, *program.workers().values()]
    if workers > 1:
        os.kill(program.workers()[1], signal.SIGKILL)
        program.wait_until(lambda: len(written()) == workers)
        program.wait_for(STARTED, times=workers + 1)
        assert written() == [program.pid, program.workers()[1], program.workers()[2]]
    assert program.stop() == 0
    assert not pids.exists()


@pytest.mark.parametrize(
    ("path", "code", "said"),
    [
        ("no/pids", 2, "there is no folder 'no' for it"),
        ("/proc/pids", 1, "the file for the process ids cannot be written"),
    ],
)
def test_a_file_for_process_ids_that_cannot_be_written_is_refused(
    path: str, code: int, said: str, shell: Shell
) -> None:
    """It is told before anything is started."""
    result = shell("run", LOYALTY, "--dev", "--pid-file", path)
    assert result.exit_code == code
    assert said in result.stderr
    assert list(shell.folder.iterdir()) == []


def test_no_worker_outlives_its_parent(program: Spawned) -> None:
    """When the parent is killed without a word, its workers notice, drain and end."""
    program.start("run", LOYALTY, "--dev", "--workers", "2")
    program.wait_for(STARTED, times=2)
    workers = program.workers()
    program.stop(signal.SIGKILL)
    program.wait_until(lambda: not any(map(is_alive, workers.values())))
    assert program.said().count("the parent process has died: draining") == 2


def test_a_worker_that_blocks_its_event_loop_does_not_outlive_its_parent_for_ever(
    shell: Shell, program: Spawned, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler that never returns is ended by force some time after the grace period."""
    monkeypatch.setenv("MAINSTEM_GRACE_SECONDS", "0")
    Path("touchy.py").write_text(TOUCHY + "\nfrom mainstem.ops.workers import parent\nparent.OVERTIME_SECONDS = 0.2\n")
    program.start("run", "touchy:poked", "--dev", "--workers", "2")
    program.wait_for("group 'poked'", times=2)
    publish_poke(shell, "stubborn")
    program.wait_until(Path("begun").exists)
    workers = program.workers()
    program.stop(signal.SIGKILL)
    program.wait_until(lambda: not any(map(is_alive, workers.values())))


@pytest.mark.parametrize("workers", ["1", "3"])
def test_a_fault_in_the_configuration_is_told_once_and_ends_everything(workers: str, program: Spawned) -> None:
    """What would fail again in the same way is not tried again; the code is 1."""
    program.start("run", LOYALTY, "--workers", workers)
    assert program.ended() == 1
    assert program.said().count("cannot start: 1 fault") == 1
    assert "mainstem topics apply" in program.said()


def test_a_module_that_cannot_be_imported_is_told_once(program: Spawned) -> None:
    """A service file with a mistake in it shows its traceback, once, and is not tried again."""
    Path("mistaken.py").write_text("1 / 0\n")
    program.start("run", "mistaken:service", "--dev", "--workers", "3")
    assert program.ended() == 1
    assert program.said().count("Traceback") == 1
    assert program.said().count("'mistaken' cannot be imported: ZeroDivisionError") == 1


def test_a_start_that_may_succeed_later_is_tried_again(program: Spawned) -> None:
    """What a service opens may not be there yet: the worker fails with its traceback, and is started again."""
    Path("patient.py").write_text(
        "from pathlib import Path\n"
        "from mainstem import Service\n"
        "patient = Service('patient')\n"
        "@patient.on_startup\n"
        "def look() -> None:\n"
        "    if not Path('ready').exists():\n"
        "        raise ConnectionError('not yet')\n"
    )
    program.start("run", "patient:patient", "--dev", "--workers", "2")
    program.wait_for("ended with code 1; starting it again in")
    assert len(program.workers()) == 1, "the others wait for the first"
    Path("ready").touch()
    program.wait_until(lambda: len(program.workers()) == 2)
    assert program.stop() == 0


def test_a_changed_source_starts_the_workers_again(program: Spawned) -> None:
    """With --reload an edited file is what runs soon; a mistake in it waits for the next edit."""
    edit("first")
    program.start("run", "talkative:talkative", "--reload")
    program.wait_for("I am the first")
    edit("second")
    program.wait_for("I am the second")
    assert "talkative.py changed: starting again" in program.said()
    Path("talkative.py").write_text("this is no Python\n")
    program.wait_for("waiting for a source file to change")
    edit("third one")
    program.wait_for("I am the third one")
    assert program.stop() == 0


def edit(name: str) -> None:
    """Write a service that says its name when it starts."""
    Path("talkative.py").write_text(
        "from mainstem import Service\n"
        "talkative = Service('talkative')\n"
        "@talkative.on_startup\n"
        f"def say() -> None: print('I am the {name}', flush=True)\n"
    )


def test_workers_cannot_share_a_memory(shell: Shell) -> None:
    """Several processes on a broker in memory would each be alone, so that is refused."""
    result = shell("run", LOYALTY, "--workers", "2", "--broker", "sqlite:///:memory:")
    assert result.exit_code == 1
    assert "2 workers cannot share a memory" in result.stderr
