"""A registry in front of another: what can never change there is asked for once."""

from collections.abc import Sequence
from typing import Final, Literal

from mainstem.resilience import Cache
from mainstem.schemas.compatibility import Level, Policy
from mainstem.schemas.documents import Format, Schema
from mainstem.schemas.registries.registry import Registered, SchemaRegistry

REMEMBERED: Final = 1_000
"""So many schemas by id, and as many by text. A service has a few dozen."""


class Remembering:
    """The schema of an id or a GUID, and the id of a schema in a subject, are asked for once; all else each time.

    A version that is deleted is remembered all the same: what was written with it can still be read. For one event
    loop.
    """

    def __init__(self, registry: SchemaRegistry, size: int = REMEMBERED) -> None:
        self._registry = registry
        self._schemas: Cache[str, Schema] = Cache(size)
        self._registered: Cache[tuple[str, Schema, bool], Registered] = Cache(size)

    async def register(
        self, subject: str, schema: Schema, *, normalize: bool = False, version: int | None = None
    ) -> Registered:
        """As the protocol says."""
        known = self._registered.get((subject, _hashable(schema), normalize), 0)
        return known or self._keep(
            schema,
            await self._registry.register(subject, schema, normalize=normalize, version=version),
            normalize=normalize,
        )

    async def lookup(self, subject: str, schema: Schema, *, normalize: bool = False) -> Registered | None:
        """As the protocol says. That a schema is not there is not remembered."""
        known = self._registered.get((subject, _hashable(schema), normalize), 0)
        if known is not None:
            return known
        found = await self._registry.lookup(subject, schema, normalize=normalize)
        return found and self._keep(schema, found, normalize=normalize)

    async def by_id(self, id: int, subject: str = "") -> Schema:
        """As the protocol says."""
        # An id stands for one schema in its context; a subject that says none may be looked for in all of them.
        context, colon, _ = subject[1:].partition(":")
        place = context if subject.startswith(":.") and colon else f":{subject}"
        known = self._schemas.get(f"{place}:{id}", 0)
        if known is None:
            known = await self._registry.by_id(id, subject)
            self._schemas.put(f"{place}:{id}", known, 0)
        return known

    async def by_guid(self, guid: str) -> Schema:
        """As the protocol says."""
        known = self._schemas.get(guid, 0)
        if known is None:
            known = await self._registry.by_guid(guid)
            self._schemas.put(guid, known, 0)
        return known

    async def version(
        self, subject: str, version: int | Literal["latest"], *, deleted: bool = False
    ) -> Registered | None:
        """As the protocol says."""
        return await self._registry.version(subject, version, deleted=deleted)

    async def versions(self, subject: str) -> Sequence[int]:
        """As the protocol says."""
        return await self._registry.versions(subject)

    async def subjects(self, prefix: str = "") -> Sequence[str]:
        """As the protocol says."""
        return await self._registry.subjects(prefix)

    async def problems(self, subject: str, schema: Schema) -> Sequence[str]:
        """As the protocol says."""
        return await self._registry.problems(subject, schema)

    async def compares(self, subject: str, kind: Format) -> bool:
        """As the protocol says."""
        return await self._registry.compares(subject, kind)

    async def level(self, subject: str) -> Level:
        """As the protocol says."""
        return await self._registry.level(subject)

    async def set_level(self, subject: str, level: Level, policy: Policy | None = None) -> None:
        """As the protocol says."""
        await self._registry.set_level(subject, level, policy)

    async def set_alias(self, name: str, subject: str | None) -> None:
        """As the protocol says."""
        await self._registry.set_alias(name, subject)

    def _keep(self, schema: Schema, found: Registered, *, normalize: bool) -> Registered:
        self._registered.put((found.subject, _hashable(schema), normalize), found, 0)
        return found


def _hashable(schema: Schema) -> Schema:
    """Metadata and rules are mappings, which make no key; they are part of what was written, so they go in as text."""
    if schema.metadata is None and schema.rule_set is None:
        return schema
    return Schema(f"{schema.text}\0{schema.metadata!r}\0{schema.rule_set!r}", schema.format, schema.references)
