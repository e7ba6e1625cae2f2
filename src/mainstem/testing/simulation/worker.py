"""A simulated worker: one process after the other, each running all services on a broker of its own."""

import asyncio
from collections.abc import Mapping
from contextvars import copy_context
from functools import partial
from random import Random
from typing import NamedTuple

from mainstem.broker.sqlite import SqliteBroker, SqliteOptions
from mainstem.delivery import PROCESS_ENDS, Plan
from mainstem.errors import BrokerAway
from mainstem.identifiers import Identifiers
from mainstem.service import Definition, Floor, running
from mainstem.settings import Settings
from mainstem.testing.faults import Act, Arsenal, AssignTwice, Crash, Jump, Outage, Pause, Restart
from mainstem.testing.simulation.havoc import Havoc
from mainstem.testing.simulation.loop import SimulationLoop, place_of
from mainstem.testing.simulation.machine import Machine, SimulatedNeighbours
from mainstem.testing.simulation.process import PROCESS, Process, end_if_over
from mainstem.testing.simulation.trace import Trace
from mainstem.testing.simulation.witnesses import Runs, Seen, WitnessedGroup, WitnessedLog


class EndedInWriting(Exception):
    """Raised in a write transaction whose process has ended in it."""


class Cast(NamedTuple):
    """Who plays: the services, what stands in for what they provide, and their settings."""

    services: tuple[Definition, ...]
    replaced: Mapping[type[object], object]
    settings: Settings
    audited: bool = False
    """What handlers have done is published with it, as an audit."""


class Scene:
    """What all workers of a simulation share. What belongs to none of them runs in the context of whoever makes it."""

    def __init__(self, cast: Cast, loop: SimulationLoop, random: Random, arsenal: Arsenal) -> None:
        self.cast = cast
        self.loop = loop
        self.random = random
        self.outside = copy_context()
        self.machine = Machine(loop.clock, random)
        self.trace = Trace(loop.clock)
        self.arsenal = arsenal
        self.havoc = Havoc(arsenal, self.trace, loop.clock, self._strike)
        self.audits = cast.audited
        self.troubled = self.havoc.handlers(cast.services)
        self.workers: list[Worker] = []
        self.failures: list[BaseException] = []
        """What has made a worker fail, rather than die."""
        self.changes = 0
        """Write transactions, and workers that came up or went on: while it stays the same, nothing has changed."""
        self.over = False
        """From the end on nothing goes wrong any more."""
        self.chores: set[asyncio.Task[None]] = set()

    def end(self) -> None:
        """From now on nothing goes wrong any more."""
        self.over = self.arsenal.spent = True
        self.machine.find_broker()

    def broker(self, process: Process, name: str) -> SqliteBroker:
        """A broker for a process, on the memory that all share."""
        identifiers = Identifiers(self.loop.clock, Random(self.random.getrandbits(64)))  # noqa: S311 - seeded
        options = SqliteOptions(
            latency=self.machine.latency,
            at=self._write_reaches,
            memory=self.machine.memory,
            neighbours=SimulatedNeighbours(self.machine, process, name),
        )
        return SqliteBroker(None, clock=self.loop.clock, identifiers=identifiers, options=options)

    def _strike(self, act: Act, where: str) -> None:
        process = PROCESS.get()
        if process is not None and process.worker is not None:
            self.workers[process.worker].strike(act, where)

    def lose_broker(self, seconds: float) -> None:
        """Let the broker be away for so long."""
        if self.machine.away:
            return
        self.trace.note("broker away", f"for {seconds:g} s")
        self.machine.lose_broker()
        self.loop.call_later(seconds, self._find_broker, context=self.outside)

    def _find_broker(self) -> None:
        self.changes += 1
        self.trace.note("broker back")
        self.machine.find_broker()

    def spread_rumour(self, about: "Worker") -> None:
        """Let another worker hear that it has the tasks of this one as well, until a session timeout later."""
        other = next((each for each in self.workers if each is not about and each.up), None)
        if other is None:
            return
        for mine in about.seen.memberships:
            for membership in other.seen.memberships:
                if membership.group == mine.group and mine.assigned:
                    self.trace.note("assigned twice", f"{mine.group} {sorted(mine.assigned)} to {other.name} as well")
                    membership.hear(mine.assigned)
                    wait = self.cast.settings.session_timeout_seconds
                    self.loop.call_later(wait, membership.hear, frozenset[int](), context=self.outside)

    def _write_reaches(self, point: str) -> None:
        if point == "committed":
            self.changes += 1
        if self.over:
            return
        self.havoc.reach(f"writer.{point}")
        process = PROCESS.get()
        if process is not None and not process.alive:
            raise EndedInWriting(point)


class Worker:
    """Runs all services of a simulation, and starts again after it has died."""

    def __init__(self, number: int, scene: Scene) -> None:
        self.number = number
        self.name = f"worker {number}"
        self.started: asyncio.Future[None] = scene.loop.create_future()
        self.up = False
        """It runs all services."""
        self._restarting = False
        self.plans: list[Plan] = []
        self.runs = Runs(scene.havoc, scene.trace, scene.loop.clock, scene.troubled, scene.audits)
        self.process = Process(self.name, number)
        self.seen = Seen(scene.trace, scene.havoc, scene.machine)
        self._scene = scene
        self._lives = 0
        self._past: list[Process] = []
        self._stop = asyncio.Event()
        self._over: asyncio.Future[None] = scene.loop.create_future()
        """Done when a life is over, in whichever way."""
        self._main: asyncio.Task[None] | None = None

    @property
    def returning(self) -> bool:
        """It has ended or stands still, and will be back."""
        process = self.process
        gone = process.stalled or process.deaf or self._stop.is_set()
        return self._restarting or (process.alive and gone)

    def start(self) -> None:
        """Begin a life."""
        scene = self._scene
        self._restarting = False
        if scene.over:
            return
        self._lives += 1
        self.runs.open.clear()
        process = self.process = Process(self.name, self.number)
        self._past.append(process)
        self._stop = asyncio.Event()
        self._over = scene.loop.create_future()
        scene.trace.note("start", self.name)
        self._main = scene.loop.create_task(self._live(process), name=self.name, context=process.context())
        self._main.add_done_callback(partial(self._ended, process), context=scene.outside)

    async def _live(self, process: Process) -> None:
        scene = self._scene
        await asyncio.sleep(scene.machine.latency())
        broker = scene.broker(process, f"{self.name}/{self._lives}")
        await broker.open()
        seen = self.seen = Seen(scene.trace, scene.havoc, scene.machine)
        broker.group = WitnessedGroup(broker.group, seen)
        broker.log = WitnessedLog(broker.log, seen)
        floor = Floor(
            clock=scene.loop.clock,
            identifiers=Identifiers(scene.loop.clock, Random(scene.random.getrandbits(64))),  # noqa: S311 - seeded
            chance=Random(scene.random.getrandbits(64)),  # noqa: S311 - seeded
            threads=False,
            point=self._commit_reaches,
            around=self.runs.around,
        )
        cast = scene.cast
        async with running(
            *cast.services,
            broker=broker,
            dev=True,
            settings=scene.cast.settings,
            floor=floor,
            replaced=scene.cast.replaced,
        ) as services:
            self.plans = services.plans
            self.up = True
            scene.changes += 1
            if not self.started.done():
                self.started.set_result(None)
            await self._stop.wait()
        await broker.close()

    def _ended(self, process: Process, main: "asyncio.Task[None]") -> None:
        self.up = False
        error = None if main.cancelled() else main.exception()
        self._is_over()
        if self._scene.over:
            return  # what it leaves behind has to come to its end all the same
        process.end()
        if error is None:
            return
        if isinstance(error, BrokerAway):
            # It ends, as a program does that cannot reach its broker, and whoever has started it does so again.
            self._scene.trace.note("cannot go on", f"{self.name}: {error.what}")
            self._restarting = True
            self._scene.loop.call_later(1.0, self.start, context=self._scene.outside)
            return
        self._scene.trace.note("failed", f"{self.name}: {type(error).__name__}")
        if self.started.done():
            self._scene.failures.append(error)
        else:
            self.started.set_exception(error)

    def _is_over(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    # -- what befalls it

    def strike(self, act: Act, where: str) -> None:
        """Let something befall the process that runs now, at a place."""
        if isinstance(act, Crash):
            self.crash(act.restart_seconds, where)
        elif isinstance(act, Pause):
            self.pause(act, where)
        elif isinstance(act, Restart):
            self._restart_soon()
        elif isinstance(act, Outage):
            self._scene.lose_broker(act.seconds)
        elif isinstance(act, AssignTwice):
            self._scene.spread_rumour(self)
        elif isinstance(act, Jump):
            self._scene.trace.note("clock jumps", f"{act.seconds:+g} s")
            self._scene.loop.clock.jump(act.seconds)

    def _restart_soon(self) -> None:
        """Be told to stop, now; whoever tells it is no part of this process."""
        scene = self._scene
        chore = scene.loop.create_task(self.restart(), context=scene.outside)
        scene.chores.add(chore)
        chore.add_done_callback(scene.chores.discard)

    def crash(self, restart_seconds: float | None, where: str = "") -> None:
        """End without a word; start again later."""
        if not self.process.alive:
            return
        self._scene.trace.note("crash", f"{self.name} at {where}")
        self.process.end()
        self.up = False
        self.runs.open.clear()
        self._restarting = restart_seconds is not None
        self._is_over()
        if restart_seconds is not None:
            self._scene.loop.call_later(restart_seconds, self.start, context=self._scene.outside)

    def pause(self, act: Pause, where: str = "") -> None:
        """Stand still, or be cut off."""
        process, loop = self.process, self._scene.loop
        if process.stalled or process.deaf or not process.alive:
            return
        seconds = self._scene.cast.settings.session_timeout_seconds * 2 if act.seconds is None else act.seconds
        self._scene.trace.note("cut off" if act.running else "stall", f"{self.name} at {where}, {seconds:g} s")
        process.deaf = act.running
        process.stalled = not act.running
        loop.call_later(seconds, self._go_on, process, context=self._scene.outside)

    def _go_on(self, process: Process) -> None:
        if not process.alive:
            return
        self._scene.changes += 1
        self._scene.trace.note("go on", self.name)
        if process.stalled:
            process.go_on(self._scene.loop)
        if process.deaf:
            process.deaf = False
            self._scene.machine.hear_everything(process)

    # -- what it tells

    def _commit_reaches(self, point: str) -> None:
        scene = self._scene
        if scene.over:
            return
        scene.havoc.reach(point)
        end_if_over()

    def waiting(self) -> list[tuple[str, "asyncio.Task[object] | None"]]:
        """The handlers that are running: in words with the line at which each waits, and its task."""
        return [
            (f"{run.about}, in {self.name}" + ("" if run.task is None else f", at {place_of(run.task)}"), run.task)
            for run in self.runs.open.values()
        ]

    # -- the end

    async def restart(self) -> None:
        """Drain, end, and begin again. One that is not there is left alone, and so is one that dies while it drains."""
        if self._stop.is_set() or not self.process.alive:
            return
        self._scene.trace.note("stop", self.name)
        self._stop.set()
        await self._over
        if not self._restarting:
            self.start()

    async def stop(self) -> None:
        """Drain, and end; one that stands still goes on for it."""
        process, main = self.process, self._main
        if process.stalled:
            process.go_on(self._scene.loop)
        process.deaf = False
        if process.alive and main is not None:
            self._stop.set()
            await asyncio.wait([main])

    async def sweep(self) -> None:
        """After the end: let everything that was left standing unwind, in every life there was."""
        loop = self._scene.loop
        for process in self._past:
            for task in loop.tasks_of(process):
                task.cancel(PROCESS_ENDS)
            process.unwind(loop)
            for _ in range(10):
                tasks = loop.tasks_of(process)
                if not tasks:
                    break
                await asyncio.wait(tasks, timeout=1.0)
                for task in tasks:
                    task.cancel(PROCESS_ENDS)
            process.forget()
