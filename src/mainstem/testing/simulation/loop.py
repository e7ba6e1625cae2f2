"""An event loop whose time is a clock that is moved: it never waits.

When nothing is ready, the clock goes forward to the next timer. Callbacks run in the order in which they were called
for, as in any event loop of asyncio; chance comes in only where a simulation draws it from the seed.
"""

import asyncio
import inspect
import random
import selectors
from collections.abc import Callable, Coroutine, Generator, Mapping
from contextvars import Context
from functools import wraps
from pathlib import Path
from typing import Any, Final, NoReturn, ParamSpec, TypeVar, TypeVarTuple
from weakref import WeakKeyDictionary

from mainstem.clock import ManualClock
from mainstem.errors import DefinitionError, MainstemError
from mainstem.testing.simulation.process import PROCESS, Process, ProcessEnded, Turn

P = ParamSpec("P")
R = TypeVar("R")
Ts = TypeVarTuple("Ts")

TURNS_MOST = 100_000
"""So many turns of the loop while time stands still are an endless loop."""


RESOLUTION_SECONDS = 1e-6
"""What is due within this time is due now. After a virtual year, a float does not tell much less apart."""


class SimulationStuck(MainstemError):
    """Nothing can go on: somebody waits for what will never come, or for something outside the simulation."""

    code = "simulation-stuck"


class SimulationLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time. ``seed`` and the program determine everything that happens in it."""

    def __init__(self, seed: int = 0, clock: ManualClock | None = None) -> None:
        self.clock = clock or ManualClock()
        self.seed = seed
        self.random = random.Random(seed)  # noqa: S311 - chance that can be repeated is the point
        self.at_rest: Callable[[], bool] | None = None
        """Called when nothing is ready, before time goes on; True when something may be ready now."""
        self.waiting: Callable[[], str] = self.tasks_waiting
        """Says who waits, for errors."""
        self.refused: list[SimulationStuck] = []
        """What somebody was refused who reached out of the simulation, and may have kept to himself."""
        self.traces: list[object] = []
        """What has happened in the simulations so far, for whoever reports a failure."""
        self._owners: WeakKeyDictionary[asyncio.Task[object], Process] = WeakKeyDictionary()
        self._sleepers: list[tuple[asyncio.TimerHandle, Process | None]] = []
        super().__init__(_Skipping(self))
        self._clock_resolution = RESOLUTION_SECONDS
        self.set_exception_handler(_report)

    def time(self) -> float:
        """Virtual seconds since the simulation began."""
        return self.clock.monotonic()

    # -- processes

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Call back in the next turn, if the process that asks for it is alive by then."""
        process = PROCESS.get() if context is None else context.get(PROCESS)
        if process is None:
            return super().call_soon(callback, *args, context=context)
        turn = Turn(process, callback)
        turn.handle = super().call_soon(turn, *args, context=context)
        return turn.handle

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """The same: there are no other threads in a simulation."""
        return self.call_soon(callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call back at a time of this loop, if the process that asks for it is alive by then."""
        process = PROCESS.get() if context is None else context.get(PROCESS)
        if process is None:
            handle = super().call_at(when, callback, *args, context=context)
        else:
            turn = Turn(process, callback)
            turn.handle = handle = super().call_at(when, turn, *args, context=context)
        if not _is_housekeeping(callback):
            self._sleepers.append((handle, process))
            if len(self._sleepers) > 1_000:
                self.somebody_sleeps()
        return handle

    def create_task(
        self,
        coro: Generator[object, None, R] | Coroutine[object, object, R],
        *,
        name: object = None,
        context: Context | None = None,
    ) -> asyncio.Task[R]:
        """A task of the process in whose context it is created."""
        task = super().create_task(coro, name=name, context=context)
        process = PROCESS.get() if context is None else context.get(PROCESS)
        if process is not None:
            self._owners[task] = process
        return task

    def tasks_of(self, process: Process) -> list[asyncio.Task[object]]:
        """The tasks of a process that are not done."""
        return [task for task, owner in self._owners.items() if owner is process and not task.done()]

    # -- time

    def somebody_sleeps(self) -> bool:
        """Whether a timer is set that wakes a coroutine, and not only the engine's own housekeeping."""
        now = self.time()
        self._sleepers = [
            (handle, process)
            for handle, process in self._sleepers
            if not handle.cancelled() and handle.when() >= now and (process is None or process.alive)
        ]
        return bool(self._sleepers)

    def pass_time(self, seconds: float | None) -> None:
        """Nothing is ready: go to the next timer, which is so many seconds away. None: there is no timer."""
        if self.at_rest is not None and self.at_rest():
            return
        if seconds is None:
            raise SimulationStuck(
                "everybody waits, and no timer is set that could wake anybody",
                where=self.waiting(),
                why="what is waited for would have to come from somebody who has ended, or from outside",
                remedy="look at what is awaited there; a simulation has nothing outside",
            )
        self.clock.advance(max(seconds, RESOLUTION_SECONDS))

    def refuse_endless_turning(self) -> NoReturn:
        """The loop turns and turns, and time stands still."""
        raise SimulationStuck(
            f"{TURNS_MOST:,} turns of the event loop at the same moment",
            where=self.waiting(),
            why="somebody looks again and again without waiting, with sleep(0) for instance",
            remedy="let it await what it looks for, or sleep for a while",
        )

    def tasks_waiting(self) -> str:
        """Every task, and the line at which it waits."""
        tasks = sorted(asyncio.all_tasks(self), key=lambda task: task.get_name())
        return "; ".join(f"{task.get_name()} at {place_of(task)}" for task in tasks)

    # -- the outside

    def run_in_executor(
        self,
        executor: object,  # noqa: ARG002 - asyncio's signature
        func: Callable[[*Ts], R],
        *args: *Ts,
    ) -> "asyncio.Future[R]":
        """Run it in place: threads would bring real time in."""
        future: asyncio.Future[R] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it belongs to whoever waits for the result
            future.set_exception(error)
        return future

    async def getaddrinfo(self, host: object, port: object, **options: object) -> NoReturn:  # noqa: ARG002 - the same
        """There is no network here."""
        raise self.outside(f"a connection to {host}:{port}")

    def outside(self, what: str) -> SimulationStuck:
        """The error for somebody who reaches out of the simulation."""
        error = SimulationStuck(
            f"{what} reaches out of the simulation",
            where=self.waiting(),
            why="what comes from a real socket comes in real time, and at another moment in every run",
            remedy="let something play the other side: simulate(..., replace={Bank: SlowBank()})",
        )
        self.refused.append(error)
        return error


class _Skipping(selectors.BaseSelector):
    """Instead of waiting for sockets, let the clock go on. It takes one socket: the loop's own, that wakes it up."""

    def __init__(self, loop: SimulationLoop) -> None:
        self._loop = loop
        self._keys: dict[int, selectors.SelectorKey] = {}
        self._turns = 0

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:  # noqa: ANN401 - as selectors has it
        if self._keys:
            raise self._loop.outside("waiting for a socket")
        descriptor = _descriptor(fileobj)
        key = self._keys[descriptor] = selectors.SelectorKey(fileobj, descriptor, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:  # noqa: ANN401 - as selectors has it
        return self._keys.pop(_descriptor(fileobj))

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            self._turns += 1
            if self._turns > TURNS_MOST:
                self._loop.refuse_endless_turning()
        else:
            self._turns = 0
            self._loop.pass_time(timeout)
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys


def run_simulation(
    scenario: Callable[[], Coroutine[object, object, R]], *, seed: int = 0, loop: SimulationLoop | None = None
) -> R:
    """Run a coroutine function in a :class:`SimulationLoop` of its own, or in one that was made for it."""
    with asyncio.Runner(loop_factory=lambda: loop or SimulationLoop(seed)) as runner:
        return runner.run(scenario())


def simulated(test: Callable[P, Coroutine[object, object, R]]) -> Callable[P, R]:
    """Make of a coroutine function an ordinary one, that runs it in virtual time: a test that any test runner runs."""
    if not inspect.iscoroutinefunction(test):
        raise DefinitionError(
            f"@simulated stands above {getattr(test, '__qualname__', repr(test))}, which is no coroutine function",
            why="a simulation is awaited, and only a coroutine can do that",
            remedy="write async def; below a decorator that makes something else of it, put @simulated next to the def",
        )

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        return run_simulation(lambda: test(*args, **kwargs))

    return run


def place_of(task: "asyncio.Task[object]") -> str:
    """Where a task waits: the innermost line that is not asyncio's own."""
    inner: object = task.get_coro()
    place = repr(inner)
    while inspect.iscoroutine(inner):
        if inner.cr_frame is not None and not inner.cr_code.co_filename.startswith(_ASYNCIO):
            place = f"{inner.cr_code.co_filename}:{inner.cr_frame.f_lineno} in {inner.cr_code.co_qualname}"
        inner = inner.cr_await
    return place


_ASYNCIO: Final = str(Path(asyncio.__file__).parent)


def _descriptor(fileobj: Any) -> int:  # noqa: ANN401 - as selectors has it
    return fileobj if isinstance(fileobj, int) else int(fileobj.fileno())


def _is_housekeeping(callback: Callable[..., object]) -> bool:
    """Heartbeats, ticks and looks at the clock are methods of the library; a sleeper is woken by asyncio."""
    return type(getattr(callback, "__self__", None)).__module__.startswith("mainstem.")


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if not isinstance(context.get("exception"), ProcessEnded):
        loop.default_exception_handler(context)
