"""The registry that a command is about, and what services state."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeVar

import click
from msgspec.structs import replace

from mainstem.clock import SystemClock
from mainstem.errors import DefinitionError, NotFound
from mainstem.ops.arguments import broker_url, opened
from mainstem.ops.schema.history import past_at
from mainstem.ops.schema.revisions import GIT
from mainstem.registry import LocalRegistry
from mainstem.registry.contents import InMemory
from mainstem.schemas.registries import LockFile, SchemaRegistry
from mainstem.service import Definition, Outline, outlines_of
from mainstem.service.promises import (
    BROKER,
    Stated,
    folder_named,
    named_registry,
    registry_at,
    standing_registry,
    stated_by,
)
from mainstem.service.registry import registry_access, schema_registry
from mainstem.settings import Settings

F = TypeVar("F", bound=Callable[..., object])


def registry_option(command: F) -> F:
    """Add ``--registry``."""
    return click.option(
        "--registry",
        "registry",
        metavar="URL",
        help="Instead of MAINSTEM_REGISTRY: https://host:8081, folder:schemas, or broker for the one on the broker.",
    )(command)


def broker_is_named(broker: str | None, *, dev: bool) -> bool:
    """Whether there is a broker to be asked what handlers read; a registry can stand without one."""
    return dev or bool(broker or Settings.load().broker)


def registry_folder(given: str | None) -> Path | None:
    """The folder that was named as the registry; None where it is another one."""
    if given is not None and given.startswith(GIT):
        return None
    return folder_named(named_registry(given, Settings.load(), dev=True) or "")


def stated_of(services: Sequence[Definition]) -> list[Stated]:
    """What services say about the events that they publish."""
    return stated_in(outlines_of(services))


def left_out(services: Sequence[Definition], stated: Sequence[Stated]) -> list[str]:
    """What services publish and say nothing about: types of topics that are not ours."""
    said = {each.declaration for each in stated}
    return sorted({each.wire_name for one in outlines_of(services) for each in one.publishes if each not in said})


def stated_in(outlines: Sequence[Outline]) -> list[Stated]:
    """What services say about the events that they publish, by what they declare."""
    return [each for outline in outlines for each in stated_by(outline.service.name, outline.publishes)]


@asynccontextmanager
async def read_registry(given: str | None, broker: str | None, *, dev: bool) -> AsyncIterator[SchemaRegistry]:
    """The registry that was named, to be read, also one of the past. Raises ``NotFound`` where there is nothing."""
    if given is not None and given.startswith(GIT):
        yield await registry_then(given, None)
        return
    settings = Settings.load()
    name = _named(given, broker, settings, dev=dev)
    async with AsyncExitStack() as stack:
        if name != BROKER:
            folder = folder_named(name)
            if folder is not None and not folder.is_dir():
                raise _nothing(str(folder))
            yield await standing_registry(name, settings, SystemClock(), stack)
            return
        backend = await stack.enter_async_context(opened(broker, dev=dev))
        registry = await stack.enter_async_context(registry_at(name, settings, backend, SystemClock()))
        if registry is None:
            raise _nothing(backend.name)
        yield registry


async def registry_then(place: str, given: str | None) -> SchemaRegistry:
    """A folder of schemas as it was at ``git:revision[:path]``, or as it is; without a path the ``given`` one."""
    past = await past_at(place, registry_folder(given))
    if isinstance(past, LockFile):
        raise DefinitionError(
            "a lock file does not say what a schema looks like",
            where=place,
            remedy="name a folder of schemas: git:main:schemas",
        )
    return LocalRegistry(InMemory(SystemClock(), past.rows))


@asynccontextmanager
async def written_registry(given: str | None, broker: str | None, *, dev: bool) -> AsyncIterator[SchemaRegistry]:
    """The registry that was named, to be written. That of a broker runs in this process meanwhile."""
    settings = Settings.load()
    name = _named(given, broker, settings, dev=dev)
    async with AsyncExitStack() as stack:
        if name != BROKER:
            yield await standing_registry(name, settings, SystemClock(), stack)
            return
        service = schema_registry()
        # What it needs on the broker is made with the first schema.
        running = service.running(
            broker=broker_url(broker, settings, dev=dev), dev=True, settings=replace(settings, registry=None)
        )
        await stack.enter_async_context(running)
        yield LocalRegistry(await stack.enter_async_context(registry_access(service)))


def _named(given: str | None, broker: str | None, settings: Settings, *, dev: bool) -> str:
    name = named_registry(given, settings, dev=False)
    if name is None:
        raise DefinitionError(
            "no registry is named",
            where="MAINSTEM_REGISTRY=none",
            remedy="give --registry https://host:8081, or folder:schemas, or broker",
        )
    if name == BROKER and not broker_is_named(broker, dev=dev):
        raise DefinitionError(
            "no registry is named, and no broker that could have one",
            where="" if given is None else f"--registry {given}",
            remedy="give --registry https://host:8081 or folder:schemas, or set MAINSTEM_REGISTRY; for the registry of "
            "a broker name that, with --broker or MAINSTEM_BROKER, or give --dev",
        )
    return name


def _nothing(where: str) -> NotFound:
    return NotFound("nothing has been registered there", where=where, remedy="mainstem schema register begins")
