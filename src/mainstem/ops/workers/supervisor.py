"""The parent of several workers: starts them, passes signals on, starts again what has died, ends what it started."""

import asyncio
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from msgspec import Struct

from mainstem.ops.workers.parent import CONFIGURATION_FAULT, STARTED
from mainstem.ops.workers.pidfile import PidFile
from mainstem.ops.workers.sources import Sources
from mainstem.ops.workers.watchdog import Limits, Pulse
from mainstem.resilience import Backoff
from mainstem.service import ONE_WISH_SECONDS
from mainstem.telemetry import log
from mainstem.web import Address

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
ASKED_FOR: Final = (0, -signal.SIGTERM)
"""How a worker ends that was told to: drained, or before it had begun."""

BACKOFF: Final = Backoff(first_seconds=0.2, longest_seconds=30.0, jitter="equal")
SETTLED_SECONDS: Final = 60.0
"""A worker that has lived as long as this has not failed to start."""


class Worker:
    """A process with the same command, and the line to it."""

    def __init__(self, process: asyncio.subprocess.Process, line: socket.socket, limits: Limits | None) -> None:
        self.process = process
        self._line = line
        self._loop = asyncio.get_running_loop()
        self._started: asyncio.Future[bool] = self._loop.create_future()
        self._pulse = None if limits is None else Pulse(process.pid, limits, self._loop.time())
        self._loop.add_reader(line, self._hear)

    @classmethod
    async def start(
        cls, arguments: Sequence[str], environment: Mapping[str, str], limits: Limits | None = None
    ) -> "Worker":
        """Start a process of this very program. With ``limits`` it is known whether it stands still."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "mainstem.ops", *arguments, "--parent", str(theirs.fileno())),
                env=environment,
                pass_fds=(theirs.fileno(),),
                # A terminal sends Ctrl-C to a whole process group. Workers get it once, from their parent.
                process_group=0,
            )
        return cls(process, ours, limits)

    async def started(self) -> bool:
        """Wait until its services run; False when it has ended before."""
        return await self._started

    async def ended(self) -> int:
        """Wait for its end; returns its code, negative for a signal."""
        code = await self.process.wait()
        self._loop.remove_reader(self._line)
        self._line.close()
        if not self._started.done():
            self._started.set_result(False)
        return code

    def fault(self) -> str | None:
        """Why it is to be ended, though nobody has asked for it: it stands still. Said once."""
        if self._pulse is None:
            return None
        runs = self._started.done() and self._started.result()
        fault = self._pulse.fault(self._loop.time(), started=runs)
        if fault is not None:
            self._pulse = None
        return fault

    def kill(self) -> None:
        """End it at once, if it is there still."""
        with suppress(ProcessLookupError):
            self.process.kill()

    def stop(self) -> None:
        """Let it drain, if it is there still; told twice, it ends at once."""
        with suppress(ProcessLookupError):
            self.process.terminate()

    def _hear(self) -> None:
        said = b""
        # A worker that dies with something unread resets the line instead of ending it.
        with suppress(ConnectionError):
            said = self._line.recv(4_096)
        if not said:
            self._loop.remove_reader(self._line)
        if not self._started.done() and (STARTED in said or not said):
            self._started.set_result(bool(said))
        if self._pulse is not None:
            self._pulse.hear(said.replace(STARTED, b""), self._loop.time())


class Crew(Struct, frozen=True):
    """The workers of a parent: what each is given, how many there are, their names, and where they answer probes."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    count: int
    static_id: str | None = None
    http: Address | None = None
    limits: Limits | None = None
    """For how long each may stand still; nobody looks without."""

    def arguments_of(self, number: int) -> list[str]:
        """What a worker is started with; several cannot have one name, or one port."""
        arguments = [*self.arguments]
        if self.http is not None:
            arguments += ["--http", str(self.http.of_worker(number))]
        if self.static_id is not None:
            arguments += ["--static-id", self.static_id if self.count == 1 else f"{self.static_id}-{number}"]
        return arguments


class Supervisor:
    """Keeps a number of workers going until it is told to stop."""

    def __init__(
        self,
        crew: Crew,
        chance: Callable[[], float],
        sources: Sources | None,
        pid_file: PidFile,
    ) -> None:
        """With ``sources`` all workers start again when a file has changed."""
        self._crew = crew
        self._chance = chance
        self._sources = sources
        self._pid_file = pid_file
        self._pids: dict[int, int] = {}
        self._workers: set[Worker] = set()
        self._stopping = asyncio.Event()
        self._generation = 0
        # The first worker starts alone, so that a fault is told once, and not by all of them.
        self._sound = asyncio.Event()
        self._turn = asyncio.Event()
        self._told = False
        self._told_at = 0.0
        self._code = 0

    async def run(self) -> int:
        """Work until SIGTERM or SIGINT, or until a worker finds a fault in the configuration; returns a code.

        A second signal ends the workers at once, and the code says so: 130 after Ctrl-C.
        """
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._hear, number)
        beside = [asyncio.create_task(self._watch()), asyncio.create_task(self._look())]
        try:
            await asyncio.gather(*(self._keep(number) for number in range(1, self._crew.count + 1)))
        finally:
            for each in beside:
                each.cancel()
            for number in SIGNALS:
                loop.remove_signal_handler(number)
                if self._told:
                    # The workers have ended, and whoever asks once more gets what was asked for anyway.
                    signal.signal(number, signal.SIG_IGN)
        return self._code

    async def _keep(self, number: int) -> None:
        """Keep one worker going."""
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            if number > 1:
                await self._sound.wait()
            if self._stopping.is_set():
                return
            generation, began = self._generation, loop.time()
            worker = await self._start(number)
            if number == 1 and await worker.started() and generation == self._generation:
                self._sound.set()
            code = await worker.ended()
            self._workers.discard(worker)
            del self._pids[number]
            self._pid_file.write(self._pids)
            if self._stopping.is_set():
                self._code = self._code or int(code not in ASKED_FOR)
            elif generation != self._generation:
                failures = 0
            elif code == CONFIGURATION_FAULT:
                await self._refuse()
            else:
                failures = 1 if loop.time() - began > SETTLED_SECONDS else failures + 1
                await self._back_off(f"worker {number} (process {worker.process.pid}) {manner(code)}", failures)

    async def _start(self, number: int) -> Worker:
        crew = self._crew
        worker = await Worker.start(crew.arguments_of(number), crew.environment, crew.limits)
        self._workers.add(worker)
        self._pids[number] = worker.process.pid
        self._pid_file.write(self._pids)
        log.info("worker %d is process %d", number, worker.process.pid)
        if self._stopping.is_set():
            worker.stop()
        return worker

    async def _refuse(self) -> None:
        """A worker would fail again in the same way, until somebody changes something."""
        if self._sources is None:
            self._code = 1
            self._stop()
        else:
            log.info("waiting for a source file to change")
            await self._turn.wait()

    async def _back_off(self, ending: str, failures: int) -> None:
        seconds = BACKOFF.delay(failures, self._chance)
        log.warning("%s; starting it again in %.1f s", ending, seconds)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._turn.wait(), seconds)

    async def _watch(self) -> None:
        """Let all workers end, and new ones start, whenever a source file has changed."""
        while self._sources is not None:
            changed = await self._sources.changed()
            log.info("%s changed: starting again", ", ".join(path.name for path in changed))
            self._generation += 1
            self._sound.clear()
            turn, self._turn = self._turn, asyncio.Event()
            turn.set()
            for worker in self._workers:
                worker.stop()

    async def _look(self) -> None:
        """End whoever stands still: its tasks are somebody else's by then, but what it holds is free only after it."""
        while self._crew.limits is not None:
            await asyncio.sleep(self._crew.limits.tick_seconds)
            for worker in self._workers:
                fault = worker.fault()
                if fault is not None:
                    log.warning("a worker (process %d) %s; it is ended by force", worker.process.pid, fault)
                    worker.kill()

    def _hear(self, number: int) -> None:
        now = asyncio.get_running_loop().time()
        if self._told and now - self._told_at < ONE_WISH_SECONDS:
            return
        self._told_at = now
        if self._told:
            # The workers hear it again as well, and end at once.
            self._code = 128 + number
        else:
            count = len(self._workers)
            log.info("stopping %d worker%s; a second signal ends them at once", count, "" if count == 1 else "s")
        self._told = True
        self._stop()

    def _stop(self) -> None:
        self._stopping.set()
        self._sound.set()
        self._turn.set()
        for worker in self._workers:
            worker.stop()


def manner(code: int) -> str:
    """How a process has ended."""
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
