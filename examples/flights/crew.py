"""The processes of the demo: one ``mainstem run`` for each service, told to drain at the end."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from pathlib import Path

DRAIN_SECONDS = 30


class ServiceEnded(Exception):
    """A service has ended by itself, which none should; the message has the end of what it had to say."""


class ServiceProcess:
    """``mainstem run`` for one service. With several workers it is their parent, and starts again what dies."""

    def __init__(self, service: str, workers: int, broker: str, folder: Path) -> None:
        self.service = service
        self.count = workers
        self._log = folder / f"{service}.log"
        self._pids = folder / f"{service}.pids"
        self._command = [
            *(sys.executable, "-m", "mainstem.ops", "run", f"examples.flights.{service}:{service}"),
            *("--workers", str(workers), "--broker", broker, "--dev", "--pid-file", str(self._pids)),
        ]
        self._process: Process | None = None

    async def start(self) -> None:
        """Start it; what it says goes to a file."""
        environment = {**os.environ, "MAINSTEM_LOG_LEVEL": "info"}
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, env=environment, stdout=log, stderr=log
            )

    def workers(self) -> list[int]:
        """The process ids of its workers, by number. The first line of the file is their parent."""
        try:
            return [int(line) for line in self._pids.read_text().splitlines()[1:]]
        except FileNotFoundError:
            return []

    def kill_one(self) -> int:
        """End a worker as a power cut would, in the middle of whatever it does; returns its process id."""
        pid = self.workers()[0]
        os.kill(pid, signal.SIGKILL)
        return pid

    def check(self) -> None:
        """Raise ServiceEnded when it is not there any more."""
        if self._process is not None and self._process.returncode is not None:
            said = "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])
            raise ServiceEnded(f"{self.service} has ended with {self._process.returncode}:\n{said}")

    async def stop(self) -> int:
        """Let it drain; returns its exit code. One that does not end is killed."""
        if self._process is None:
            return 0
        if self._process.returncode is None:
            self._process.terminate()
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                return await self._process.wait()
        except TimeoutError:
            self.end_now()
            return await self._process.wait()

    def end_now(self) -> None:
        """When there is no time for anything else. Its workers end with it."""
        if self._process is not None and self._process.returncode is None:
            os.kill(self._process.pid, signal.SIGKILL)


class Crew:
    """All services of the demo."""

    def __init__(self, workers: dict[str, int], broker: str, folder: Path) -> None:
        """``workers`` says how many processes each service gets."""
        self.services = {name: ServiceProcess(name, count, broker, folder) for name, count in workers.items()}

    async def start(self) -> None:
        """Start all of them."""
        for service in self.services.values():
            await service.start()

    def check(self) -> None:
        """Raise ServiceEnded when one is not there any more."""
        for service in self.services.values():
            service.check()

    async def stop(self) -> dict[str, int]:
        """Drain all of them at once; returns their exit codes."""
        codes = await asyncio.gather(*(service.stop() for service in self.services.values()))
        return dict(zip(self.services, codes, strict=True))

    def end_now(self) -> None:
        """Leave no process behind, whatever has happened."""
        for service in self.services.values():
            service.end_now()
