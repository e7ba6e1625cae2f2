"""A simulated process: code that can be stopped for a while, or for good, between two of its steps.

Every callback and every task of an event loop belongs to the process in whose context it was made. A process that has
ended runs nothing any more, not even a ``finally``; one that stands still runs what it has missed when it goes on. That
is how ``kill -9`` and a long pause look from the outside, and it needs no help from the code that is being tested.
"""

from asyncio import AbstractEventLoop, Handle
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from typing import Final, Generic, TypeVarTuple

Ts = TypeVarTuple("Ts")


class ProcessEnded(BaseException):
    """Raised where a process ends in the middle of a synchronous function, so that this function ends with it."""


class Process:
    """Code that lives and dies together. Everything begun in :meth:`context` belongs to it."""

    __slots__ = ("_held", "alive", "deaf", "name", "stalled", "worker")

    def __init__(self, name: str, worker: int | None = None) -> None:
        """``worker`` is the number of the worker that it is, one life after the other."""
        self.name = name
        self.worker = worker
        self.alive = True
        """False from the moment of its end."""
        self.stalled = False
        """It stands still: nothing runs, and the rest of the world sees a process that is there and says nothing."""
        self.deaf = False
        """It runs, but its heart is not heard and it hears nothing: cut off, and not aware of it."""
        self._held: list[tuple[Context, Callable[[], None]]] = []

    def context(self) -> Context:
        """A context for code of this process."""
        context = copy_context()
        context.run(PROCESS.set, self)
        return context

    def hold(self, turn: Callable[[], None]) -> None:
        """Keep it for when the process goes on."""
        self._held.append((copy_context(), turn))

    def go_on(self, loop: AbstractEventLoop) -> None:
        """After it stood still, run what was missed, in order."""
        self.stalled = False
        held, self._held = self._held, []
        for context, turn in held:
            loop.call_soon(turn, context=context)

    def end(self) -> None:
        """Run nothing any more."""
        self.alive = False

    def unwind(self, loop: AbstractEventLoop) -> None:
        """When the simulation is over: come to life again, to be cancelled and swept up."""
        self.alive = True
        self.go_on(loop)

    def forget(self) -> None:
        """End for good, with what was held back."""
        self.alive = False
        self._held.clear()

    def __repr__(self) -> str:
        return f"Process({self.name!r})"


class Turn(Generic[*Ts]):
    """A callback of a process: run now, when the process goes on, or never."""

    __slots__ = ("_callback", "_process", "handle")

    def __init__(self, process: Process, callback: Callable[[*Ts], object]) -> None:
        self._process = process
        self._callback = callback
        self.handle: Handle | None = None
        """That of the event loop. Whoever has it may cancel it, also while the process stands still."""

    def __call__(self, *args: *Ts) -> None:
        """The event loop calls back."""
        if self.handle is not None and self.handle.cancelled():
            return
        if self._process.alive and not self._process.stalled:
            self.handle = None
            self._callback(*args)
        else:
            self._process.hold(lambda: self(*args))


def end_if_over() -> None:
    """Raise :class:`ProcessEnded` in a process that has ended just now."""
    process = PROCESS.get()
    if process is not None and not process.alive:
        raise ProcessEnded(process.name)


PROCESS: Final[ContextVar[Process | None]] = ContextVar("simulated process", default=None)
"""The process that the running code belongs to; None for the test itself, and for the world around all processes."""
