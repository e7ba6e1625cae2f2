"""An event loop whose time is a clock that is moved: it never waits.

When nothing is ready, the clock goes forward to the next timer. Callbacks run in the order in which they were called
for, as in any event loop of asyncio; chance comes in only where a simulation draws it from the seed.
"""

import asyncio
import inspect
import random
import selectors
from collections.abc import Callable, Coroutine, Mapping
from contextvars import Context
from functools import wraps
from typing import Any, NoReturn, ParamSpec, TypeVar, TypeVarTuple, Unpack
from weakref import WeakKeyDictionary

from mainstem.clock import ManualClock
from mainstem.errors import MainstemError
from mainstem.testing.process import PROCESS, Process, ProcessEnded

P = ParamSpec("P")
R = TypeVar("R")
Ts = TypeVarTuple("Ts")

TURNS_MOST = 1_000_000
"""So many turns of the loop without time going on are an endless loop."""


class SimulationStuck(MainstemError):
    """Nothing can go on: somebody waits for what will never come, or for something outside the simulation."""

    code = "simulation-stuck"


class SimulationLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time. ``seed`` and the program determine everything that happens in it."""

    def __init__(self, seed: int = 0, clock: ManualClock | None = None) -> None:
        self.clock = clock or ManualClock()
        self.seed = seed
        self.random = random.Random(seed)
        self.at_rest: Callable[[], bool] | None = None
        """Called when nothing is ready, before time goes on; True when something may be ready now."""
        self.names_waiting: Callable[[], str] = self._tasks_waiting
        """Says who waits, for errors."""
        self._owners: WeakKeyDictionary[asyncio.Task[Any], Process] = WeakKeyDictionary()
        self._timers: list[asyncio.TimerHandle] = []
        self._opened = False
        super().__init__(_Skipping(self))
        self._opened = True
        self.set_task_factory(self._task_of_process)
        self.set_exception_handler(_report)

    def time(self) -> float:
        """Virtual seconds since the simulation began."""
        return self.clock.monotonic()

    # -- processes

    def call_soon(
        self, callback: Callable[[Unpack[Ts]], object], *args: Unpack[Ts], context: Context | None = None
    ) -> asyncio.Handle:
        """Call back in the next turn, if the process that asks for it is alive by then."""
        process = PROCESS.get() if context is None else context.get(PROCESS)
        if process is None:
            return super().call_soon(callback, *args, context=context)
        return super().call_soon(process.run, callback, *args, context=context)

    def call_soon_threadsafe(
        self, callback: Callable[[Unpack[Ts]], object], *args: Unpack[Ts], context: Context | None = None
    ) -> asyncio.Handle:
        """The same: there are no other threads in a simulation."""
        return self.call_soon(callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[Unpack[Ts]], object], *args: Unpack[Ts], context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call back at a time of this loop, if the process that asks for it is alive by then."""
        process = PROCESS.get() if context is None else context.get(PROCESS)
        if process is None:
            handle = super().call_at(when, callback, *args, context=context)
        else:
            handle = super().call_at(when, process.run, callback, *args, context=context)
        if not _is_housekeeping(callback):
            self._timers.append(handle)
            if len(self._timers) > 1_000:
                self.somebody_sleeps()
        return handle

    def somebody_sleeps(self) -> bool:
        """Whether a timer is set that wakes a coroutine, and not only the engine's own housekeeping."""
        now = self.time()
        self._timers = [each for each in self._timers if not each.cancelled() and each.when() >= now]
        return bool(self._timers)

    def tasks_of(self, process: Process) -> list[asyncio.Task[Any]]:
        """The tasks of a process that are not done."""
        return [task for task, owner in self._owners.items() if owner is process and not task.done()]

    def _task_of_process(
        self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, R], context: Context | None = None
    ) -> "asyncio.Task[R]":
        task = asyncio.Task(coroutine, loop=loop, context=context)
        process = PROCESS.get() if context is None else context.get(PROCESS)
        if process is not None:
            self._owners[task] = process
        return task

    # -- time

    def pass_time(self, seconds: float | None) -> None:
        """Nothing is ready: go to the next timer, which is so many seconds away. None: there is no timer."""
        if self.at_rest is not None and self.at_rest():
            return
        if seconds is None:
            raise SimulationStuck(
                "everybody waits, and no timer is set that could wake anybody",
                where=self.names_waiting(),
                why="what is waited for is to come from somebody who has ended, or from nobody",
                remedy="look at what is awaited there; in a simulation nothing comes from outside",
            )
        self.clock.advance(seconds)

    def refuse_endless_turning(self) -> NoReturn:
        """The loop turns and turns, and time does not go on."""
        raise SimulationStuck(
            f"{TURNS_MOST:,} turns of the event loop at the same moment",
            where=self.names_waiting(),
            why="somebody polls without waiting, with sleep(0) for instance",
            remedy="let it await what it looks for, or sleep for a while",
        )

    def _tasks_waiting(self) -> str:
        tasks = sorted(asyncio.all_tasks(self), key=lambda task: task.get_name())
        return "; ".join(f"{task.get_name()} at {place_of(task)}" for task in tasks)

    # -- the outside

    def run_in_executor(
        self, executor: object, func: Callable[[Unpack[Ts]], R], *args: Unpack[Ts]
    ) -> "asyncio.Future[R]":
        """Run it in place: threads would bring real time in."""
        future: asyncio.Future[R] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it belongs to whoever waits for the result
            future.set_exception(error)
        return future

    async def getaddrinfo(self, host: object, port: object, **options: object) -> NoReturn:  # type: ignore[override]
        """There is no network here."""
        raise self.outside(f"a connection to {host}:{port}")

    def outside(self, what: str) -> SimulationStuck:
        """The error for somebody who reaches out of the simulation."""
        return SimulationStuck(
            f"{what} reaches out of the simulation",
            where=self.names_waiting(),
            why="what comes from a real socket comes in real time, and another time in every run",
            remedy="give the handler something that plays the other side: simulate(..., replace={Bank: SlowBank()})",
        )


class _Skipping(selectors.BaseSelector):
    """Instead of waiting for sockets, let the clock go on. It takes the one socket that the loop itself has."""

    def __init__(self, loop: SimulationLoop) -> None:
        self._loop = loop
        self._keys: dict[int, selectors.SelectorKey] = {}
        self._turns = 0

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        descriptor = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        if self._keys:
            raise self._loop.outside("waiting for a socket")
        key = self._keys[descriptor] = selectors.SelectorKey(fileobj, descriptor, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj if isinstance(fileobj, int) else fileobj.fileno())

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


def run_simulation(scenario: Callable[[], Coroutine[Any, Any, R]], *, seed: int = 0) -> R:
    """Run a coroutine function in a :class:`SimulationLoop` of its own."""
    with asyncio.Runner(loop_factory=lambda: SimulationLoop(seed)) as runner:
        return runner.run(scenario())


def simulated(test: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, R]:
    """Make a test that is a coroutine function one that any test runner can call: in virtual time, with seed 0."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        return run_simulation(lambda: test(*args, **kwargs))

    return run


def place_of(task: "asyncio.Task[Any]") -> str:
    """Where a task waits: the innermost line of a coroutine that can be seen."""
    inner: object = task.get_coro()
    place = repr(inner)
    while inspect.iscoroutine(inner):
        if inner.cr_frame is not None:
            place = f"{inner.cr_code.co_filename}:{inner.cr_frame.f_lineno} in {inner.cr_code.co_qualname}"
        inner = inner.cr_await
    return place


def _is_housekeeping(callback: Callable[..., object]) -> bool:
    """Heartbeats, ticks and looks at the clock are methods of the engine; a sleeper is woken by asyncio."""
    owner = getattr(callback, "__self__", None)
    return owner is not None and type(owner).__module__.partition(".")[0] == "mainstem"


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if not isinstance(context.get("exception"), ProcessEnded):
        loop.default_exception_handler(context)
