"""Whether a schema may follow what is registered, whoever compares: the registry, or we where it cannot."""

from collections.abc import AsyncIterator, Sequence

from mainstem.errors import SchemaRefused
from mainstem.schemas.compatibility import Objection, told
from mainstem.schemas.documents import Schema
from mainstem.schemas.formats import Linked, compare
from mainstem.schemas.registries import Registered, SchemaRegistry
from mainstem.service.promises.stated import Stated


async def objections(stated: Stated, registry: SchemaRegistry) -> Sequence[str]:
    """Why a schema cannot become the next version of its subject; nothing when it can.

    By the level that is set, where the registry compares; otherwise by the level of the event's kind.
    """
    if await left_to_it(registry, stated):
        return await registry.problems(stated.subject, stated.schema)
    earlier = [each async for each in _earlier(stated, registry)]
    if any(each.schema.text == stated.schema.text for each in earlier):
        return ()
    try:
        found = compare(stated.level, "LENIENT", _alone(stated.schema), [_alone(each.schema) for each in earlier])
    except SchemaRefused as refused:
        return (f"it cannot be compared: {refused.what}",)
    return told((Objection(earlier[each.earlier].version, each.reads, each.difference) for each in found), stated.level)


async def left_to_it(registry: SchemaRegistry, stated: Stated) -> bool:
    """Whether the registry compares the schemas of this subject as events need it."""
    return await registry.compares(stated.subject, stated.schema.format)


async def _earlier(stated: Stated, registry: SchemaRegistry) -> AsyncIterator[Registered]:
    for number in await registry.versions(stated.subject):
        found = await registry.version(stated.subject, number)
        if found is not None:
            yield found


def _alone(schema: Schema) -> Linked:
    """Schemas of ours refer to nothing outside."""
    return Linked(schema, {})
