"""From what a service states to what is registered: who owns a subject, its level, and the names it is found by."""

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec.structs import replace

from mainstem.errors import DefinitionError, NotFound, RegistryRefused, ServerAway
from mainstem.events import Declaration
from mainstem.schemas import OWNER, context_of, owned_by, subject_of, topic_subject
from mainstem.schemas.registries import Registered, SchemaRegistry
from mainstem.service.promises.objections import left_to_it, objections
from mainstem.service.promises.stated import Stated
from mainstem.telemetry import log

_MAY_NOT_FOLLOW: Final = frozenset({409, 40901})


async def registered(stated: Stated, registry: SchemaRegistry) -> Registered:
    """Register a schema; with its first version the level of its kind is set.

    Where the registry would not compare by the policy of events, the subject gets the level NONE, and we compare.
    What is alone on its topic is found by the topic's name as well, where that is not a subject of its own.

    Raises ``RegistryRefused`` where it is not compatible, or its subject belongs to another service.
    """
    is_new = await owned(stated, registry) is None
    if is_new:
        # Every instance that the writer writes is to be read: fields may come and go in an event.
        await registry.set_level(stated.subject, stated.level, "LENIENT")
        if not await left_to_it(registry, stated):
            await registry.set_level(stated.subject, "NONE")
    elif not await left_to_it(registry, stated) and (problems := await objections(stated, registry)):
        raise _refused(stated, problems)
    found = await (_first if is_new else _taken)(stated, registry)
    try:
        await _found_by_topic(stated, registry)
    except (RegistryRefused, ServerAway) as refused:
        # Whoever looks for it there looks in vain, as in a registry that knows no such names; some fail over the
        # question. That stops nobody.
        log.info("%s is not found by the name of its topic: %s", stated.subject, refused.what)
    return found


async def _first(stated: Stated, registry: SchemaRegistry) -> Registered:
    """Register the first version. Of two services that do so at once, the slower one is refused."""
    try:
        return await registry.register(stated.subject, stated.schema, version=1)
    except RegistryRefused:
        await owned(stated, registry)
        # Not because of another service: there are versions that have been deleted, another process of this one was
        # quicker, or the registry takes no numbers.
        return await _taken(stated, registry)


async def _taken(stated: Stated, registry: SchemaRegistry) -> Registered:
    try:
        return await registry.register(stated.subject, stated.schema)
    except RegistryRefused as refused:
        # A registry tells all reasons in one line, and not what to do.
        if refused.error_code in _MAY_NOT_FOLLOW and (problems := await objections(stated, registry)):
            raise _refused(stated, problems) from refused
        raise


async def given(subject: str, service: str, registry: SchemaRegistry) -> Registered:
    """Let a subject belong to another service, by a version that says so, and is otherwise the last one.

    The last version says whose it is. So where the service had the subject once, with the same schema, the new version
    has a mark as well: a registry gives the same thing no second version.

    Raises ``NotFound`` where there is none, and ``DefinitionError`` for one that stands in the context of a service.
    """
    if subject.startswith(":."):
        raise DefinitionError(
            f"{subject!r} stands in the context of its service, and can be given to no other",
            why="a domain event is private to one service, which its class line names",
            remedy="register it in the other service: it has a history of its own there",
        )
    latest = await registry.version(subject, "latest")
    if latest is None:
        raise NotFound(f"there is no subject {subject!r}", remedy="mainstem schema list shows what there is")
    if _owner(latest) == service:
        return latest
    found = await registry.register(latest.subject, owned_by(latest.schema, service))
    if found.version > latest.version:
        return found
    return await registry.register(latest.subject, owned_by(latest.schema, service, since=latest.version + 1))


def _refused(stated: Stated, problems: Sequence[str]) -> RegistryRefused:
    return RegistryRefused(
        f"the schema of {stated.declaration.wire_name} may not follow what is registered: {problems[0]}",
        409,
        where=f"{stated.declaration.label}, subject {stated.subject!r}",
        why="\n".join(problems[1:]),
        remedy="take the change back, give what is new a default, or count version= up and say with upcast() how "
        "the older form becomes this one",
    )


async def _found_by_topic(stated: Stated, registry: SchemaRegistry) -> None:
    """Let the name of the topic stand for a subject, or no more, where another type has come to the topic."""
    name = context_of(stated.declaration) + topic_subject(stated.declaration)
    if stated.subject == name:
        return
    now = await registry.version(name, "latest")
    meant = None if now is None else now.subject
    if stated.alone and (meant is None or (meant != stated.subject and meant in _older(stated.declaration))):
        await registry.set_alias(name, stated.subject)
    elif meant == stated.subject and not stated.alone:
        await registry.set_alias(name, None)


def _older(declaration: Declaration) -> Iterator[str]:
    """The subjects of the versions before, by which the topic's name may still go."""
    for version in range(1, declaration.version):
        yield subject_of(replace(declaration, version=version, oldest=1))


async def stands(stated: Stated, latest: Registered | None, registry: SchemaRegistry) -> Registered | None:
    """As what a schema is registered already, also where other clients did that, in their spelling of it.

    That need not be the last version: who takes a change back has an older one again.
    """
    # Equal to the last one, as nearly always: nobody need understand it.
    if latest is None or latest.schema.text == stated.schema.text:
        return latest
    bare = replace(stated.schema, metadata=None)
    return await registry.lookup(stated.subject, bare, normalize=True)


async def owned(stated: Stated, registry: SchemaRegistry) -> Registered | None:
    """The last version of a subject, if there is one. Raises ``RegistryRefused`` where it is another service's."""
    latest = await registry.version(stated.subject, "latest")
    owner = None if latest is None else _owner(latest)
    if owner not in (None, stated.owner):
        raise RegistryRefused(
            f"the subject {stated.subject!r} belongs to the service {owner!r}",
            409,
            where=f"{stated.declaration.label}, published by {stated.owner!r}",
            why="a type has one owner, who alone may change it",
            remedy="give the type a namespace= or a name= of its own; or, where it has moved here, let it be given: "
            f"mainstem schema give {stated.subject} {stated.owner}",
        )
    return latest


def _owner(found: Registered) -> object:
    properties = (found.schema.metadata or {}).get("properties")
    return properties.get(OWNER) if isinstance(properties, dict) else None
