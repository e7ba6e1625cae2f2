"""The lock between processes: one holder, a queue, and a name for who holds it."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mainstem.clock import SystemClock
from mainstem.database.lock import FileLock
from mainstem.errors import DiskFull
from tests.rooms.database.conftest import Opener, until

HOLDER = """
import sys
from pathlib import Path
from mainstem.clock import SystemClock
from mainstem.database.lock import FileLock
lock = FileLock(Path(sys.argv[1]), SystemClock())
lock.acquire()
print("held", flush=True)
sys.stdin.readline()
lock.release()
print("released", flush=True)
sys.stdin.readline()
"""


@contextmanager
def holding(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock until it gets a line."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_one_process_holds_it(tmp_path: Path) -> None:
    """While another process holds the lock it cannot be had; once released, it can."""
    path = tmp_path / "lock"
    lock = FileLock(path, SystemClock())
    with holding(path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert not lock.try_acquire()
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "released\n"
        assert lock.try_acquire()
    lock.close()


def test_two_locks_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    """The thread that checkpoints and the one that writes have a lock each, and never hold both."""
    first, second = (FileLock(tmp_path / "lock", SystemClock()) for _ in range(2))
    first.acquire()
    assert not second.try_acquire()
    first.release()
    assert second.try_acquire()
    first.close()
    second.close()


async def test_a_killed_holder_releases_it(opened: Opener, tmp_path: Path) -> None:
    """The work that waits goes on as soon as the holder is killed."""
    path = tmp_path / "log.db"
    async with opened(path) as database:
        with holding(tmp_path / "log.db-lock") as process:
            waiting = database.add("a")
            await asyncio.sleep(0.01)
            assert not waiting.done()
            process.send_signal(signal.SIGKILL)
            await waiting
        assert database.names() == ["a"]


async def test_waiters_name_a_stopped_holder(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Who waits too long says which process holds the lock, and that it is stopped; then it goes on."""
    monkeypatch.setattr("mainstem.database.writer.PATIENCE_SECONDS", 0.05)
    caplog.set_level(logging.WARNING, "mainstem")
    async with opened(tmp_path / "log.db") as database:
        with holding(tmp_path / "log.db-lock") as process:
            process.send_signal(signal.SIGSTOP)
            waiting = database.add("a")
            await until(lambda: bool(caplog.records))
            assert f"process {process.pid}" in caplog.text
            assert "T (stopped)" in caplog.text
            assert not waiting.done()
            process.send_signal(signal.SIGCONT)
            process.kill()
            await waiting


async def test_nobody_is_blamed_for_a_short_wait(
    opened: Opener, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A wait that is not long is not worth a line."""
    async with opened(tmp_path / "log.db") as database:
        with holding(tmp_path / "log.db-lock") as process:
            waiting = database.add("a")
            await until(lambda: database.writer._lock.waiting_seconds() > 0)
            process.kill()
            await waiting
        assert database.writer._lock.waiting_seconds() == 0
    assert caplog.records == []


def test_the_holder_is_signed(tmp_path: Path) -> None:
    """Whoever takes the lock writes its process id into the file; before that, nobody is named."""
    lock = FileLock(tmp_path / "lock", SystemClock())
    assert lock.holder() is None
    lock.acquire()
    holder = lock.holder()
    assert holder is not None
    assert holder.pid == os.getpid()
    assert "python" in holder.command
    lock.close()


def test_a_lock_file_for_which_there_is_no_room(tmp_path: Path) -> None:
    """It says so like everything that needs room, so that whoever wanted it waits for some."""
    path = tmp_path / "t.lock"
    path.symlink_to("/dev/full")
    with pytest.raises(DiskFull, match="No space left") as refused:
        FileLock(path, SystemClock())
    assert str(path) in refused.value.where
