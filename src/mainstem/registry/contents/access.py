"""How a registry's contents are reached, wherever they are."""

from typing import Protocol, TypeVar

from mainstem.clock import Clock
from mainstem.registry.contents.contents import Contents
from mainstem.registry.contents.tables import Changes, Limits, MemoryRows, Rows

A_co = TypeVar("A_co", covariant=True)
A = TypeVar("A")


class Operation(Protocol[A_co]):
    """What can be done to a registry, as plain data: a pure function of its contents."""

    @property
    def answer(self) -> object:
        """The type of its answer."""
        ...

    def apply(self, contents: Contents, at_ms: int) -> A_co:
        """Do it at a time; returns the answer, or raises RegistryError. What it had done by then is to be dropped."""
        ...


class Access(Protocol):
    """A registry, for who asks it. Contents are used at once, and not kept over an ``await``."""

    async def view(self) -> Contents:
        """What is known here; others may have written more."""
        ...

    async def caught_up(self) -> Contents:
        """What is known here after everything that had been written when this was called has been read."""
        ...

    async def write(self, operation: Operation[A]) -> A:
        """Do it; returns once it is durable. Raises RegistryError, and then nothing has changed."""
        ...


class InMemory:
    """A registry over rows of its own process."""

    def __init__(self, clock: Clock, rows: Rows | None = None, limits: Limits | None = None) -> None:
        self._clock = clock
        self._rows = rows or MemoryRows()
        self._limits = limits or Limits()

    async def view(self) -> Contents:
        """Everything that has been written."""
        return Contents(self._rows, self._limits)

    async def caught_up(self) -> Contents:
        """The same: nobody else writes here."""
        return Contents(self._rows, self._limits)

    async def write(self, operation: Operation[A]) -> A:
        """Do it, all or nothing."""
        changes = Changes(self._rows)
        answer = operation.apply(Contents(changes, self._limits), self._clock.now_ms())
        changes.write_to(self._rows)
        return answer
