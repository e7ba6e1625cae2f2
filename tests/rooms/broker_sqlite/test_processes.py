"""Several real processes on one file: they are killed, stopped and blocked, and nothing acknowledged is lost."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mainstem.broker import Record, TopicPartition
from mainstem.database import Query
from tests.rooms.broker_sqlite import worker
from tests.rooms.broker_sqlite.conftest import AT, Opener, records, until, values

LISTENERS = Query[tuple[int]]("select count(distinct process) from listener")


class Child:
    """A process of :mod:`worker`."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    async def line(self) -> str:
        """What it says next."""
        assert self.process.stdout is not None
        return (await asyncio.to_thread(self.process.stdout.readline)).strip()

    async def says(self, expected: str) -> None:
        """Wait until it says this."""
        while (line := await self.line()) != expected:
            assert line, f"it ended without saying {expected!r}"

    def kill(self) -> list[str]:
        """Kill it; returns what it said and nobody has read."""
        self.process.kill()
        rest, _ = self.process.communicate()
        return rest.split()


@contextmanager
def child(role: str, path: Path, *more: str) -> Iterator[Child]:
    """A process that ends with the block."""
    command = [sys.executable, worker.__file__, role, str(path), *more]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Child(process)
        finally:
            process.kill()


async def test_what_killed_publishers_were_told_is_there(opened: Opener, tmp_path: Path) -> None:
    """Three processes publish and are killed one after the other; every acknowledged value is there, once."""
    path = tmp_path / "log.db"
    async with opened(path) as broker:
        acknowledged: list[str] = []
        with child("publish", path) as first, child("publish", path) as second, child("publish", path) as third:
            for each in (first, second, third):
                acknowledged += [await each.line() for _ in range(30)]
                acknowledged += each.kill()
        found = values(broker)
        assert len(acknowledged) >= 90
        assert set(acknowledged) <= set(found)
        assert len(found) == len(set(found))
        assert broker.database.faults() == []
        await broker.log.append(AT, records("goes on"))


@pytest.mark.parametrize(
    ("point", "kept"),
    [
        ("lock-taken", False),
        ("begun", False),
        ("before-commit", False),
        ("committed", True),
        ("before-acknowledge", True),
    ],
)
async def test_a_process_killed_within_a_commit_holds_nobody_up(
    point: str, *, kept: bool, opened: Opener, tmp_path: Path
) -> None:
    """Killed with the lock in its hand, it leaves its commit behind whole or not at all; the next goes on at once."""
    path = tmp_path / "log.db"
    async with opened(path) as broker:
        with child("die", path, point) as dying:
            assert await dying.line() == ""
            await broker.log.append(AT, records("after"))
        assert values(broker) == ["acknowledged", *(["dying"] if kept else []), "after"]
        assert broker.database.faults() == []


async def test_a_killed_owner_is_replaced_and_counts_once(opened: Opener, tmp_path: Path) -> None:
    """Of two processes one counts; when it is killed the other goes on from its last commit, within the timeout."""
    path = tmp_path / "log.db"
    async with opened(path) as broker:
        with child("count", path) as first:
            await first.says("owner 1")
            with child("count", path) as second:
                await broker.log.append(AT, records(*"abc"))
                await first.says("counted 3")
                first.kill()
                begun = time.monotonic()
                await second.says("owner 2")
                assert time.monotonic() - begun < worker.SPEC.session_timeout_seconds
                await broker.log.append(AT, records(*"de"))
                await second.says("counted 5")


async def test_a_stopped_owner_is_fenced(opened: Opener, tmp_path: Path) -> None:
    """A process that is stopped loses its task after the session timeout; when it goes on, it finds out."""
    path = tmp_path / "log.db"
    async with opened(path) as broker:
        with child("count", path) as stopped:
            await stopped.says("owner 1")
            await broker.log.append(AT, records("a"))
            await stopped.says("counted 1")
            with child("count", path) as other:
                stopped.process.send_signal(signal.SIGSTOP)
                await other.says("owner 2")
                await broker.log.append(AT, records("b"))
                await other.says("counted 2")
                stopped.process.send_signal(signal.SIGCONT)
                await stopped.says("lost fenced")
                assert broker.rows("count", 0).get("total", b"all") == b"2"


async def test_a_blocked_event_loop_is_dead_for_work(opened: Opener, tmp_path: Path) -> None:
    """A process whose loop stands still for its session is replaced, and fenced when it moves again."""
    path = tmp_path / "log.db"
    async with opened(path):
        with child("block", path) as blocked:
            assert await blocked.line() == "owner 1"
            with child("count", path) as other:
                await other.says("owner 2")
                blocked.process.stdin.write("\n")  # type: ignore[union-attr]
                blocked.process.stdin.flush()  # type: ignore[union-attr]
                assert await blocked.line() == "refused fenced"


async def test_a_reader_in_another_process_wakes_at_once(opened: Opener, tmp_path: Path) -> None:
    """An append is seen in another process within milliseconds, without that process looking all the time."""
    path = tmp_path / "log.db"
    async with opened(path) as broker:
        with child("listen", path) as listening:
            assert await listening.line() == "listening"
            await until(lambda: broker.database.all(LISTENERS) == [(1,)])
            delays = []
            for _ in range(30):
                await broker.log.append(AT, [Record(None, b"%d" % time.monotonic_ns(), 1)])
                delays.append(float(await listening.line()))
            # Half of them: the machine may have something else to do now and then.
            assert sorted(delays)[15] < 100, "no wake-up came, and the slow poll found them"
            listening.kill()
        await broker.log.append(AT, records("nobody listens"))
        await until(lambda: broker.database.all(LISTENERS) == [(0,)])


async def test_a_missed_wake_up_is_made_good(opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any wake-up the slow poll finds what is new."""
    path = tmp_path / "log.db"
    monkeypatch.setattr("mainstem.database.SharedFolder.wake", lambda *_: [])
    async with opened(path) as first, opened(path) as second:
        reader = second.log.reader({TopicPartition("orders", 0): 0})
        assert reader.take() is None
        await first.log.append(AT, records("a"))
        while reader.take() is None:
            await reader.wait()
