"""What is compared with what: a version of a subject, all that a service states, or all that a registry has."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from msgspec import Struct

from mainstem.errors import DefinitionError, NotFound
from mainstem.ops.arguments import load_services
from mainstem.ops.schema.opening import read_registry, registry_then, stated_of
from mainstem.ops.schema.revisions import GIT
from mainstem.registry.contents import split
from mainstem.schemas.documents import Schema
from mainstem.schemas.formats import Linked
from mainstem.schemas.registries import Registered, SchemaRegistry

REGISTRY: Final = "registry"
"""As a side: everything that is in the registry."""


class Shown(NamedTuple):
    """A schema of one side, and how it is called there."""

    label: str
    linked: Linked


class Side(NamedTuple):
    """What is on one side, by subject; ``single`` where one version was named, and not everything of somebody."""

    schemas: Mapping[str, Shown]
    single: bool = False


class Source(Struct, frozen=True):
    """The registry that was named, and the broker."""

    registry: str | None
    broker: str | None
    dev: bool


async def side(written: str, source: Source) -> Side:
    """What somebody means: ``Shop.Paid@2``, ``module:service``, ``registry``, a folder, ``git:revision[:folder]``."""
    if written == REGISTRY:
        async with read_registry(source.registry, source.broker, dev=source.dev) as registry:
            return await _all_of(registry, REGISTRY)
    if written.startswith((GIT, "folder:")) or await asyncio.to_thread(Path(written).is_dir):
        return await _all_of(await registry_then(written, source.registry), written)
    if ":" in written and not written.startswith(":"):
        stated = stated_of(load_services([written]))
        return Side({each.subject: Shown(written, Linked(each.schema, {})) for each in stated})
    subject, _, version = written.rpartition("@") if "@" in written else (written, "", "latest")
    async with read_registry(source.registry, source.broker, dev=source.dev) as registry:
        return Side({subject: await _one_of(registry, subject, version)}, single=True)


async def _all_of(registry: SchemaRegistry, label: str) -> Side:
    found: dict[str, Shown] = {}
    for subject in await registry.subjects(":*:"):
        latest = await registry.version(subject, "latest")
        if latest is not None:
            found[subject] = Shown(f"{label} version {latest.version}", await _linked(registry, latest))
    return Side(found)


async def _one_of(registry: SchemaRegistry, subject: str, version: str) -> Shown:
    if version != "latest" and not version.isdecimal():
        raise DefinitionError(f"{version!r} is no version", where=subject, remedy=f"write {subject}@2")
    found = await registry.version(subject, "latest" if version == "latest" else int(version))
    if found is None:
        raise NotFound(
            f"there is no version {version} of the subject {subject!r}",
            remedy="mainstem schema list shows what there is",
        )
    return Shown(f"version {found.version}", await _linked(registry, found))


async def _linked(registry: SchemaRegistry, found: Registered) -> Linked:
    """A version with everything that it refers to, directly or through others."""
    resolved: dict[str, Schema] = {}
    waiting = [(found.subject, found.schema)]
    while waiting:
        owner, schema = waiting.pop()
        for each in schema.references:
            if each.name not in resolved:
                subject = str(split(owner).beside(each.subject))
                target = await registry.version(subject, each.version)
                if target is None:
                    raise NotFound(
                        f"there is no version {each.version} of the subject {subject!r}", where=found.subject
                    )
                resolved[each.name] = target.schema
                waiting.append((subject, target.schema))
    return Linked(found.schema, resolved)
