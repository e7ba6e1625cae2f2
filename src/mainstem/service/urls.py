"""From a URL to a broker. The one place in production that names a concrete broker."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from mainstem.broker import Broker
from mainstem.clock import Clock
from mainstem.errors import DefinitionError, MainstemError
from mainstem.identifiers import Identifiers
from mainstem.settings import Settings
from mainstem.state import Rows

DEV_URL: Final = "sqlite:///mainstem.db"
"""What plays the broker when nobody names one and ``dev`` is on: a file beside you."""

Failed: TypeAlias = Callable[[MainstemError], None]

_SQLITE: Final = "sqlite:///"


class Backend(Broker, Protocol):
    """A broker that keeps the rows of stores as well."""

    def rows(self, group: str, task: int) -> Rows:
        """The committed rows of a task."""
        ...


def connect(url: str, clock: Clock, identifiers: Identifiers, failed: Failed | None = None) -> Backend:
    """The broker behind a URL, not opened yet. Raises :class:`~mainstem.errors.DefinitionError`.

    ``sqlite:///shop.db`` is a file in the current folder, ``sqlite:////var/lib/shop.db`` one with an absolute path,
    and ``sqlite:///:memory:`` is gone with the process. ``failed`` hears that the broker can be used no more, and that
    the process must end.
    """
    if url.startswith(_SQLITE) and len(url) > len(_SQLITE):
        # Loaded when used: a program that only declares a service needs no database.
        from mainstem.broker.sqlite import SqliteBroker, SqliteOptions  # noqa: PLC0415

        return SqliteBroker(file_of(url), clock=clock, identifiers=identifiers, options=SqliteOptions(failed=failed))
    if url.startswith("kafka:"):
        raise DefinitionError(
            "this version cannot use Kafka yet",
            where=url,
            remedy="use the embedded broker: sqlite:///shop.db",
        )
    raise DefinitionError(
        f"{url!r} is not the URL of a broker",
        why="it begins with sqlite:/// and a path",
        remedy="write sqlite:///shop.db for a file beside you, or sqlite:////var/lib/shop.db for an absolute path",
    )


def named_broker(given: str | None, settings: Settings, *, dev: bool) -> str:
    """The URL that was given, or that of the settings, or with ``dev`` a file. Raises where nobody names one."""
    url = given or settings.broker or (DEV_URL if dev else None)
    if url is None:
        raise DefinitionError(
            "no broker is named",
            why="a broker, topics and files appear by themselves only with --dev",
            remedy="set MAINSTEM_BROKER=sqlite:////path/to/shop.db, or name a URL (--broker, broker=), or give --dev",
        )
    return url


def file_of(url: str) -> Path | None:
    """The file behind a URL; None for a memory, and for a broker that is elsewhere."""
    name = url.removeprefix(_SQLITE)
    return Path(name) if url.startswith(_SQLITE) and name not in ("", ":memory:") else None


@asynccontextmanager
async def connected(
    broker: str | Backend, clock: Clock, identifiers: Identifiers, failed: Failed | None = None
) -> AsyncIterator[Backend]:
    """A broker that is open. One that is given by URL is closed again; one that is given itself stays open."""
    if not isinstance(broker, str):
        yield broker
        return
    backend = connect(broker, clock, identifiers, failed)
    await backend.open()
    try:
        yield backend
    finally:
        await backend.close()
