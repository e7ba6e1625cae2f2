"""The schemas of the events that a service publishes, each with its subject and the level that holds for it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from mainstem.errors import RegistryRefused
from mainstem.events import Declaration
from mainstem.schemas import OWNER, context_of, owned_schema, subject_of, topic_subject
from mainstem.schemas.compatibility import Level
from mainstem.schemas.documents import Schema
from mainstem.schemas.registries import Registered, SchemaRegistry
from mainstem.telemetry import log

LEVELS: Final[Mapping[str, Level]] = {
    "integration": "FULL_TRANSITIVE",
    "domain": "BACKWARD_TRANSITIVE",
    "notification": "BACKWARD",
}
"""What holds within a major version, by the kind of event: a history must stay readable for its own service; a
contract must hold for readers and writers of any age; a notification is read once, soon."""


class Stated(Struct, frozen=True):
    """The schema of an event type as its service declares it. Without a kind the registry's own level holds.

    ``alone``: its service publishes nothing else on its topic, so that the topic's name finds it too.
    """

    declaration: Declaration
    subject: str
    schema: Schema
    owner: str
    level: Level | None
    alone: bool = False


def stated_by(service: str, published: Iterable[Declaration]) -> Iterator[Stated]:
    """What a service says about the types that it publishes. Raises ``DefinitionError`` for one that has no schema.

    Those of a topic that is not ours are left out, unless their records name a schema, or they name its subject. Domain
    events stand in a context of their service's own, so that nobody else finds them, and their history can be read
    after the class has changed.
    """
    published = tuple(published)
    newest: dict[str, dict[str, int]] = {}
    for each in published:
        there = newest.setdefault(each.topic, {})
        there[each.wire_name] = max(each.version, there.get(each.wire_name, 0))
    for declaration in published:
        if not _is_stated(declaration):
            continue
        yield Stated(
            declaration,
            subject_of(declaration),
            owned_schema(declaration, service),
            service,
            LEVELS.get(declaration.kind or ""),
            alone=newest[declaration.topic] == {declaration.wire_name: declaration.version},
        )


def _is_stated(declaration: Declaration) -> bool:
    plain = declaration.schema_id is None and declaration.format == "json" and declaration.subject == "record"
    return declaration.kind is not None or not plain


async def registered(stated: Stated, registry: SchemaRegistry) -> Registered:
    """Register a schema; with its first version the level of its kind is set.

    What is alone on its topic is found by the topic's name as well, where that is not a subject of its own.

    Raises ``RegistryRefused`` where it is not compatible, or its subject belongs to another service.
    """
    if await owned(stated, registry) is None and stated.level is not None:
        # Every instance that the writer writes is to be read: fields may come and go in an event.
        await registry.set_level(stated.subject, stated.level, "LENIENT")
    found = await registry.register(stated.subject, stated.schema)
    try:
        await _found_by_topic(stated, registry)
    except RegistryRefused as refused:
        # Whoever looks for it there looks in vain, as in a registry that knows no such names. That stops nobody.
        log.info("%s is not found by the name of its topic: %s", stated.subject, refused.what)
    return found


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


async def stands(stated: Stated, latest: Registered | None, registry: SchemaRegistry) -> bool:
    """Whether a schema is registered already, also where other clients did that, in their spelling of it."""
    # Equal to the last one, as nearly always: nobody need understand it.
    if latest is None or latest.schema.text == stated.schema.text:
        return latest is not None
    bare = replace(stated.schema, metadata=None)
    return await registry.lookup(stated.subject, bare, normalize=True) is not None


async def owned(stated: Stated, registry: SchemaRegistry) -> Registered | None:
    """The last version of a subject, if there is one. Raises ``RegistryRefused`` where it is another service's."""
    latest = await registry.version(stated.subject, "latest")
    properties = (latest.schema.metadata or {}).get("properties") if latest is not None else None
    owner = properties.get(OWNER) if isinstance(properties, dict) else None
    if owner not in (None, stated.owner):
        raise RegistryRefused(
            f"the subject {stated.subject!r} belongs to the service {owner!r}",
            409,
            where=f"{stated.declaration.label}, published by {stated.owner!r}",
            why="a type has one owner, who alone may change it",
            remedy="give the type a namespace= or a name= of its own",
        )
    return latest
