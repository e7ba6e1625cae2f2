"""Processes that hold a lease, and write down when they got it and when they lost it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.architecture.source import ROOT
from tests.journeys.conditions import until

HOLDER = """
import asyncio, sys
import mainstem
from mainstem.errors import LeaseLost
from mainstem.settings import Settings

async def hold(url, path, seconds):
    def tell(text):
        with open(path, "a") as out:
            out.write(text + "\\n")

    settings = Settings(session_timeout_seconds=float(seconds), grace_seconds=1)
    try:
        async with mainstem.lease("report", broker=url, settings=settings) as lease:
            tell(f"held {lease.token}")
            while True:
                await asyncio.sleep(0.01)
                await lease.confirm()
    except LeaseLost as lost:
        tell(lost.where)

asyncio.run(hold(*sys.argv[1:]))
"""


class Holder:
    """A process that wants the lease."""

    def __init__(self, process: subprocess.Popen[bytes], path: Path) -> None:
        """``path`` is what it writes."""
        self.process = process
        self._path = path

    @property
    def told(self) -> list[str]:
        """What it has written down."""
        return self._path.read_text().splitlines()

    def send(self, number: signal.Signals) -> None:
        """Signal it."""
        os.kill(self.process.pid, number)


@contextmanager
def holder(url: str, path: Path, session_seconds: float) -> Iterator[Holder]:
    """A process that waits for the lease, and holds it until it loses it."""
    path.touch()
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    process = subprocess.Popen([sys.executable, "-c", HOLDER, url, str(path), str(session_seconds)], env=environ)
    try:
        yield Holder(process, path)
    finally:
        process.kill()
        process.wait()


async def one_after_the_other(url: str, folder: Path, session_seconds: float, within_seconds: float) -> None:
    """The first holder is killed, the second stopped: each time the next one has a greater token.

    The one that was stopped finds its token outdated when it wakes up, and loses no other's.
    """
    paths = [folder / name for name in ("first", "second", "third")]
    with holder(url, paths[0], session_seconds) as first:
        await until(lambda: first.told == ["held 1"], within_seconds)
        with holder(url, paths[1], session_seconds) as second:
            first.send(signal.SIGKILL)
            await until(lambda: second.told == ["held 2"], within_seconds)
            with holder(url, paths[2], session_seconds) as third:
                second.send(signal.SIGSTOP)
                await until(lambda: third.told == ["held 3"], within_seconds)
                assert second.told == ["held 2"]
                second.send(signal.SIGCONT)
                await until(lambda: second.told == ["held 2", "token 2"], within_seconds)
                assert third.told == ["held 3"]
                assert third.process.poll() is None
