"""Asks a registry for a writer's schema and for all that it refers to; it is opened when it is first asked."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Final

from mainstem.errors import MainstemError, RegistryRefused, ServerAway
from mainstem.schemas.documents import Reference, Schema
from mainstem.schemas.registries import SchemaRegistry, turned_away
from mainstem.schemas.writers.known import ASKED_AT_ONCE, AWAY, Answer, SchemaName, Written

_NOTHING_MORE: Final = 600
"""Codes below are those of HTTP, which any server says."""
_REFERENCES_MOST: Final = 500
_DEEPEST: Final = 50


class Asking:
    """One registry, opened when it is needed, and anew where it could not be asked. ``None`` has nothing in it yet."""

    def __init__(self, opened: Callable[[], AbstractAsyncContextManager[SchemaRegistry | None]]) -> None:
        self._opened = opened
        self._opening = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._registry: SchemaRegistry | None = None

    async def close(self) -> None:
        """Close it, if it is open."""
        self._registry = None
        await self._stack.aclose()

    async def ask(self, names: Sequence[SchemaName]) -> Sequence[Answer]:
        """The schemas of these names, a few at a time; once somebody is not answered the others are not asked for."""
        answers: list[Answer] = []
        for start in range(0, len(names), ASKED_AT_ONCE):
            page = names[start : start + ASKED_AT_ONCE]
            answers += await asyncio.gather(*map(self._written, page))
            away = next((each for each in answers if isinstance(each, Exception)), None)
            if away is not None:
                await self.close()
                return answers + [away] * (len(names) - len(answers))
        return answers

    async def _written(self, name: SchemaName) -> Answer:
        try:
            registry = await self._open()
            if registry is None:
                return "nothing has ever been registered there"
            try:
                return await _with_references(registry, await _schema(registry, name), name.context)
            except RegistryRefused as refused:
                await _check_verdict(registry, refused)
                return refused.what
        except AWAY as away:
            return away
        except MainstemError as fault:
            # Such as a folder that does not fit together: it says nothing about the schema, and can be mended.
            return ServerAway(fault.what, where=fault.where, why=fault.why, remedy=fault.remedy)

    async def _open(self) -> SchemaRegistry | None:
        async with self._opening:
            if self._registry is None:
                # What has nothing in it is looked at again: somebody may have begun.
                await self._stack.aclose()
                self._registry = await self._stack.enter_async_context(self._opened())
            return self._registry


async def _schema(registry: SchemaRegistry, name: SchemaName) -> Schema:
    if name.guid is not None:
        return await registry.by_guid(name.guid)
    return await registry.by_id(name.id or 0, name.context)


async def _check_verdict(registry: SchemaRegistry, refused: RegistryRefused) -> None:
    """Raise ``ServerAway`` for a refusal that says nothing about the schema.

    404 without anything more, or 410, is also what a server says that is no registry, or that does not know of GUIDs:
    it counts where another question is answered.
    """
    if turned_away(refused):
        raise ServerAway(refused.what, where=refused.where, why=refused.why, remedy=refused.remedy) from refused
    if refused.error_code < _NOTHING_MORE:
        try:
            await registry.subjects("mainstem.")
        except RegistryRefused as nobody:
            raise ServerAway(
                "no registry of schemas answers there",
                where=refused.where,
                why=nobody.what,
                remedy="correct its address",
            ) from refused


async def _with_references(registry: SchemaRegistry, schema: Schema, context: str) -> Written | str:
    """A schema with those that it refers to, directly or through others: each asked for once, level by level."""
    found: dict[str, Schema] = {}
    level = list(schema.references)
    for _ in range(_DEEPEST):
        level = [each for each in level if each.name not in found]
        if not level:
            return Written(schema, found)
        if len(found) + len(level) > _REFERENCES_MOST:
            break
        below: list[Reference] = []
        for each in level:
            # What was written with a schema can be read also where that, or what it refers to, is deleted by now.
            version = await registry.version(_beside(each.subject, context), each.version, deleted=True)
            if version is None:
                return f"it refers to version {each.version} of {each.subject!r}, which is not there"
            found[each.name] = version.schema
            below += version.schema.references
        level = below
    return "it refers to more schemas than are followed"


def _beside(subject: str, context: str) -> str:
    return subject if subject.startswith(":.") else context + subject
