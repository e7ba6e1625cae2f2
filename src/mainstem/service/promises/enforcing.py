"""At start: whether what a service publishes is registered, and may be.

On a verdict only. A registry that cannot be asked, or that nobody has begun, stops nobody: what is in ``schemas.lock``
was registered, and of the rest the log says that nobody has looked.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from mainstem.clock import Clock
from mainstem.errors import DefinitionError, MainstemError, RegistryRefused, SchemaRefused, ServerAway
from mainstem.schemas.registries import LOCK_NAME, LockFile, SchemaRegistry, turned_away
from mainstem.schemas.writers import AWAY
from mainstem.service.brokers import Backend
from mainstem.service.plans import Draft
from mainstem.service.promises.objections import objections
from mainstem.service.promises.registering import owned, registered, stands
from mainstem.service.promises.registries import BROKER, folder_named, named_registry, registry_at, standing_registry
from mainstem.service.promises.stated import Stated, stated_by
from mainstem.settings import Settings
from mainstem.telemetry import log

_SAID = (RegistryRefused, SchemaRefused, DefinitionError)


async def enforced(drafted: Draft, backend: Backend, settings: Settings, clock: Clock) -> list[MainstemError]:
    """What is wrong with the integration events of services: not registered, or not allowed to follow what is.

    In play nothing is wrong: everything is registered where the settings name a server, and what may not be is told. A
    folder is left alone, for what stands in it is meant to be committed.
    """
    name = named_registry(None, settings, dev=drafted.dev)
    if name is None or (drafted.dev and (name == BROKER or folder_named(name))):
        return []
    stated = [each for service in drafted.services for each in stated_by(service.name, drafted.outputs[service.name])]
    if drafted.dev:
        async with AsyncExitStack() as stack:
            await _register(stated, await standing_registry(name, settings, clock, stack))
        return []
    return await verdicts(stated, name, backend, settings, clock)


async def verdicts(
    stated: Iterable[Stated], name: str, backend: Backend, settings: Settings, clock: Clock, *, log_unasked: bool = True
) -> list[MainstemError]:
    """What the registry of this name, as :func:`named_registry` gives it, has against integration events.

    With ``log_unasked`` the log says of which nobody has looked, where it cannot be asked.
    """
    tell = _tell if log_unasked else _tell_nobody
    public = [each for each in stated if each.declaration.kind == "integration"]
    faults: list[MainstemError] = []
    if not public:
        return faults
    try:
        async with registry_at(name, settings, backend, clock) as registry:
            if registry is None:
                tell(_NOBODY, public)
                return faults
            for each in public:
                faults += [fault async for fault in _verdict(each, registry)]
    except AWAY as away:
        lock = LockFile.read(Path(LOCK_NAME))
        tell(str(away), [each for each in public if lock.find(each.subject, each.schema) is None])
    return faults


async def _register(stated: Sequence[Stated], registry: SchemaRegistry) -> None:
    for each in stated:
        try:
            await registered(each, registry)
        except (*AWAY, *_SAID) as refused:
            log.warning("the schema of %s is not registered: %s", each.declaration.wire_name, refused)


async def _verdict(stated: Stated, registry: SchemaRegistry) -> AsyncIterator[MainstemError]:
    try:
        latest = await owned(stated, registry)
        if await stands(stated, latest, registry):
            return
        problems = await objections(stated, registry)
    except _SAID as refused:
        if isinstance(refused, RegistryRefused) and turned_away(refused):
            raise ServerAway(refused.what, where=refused.where, remedy=refused.remedy) from refused
        yield refused
        return
    where = f"{stated.declaration.label}, subject {stated.subject!r}"
    if problems:
        yield DefinitionError(
            f"the schema of {stated.declaration.wire_name} may not follow what is registered: {problems[0]}",
            where=where,
            why="\n".join(problems[1:]) or "somebody who reads it, or wrote it, has another form of it",
            remedy="take the change back, give what is new a default, or count version= up and say with upcast() how "
            "the older form becomes this one",
        )
    else:
        yield DefinitionError(
            f"the schema of {stated.declaration.wire_name} is not registered",
            where=where,
            why="an integration event is a contract: what it looks like is known to its readers before it is published",
            remedy="mainstem schema register MODULE:SERVICE, before the service is deployed; "
            "or start with --dev, or dev=True; or go without a registry: MAINSTEM_REGISTRY=none",
        )


_NOBODY = "nothing has been registered there; mainstem schema register begins, and from then on it counts"


def _tell_nobody(_why: str, _unknown: Sequence[Stated]) -> None:
    """Of one event by hand the log says nothing; its service has said it at its start."""


def _tell(why: str, unknown: Sequence[Stated]) -> None:
    names = ", ".join(each.declaration.wire_name for each in unknown)
    if names:
        log.warning("nobody has looked whether the schemas of %s are registered: %s", names, why)
    else:
        log.info("the registry of schemas cannot be asked; all that is published stands in %s", LOCK_NAME)
