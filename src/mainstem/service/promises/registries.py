"""From a word to a registry: the one on this broker, a folder, a server elsewhere, or none."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from mainstem.clock import Clock
from mainstem.errors import BrokerError, DefinitionError
from mainstem.identifiers import Identifiers
from mainstem.registry import LocalRegistry
from mainstem.registry.contents import Limits
from mainstem.registry.folder import FolderRegistry
from mainstem.registry.ledger import ROWS, Ledger, RegistryRequest
from mainstem.schemas.registries import Remembering, SchemaRegistry
from mainstem.service.brokers import Backend
from mainstem.settings import Settings

NONE: Final = "none"
BROKER: Final = "broker"

FOLDER: Final = "folder:"

_SERVERS: Final = ("http://", "https://")


def named_registry(given: str | None, settings: Settings, *, dev: bool) -> str | None:
    """The registry that was named, by an option or by the settings; or that of the broker, and in play none.

    Raises ``DefinitionError`` for what names no registry.
    """
    name = given or settings.registry or (NONE if dev else BROKER)
    folder = folder_named(name)
    if folder is not None and folder.exists() and not folder.is_dir():
        raise DefinitionError(
            f"{str(folder)!r} is a file, and a registry is a folder",
            remedy="name a folder; one that is not there yet is made by the first registration",
        )
    if name in (NONE, BROKER) or name.startswith((*_SERVERS, FOLDER)):
        return None if name == NONE else name
    # What is a mistyped URL is no folder: registering would make it.
    if "//" not in name and ("/" in name or Path(name).is_dir()):
        return FOLDER + name
    raise DefinitionError(
        f"{name!r} names no registry of schemas",
        remedy="write https://host:8081, or folder:schemas, or broker for the one on this broker, or none",
    )


def folder_named(name: str) -> Path | None:
    """The folder that is a registry, of a name as :func:`named_registry` gives it; None for another registry."""
    return Path(name.removeprefix(FOLDER)) if name.startswith(FOLDER) else None


@asynccontextmanager
async def registry_at(
    name: str, settings: Settings, backend: Backend, clock: Clock
) -> AsyncIterator[SchemaRegistry | None]:
    """A registry, to be read; None for a broker or a folder where nothing has been registered yet.

    Of servers, several that answer alike may be named with commas between them.
    """
    async with AsyncExitStack() as stack:
        folder = folder_named(name)
        if folder is not None and not folder.exists():
            yield None
        elif name != BROKER:
            yield await standing_registry(name, settings, clock, stack)
        elif ROWS not in await backend.admin.topics([ROWS]):
            yield None
        else:
            ledger = Ledger(backend.log, _unwritten, Identifiers(clock), Limits())
            await stack.enter_async_context(ledger.following())
            yield LocalRegistry(ledger)


async def standing_registry(name: str, settings: Settings, clock: Clock, stack: AsyncExitStack) -> SchemaRegistry:
    """A registry that stands by itself, to be read and written: in a folder, or behind HTTP."""
    folder = folder_named(name)
    if folder is not None:
        return LocalRegistry(FolderRegistry(folder, clock))
    check_client(name)
    # An extra, loaded when used.
    from mainstem.schemas.registries import RemoteRegistry  # noqa: PLC0415
    from mainstem.web.client import Client, Credentials  # noqa: PLC0415

    credentials = Credentials(
        token=settings.registry_token,
        ca_file=settings.registry_ca_file,
        certificate_file=settings.registry_certificate_file,
        key_file=settings.registry_key_file,
    )
    client = await stack.enter_async_context(Client(name.split(","), credentials))
    return Remembering(RemoteRegistry(client))


def check_client(name: str) -> None:
    """Raise ``DefinitionError`` where a registry is named that is asked over HTTP, and the client is not installed."""
    if not name.startswith(_SERVERS):
        return
    try:
        import mainstem.web.client  # noqa: F401, PLC0415 - an extra, loaded when used
    except ImportError as error:
        raise DefinitionError(
            "the HTTP client is not installed", where=name, why=str(error), remedy="pip install 'mainstem[http]'"
        ) from error


async def _unwritten(request: RegistryRequest) -> None:
    raise BrokerError(
        f"{type(request.operation).__name__} is asked of a registry that is only read here",
        remedy="run it in this process: mainstem schema register does, and mainstem registry serve",
    )
