"""The parent of workers ends one that stands still, and starts another one."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mainstem.ops.workers.watchdog import LOOKED_AT, TICK, Limits, Pulse, debugged, standing
from tests.rooms.ops.conftest import SHOP, Shell
from tests.rooms.ops.processes import Spawned

LOYALTY = f"{SHOP}:loyalty"
STARTED = "group 'loyalty' of service 'loyalty'"
LIMITS = Limits(session_seconds=1.0, hung_seconds=10.0)
HOLDING = """
import fcntl
import os
import signal
import time
from pathlib import Path

from mainstem import IntegrationEvent, Service

class Poked(IntegrationEvent, topic="pokes", key=None):
    text: str

poked = Service("poked")
poked.topic("pokes", partitions=1)

@poked.on(Poked)
async def poke(poked: Poked) -> None:
    again = Path("begun").exists()
    Path("begun").touch()
    if poked.text == "hold" and not again:
        fcntl.flock(os.open("shop.db-lock", os.O_RDWR), fcntl.LOCK_EX)
        os.kill(os.getpid(), signal.SIGSTOP)
    if poked.text == "block" and not again:
        time.sleep(600)
    Path(poked.text).touch()
"""


@pytest.fixture
def program(shell: Shell) -> Iterator[Spawned]:
    """A process in the shell's folder."""
    Path("holding.py").write_text(HOLDING)
    with Spawned.nobody() as spawned:
        yield spawned


@pytest.fixture
def child() -> Iterator[int]:
    """A process that does nothing."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process.pid
    process.kill()
    process.wait()


def stop(pid: int) -> None:
    """Stop a process, and wait until it stands."""
    os.kill(pid, signal.SIGSTOP)
    os.waitpid(pid, os.WUNTRACED)
    assert standing(pid) == (True, False)


def looked(pulse: Pulse, *, until: float, started: bool = True) -> str | None:
    """What is found when it is looked at ten times a second, up to that time."""
    found = (pulse.fault(tenth / 10, started=started) for tenth in range(1, round(until * 10) + 1))
    return next(filter(None, found), None)


def test_a_worker_that_was_stopped_is_ended_and_started_again(
    program: Spawned, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGSTOP, and nobody who would let it go on: a little after the session timeout another process has its place."""
    monkeypatch.setenv("MAINSTEM_SESSION_TIMEOUT_SECONDS", "1")
    program.start("run", LOYALTY, "--dev", "--workers", "2")
    program.wait_for(STARTED, times=2)
    before = program.workers()
    os.kill(before[1], signal.SIGSTOP)
    program.wait_for(STARTED, times=3)
    assert f"a worker (process {before[1]}) has been stopped for 1." in program.said()
    after = program.workers()
    assert after[1] != before[1]
    assert after[2] == before[2]
    assert program.stop() == 0


def test_a_lock_that_a_stopped_worker_holds_is_free_again(
    shell: Shell, program: Spawned, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody else waits for the lock of the file, whoever has been given the tasks."""
    monkeypatch.setenv("MAINSTEM_SESSION_TIMEOUT_SECONDS", "1")
    program.start("run", "holding:poked", "--dev", "--workers", "2")
    program.wait_for("group 'poked'", times=2)
    publish(shell, "hold")
    program.wait_until(Path("begun").exists)
    publish(shell, "after it")
    program.wait_until(Path("after it").exists)
    assert Path("hold").exists()
    assert program.stop() == 0


def test_a_worker_whose_event_loop_is_blocked_is_ended_in_the_end(
    shell: Shell, program: Spawned, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that never comes back ends with its process, and the event is handled by another one."""
    monkeypatch.setenv("MAINSTEM_HUNG_SECONDS", "3")
    monkeypatch.setenv("MAINSTEM_SESSION_TIMEOUT_SECONDS", "1")
    program.start("run", "holding:poked", "--dev", "--workers", "2")
    program.wait_for("group 'poked'", times=2)
    publish(shell, "block")
    program.wait_for("is blocked: its event loop has not turned for 3.")
    program.wait_for("group 'poked'", times=3)
    program.wait_until(Path("block").exists)
    assert program.stop() == 0


def test_what_may_take_long_is_no_fault(child: int) -> None:
    """Neither what a worker imports or opens before it has started, nor what takes less than it may."""
    assert looked(Pulse(child, LIMITS, 0.0), until=60, started=False) is None
    assert looked(Pulse(child, LIMITS, 0.0), until=60) is None, "it has never turned, so its loop has not begun"
    pulse = Pulse(child, LIMITS, 0.0)
    pulse.hear(TICK, 0.5)
    assert looked(pulse, until=10.4) is None
    assert looked(pulse, until=10.6) is not None
    stop(child)
    pulse = Pulse(child, LIMITS, 0.0)
    assert looked(pulse, until=1.3) is None
    assert looked(Pulse(child, LIMITS, 0.0), until=1.5, started=False) is not None, "stopped while it began"


def test_a_worker_that_goes_on_in_time_stays(child: int) -> None:
    """Twice stopped for a moment is not stopped for long."""
    pulse = Pulse(child, LIMITS, 0.0)
    stop(child)
    assert pulse.fault(1.0, started=True) is None
    os.kill(child, signal.SIGCONT)
    os.waitpid(child, os.WCONTINUED)
    assert pulse.fault(2.0, started=True) is None
    stop(child)
    assert pulse.fault(3.0, started=True) is None


def test_nobody_is_ended_while_a_debugger_looks_on(child: int) -> None:
    """It stands still because somebody wants it to."""
    pulse = Pulse(child, LIMITS, 0.0)
    pulse.hear(TICK + LOOKED_AT, 0.1)
    stop(child)
    assert looked(pulse, until=60) is None
    assert not debugged()
    sys.settrace(lambda *_: None)
    try:
        assert debugged()
    finally:
        sys.settrace(None)


def test_a_parent_that_stood_still_itself_begins_anew(child: int) -> None:
    """With the whole machine, or by Ctrl-Z in a terminal: it cannot know for how long the others really stood."""
    pulse = Pulse(child, LIMITS, 0.0)
    pulse.hear(TICK, 0.1)
    stop(child)
    assert pulse.fault(1.0, started=True) is None
    assert pulse.fault(100.0, started=True) is None
    assert looked(pulse, until=1) is None


def publish(shell: Shell, text: str) -> None:
    """Publish an event."""
    assert shell("publish", "holding:poked", "Poked", f'{{"text": "{text}"}}').exit_code == 0
