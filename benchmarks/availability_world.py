"""Where availability is measured: worker processes as ``mainstem run`` starts them, and what can befall them."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.harness import until
from tools.kafka import Cluster

SERVICE = "benchmarks.availability_service:service"
STOPPED_SECONDS = 15.0
SLOW_SECONDS = 10.0
STARTED_SECONDS = 120.0

Fault = Callable[[], Awaitable[None]]


@dataclass
class Machine:
    """One ``mainstem run``, with its parent and its workers."""

    broker: str
    folder: Path
    workers: int
    environment: Mapping[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def pids(self) -> list[int]:
        """The process ids of the workers."""
        with contextlib.suppress(OSError, ValueError):
            return [int(line) for line in (self.folder / "pids").read_text().split()][1:]
        return []

    @property
    def stands(self) -> bool:
        """Whether all its workers are there. Raises when it has ended."""
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(f"it has ended:\n{(self.folder / 'log').read_text()[-2000:]}")
        return len(self.pids) == self.workers

    def start(self) -> None:
        """Start it."""
        self.folder.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "mainstem.ops", "run", SERVICE, "--broker", self.broker, "--dev"]
        command += ["--workers", str(self.workers), "--pid-file", str(self.folder / "pids")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, **self.environment}
            )

    def stop(self) -> None:
        """Drain it."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(30)
            for pid in self.pids if self._process.poll() is None else []:
                os.kill(pid, signal.SIGKILL)
            self._process.kill()
            self._process.wait()


@dataclass
class Site:
    """All that runs: machines, and a cluster where there is one."""

    machines: list[Machine]
    folder: Path
    cluster: Cluster | None = None
    _turn: int = 0

    def victim(self) -> int:
        """The process id of a worker; another one each time."""
        self._turn += 1
        machine = self.machines[self._turn % len(self.machines)]
        until(lambda: machine.stands, timeout_seconds=30, what="workers")
        return machine.pids[self._turn // len(self.machines) % machine.workers]

    async def worker_killed(self) -> None:
        """SIGKILL; its parent starts another one."""
        os.kill(self.victim(), signal.SIGKILL)

    async def worker_stopped(self) -> None:
        """SIGSTOP, and SIGCONT a while later, unless its parent has ended it by then."""
        pid = self.victim()
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(STOPPED_SECONDS)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    async def all_restarted(self) -> None:
        """Everything on one machine is ended in order, and started again, as for a new version."""
        [machine] = self.machines
        await asyncio.to_thread(machine.stop)
        machine.start()

    async def dependency_slow(self) -> None:
        """What one key in ten asks takes three seconds, for a while."""
        flag = self.folder / "slow"
        flag.touch()
        await asyncio.sleep(SLOW_SECONDS)
        flag.unlink()

    async def broker_restarted(self) -> None:
        """One of the brokers is ended in order, and started again."""
        await self._restart(0, signal.SIGTERM)

    async def leader_killed(self) -> None:
        """SIGKILL for another one, which leads a third of the partitions; it is started again a while later."""
        await self._restart(1, signal.SIGKILL)

    async def _restart(self, number: int, how: signal.Signals) -> None:
        assert self.cluster is not None
        node = self.cluster.nodes[number]
        node.send(how)
        await asyncio.to_thread(lambda: node.gone(patience_seconds=30))
        await asyncio.sleep(1)
        node.start()


@contextlib.contextmanager
def embedded(
    folder: Path, workers: int, session_seconds: float, work_seconds: float = 0
) -> Generator[Site, None, None]:
    """One file on one machine."""
    broker = f"sqlite:///{folder}/log.db"
    with _standing(Site([_machine(broker, folder, "machine", workers, session_seconds, work_seconds)], folder)) as site:
        yield site


@contextlib.contextmanager
def clustered(
    folder: Path, jars: Path, machines: int, session_seconds: float, protocol: str
) -> Generator[Site, None, None]:
    """Three brokers, and machines with copies of their own, whose members join with this group protocol."""
    cluster = Cluster(folder / "cluster", jars, nodes=3, settings={"broker.session.timeout.ms": "2000"})
    try:
        cluster.start(patience_seconds=STARTED_SECONDS)
        made = [
            _machine(
                f"kafka://{cluster.address}?state_folder={folder}/machine-{n}/state&group_protocol={protocol}",
                folder,
                f"machine-{n}",
                2,
                session_seconds,
            )
            for n in range(machines)
        ]
        with _standing(Site(made, folder, cluster)) as site:
            yield site
    finally:
        for node in cluster.nodes:
            node.kill()


def _machine(
    broker: str, folder: Path, name: str, workers: int, session_seconds: float, work_seconds: float = 0
) -> Machine:
    environment = {
        "AVAILABILITY_FOLDER": str(folder),
        "AVAILABILITY_WORK_SECONDS": str(work_seconds),
        "MAINSTEM_SESSION_TIMEOUT_SECONDS": str(session_seconds),
        "MAINSTEM_GRACE_SECONDS": "5",
    }
    return Machine(broker, folder / name, workers, environment)


@contextlib.contextmanager
def _standing(site: Site) -> Generator[Site, None, None]:
    try:
        for machine in site.machines:
            machine.start()
            until(lambda each=machine: each.stands, timeout_seconds=60, what="the workers")  # type: ignore[misc]
        time.sleep(3)
        yield site
    finally:
        for machine in site.machines:
            machine.stop()
