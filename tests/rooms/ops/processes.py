"""The real program in processes of its own, ended by process id whatever happens."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.architecture.source import ROOT

WORKER = re.compile(r"worker (\d+) is process (\d+)")


class Spawned:
    """``python -m mainstem.ops`` in the current folder; what it says is in a file."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def nobody(cls) -> Self:
        """No process yet."""
        return cls(Path("said.log").absolute())

    def start(self, *arguments: str) -> None:
        """Start the program."""
        with self._log.open("ab") as log:
            self.start_into(log.fileno(), *arguments)

    def start_into(self, output: int, *arguments: str) -> None:
        """Start the program, with its standard output in an open file."""
        environ = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mainstem.ops", *arguments], stdout=output, stderr=log, env=environ
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def said(self) -> str:
        """Everything it has said so far."""
        return self._log.read_text()

    def workers(self) -> dict[int, int]:
        """The process ids of its workers as it has told them last, by number."""
        return {int(number): int(pid) for number, pid in WORKER.findall(self.said())}

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until it has said something so many times."""
        self.wait_until(lambda: self.said().count(text) >= times)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Look at a condition again and again until it holds."""
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.02)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send it a signal, and wait for its end; returns its code."""
        self.send(number)
        return self.ended()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def asked(self, number: signal.Signals) -> bool:
        """Send it a signal once more, unless it has ended; returns whether it has."""
        assert self._process is not None
        if self._process.poll() is None:
            self.send(number)
        return self._process.poll() is not None

    def ended(self) -> int:
        """Wait for its end."""
        assert self._process is not None
        return self._process.wait(timeout=20)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            for pid in [*self.workers().values(), self._process.pid]:
                if is_alive(pid) and is_ours(pid):
                    os.kill(pid, signal.SIGKILL)
            self._process.wait()


def is_alive(pid: int) -> bool:
    """Whether a process is there, and is not waiting to be buried."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
    return "State:\tZ" not in status


def is_ours(pid: int) -> bool:
    """Whether a process still runs the program, and its number was not given to another one."""
    return b"mainstem.ops" in Path(f"/proc/{pid}/cmdline").read_bytes()
