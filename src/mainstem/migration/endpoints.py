"""What a move needs beside a broker's four roles: of where the data is, and of where it goes."""

from typing import Protocol, runtime_checkable

from mainstem.broker import Broker
from mainstem.database import Moved
from mainstem.state import Rows


@runtime_checkable
class Source(Broker, Protocol):
    """A broker that can be closed for good while it is read."""

    def rows(self, group: str, task: int) -> Rows:
        """The committed rows of a task."""
        ...

    def stores(self, group: str) -> list[str]:
        """The names of all stores that a group has ever written to, the runtime's own among them."""
        ...

    def moved(self) -> Moved | None:
        """Where the data is, or is on its way to; None while it is here."""
        ...

    async def stamp(self, stamped: Moved | None) -> None:
        """From now on refuse every commit, and say where the data is; or with None take commits again."""
        ...


class Target(Broker, Protocol):
    """A broker whose stores can be read, whoever owns them."""

    async def snapshot(self, group: str, task: int) -> Rows:
        """The committed rows of a task."""
        ...
