"""The schemas of the events that a service publishes, each with its subject and the level that holds for it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from mainstem.errors import RegistryRefused
from mainstem.events import Declaration
from mainstem.schemas import schema_of, subject_of
from mainstem.schemas.compatibility import Level
from mainstem.schemas.documents import Schema
from mainstem.schemas.registries import Registered, SchemaRegistry

LEVELS: Final[Mapping[str, Level]] = {
    "integration": "FULL_TRANSITIVE",
    "domain": "BACKWARD_TRANSITIVE",
    "notification": "BACKWARD",
}
"""What holds within a major version, by the kind of event: a history must stay readable for its own service; a
contract must hold for readers and writers of any age; a notification is read once, soon."""

OWNER: Final = "mainstem.owner"
"""The property of a schema that names the service to which its subject belongs."""


class Stated(Struct, frozen=True):
    """The schema of an event type as its service declares it. Without a kind the registry's own level holds."""

    declaration: Declaration
    subject: str
    schema: Schema
    owner: str
    level: Level | None


def stated_by(service: str, published: Iterable[Declaration]) -> Iterator[Stated]:
    """What a service says about the types that it publishes. Raises ``DefinitionError`` for one that has no schema.

    Those of a topic that is not ours are left out, unless their records name a schema. Domain events stand in a context
    of their service's own, so that nobody else finds them, and their history can be read after the class has changed.
    """
    for declaration in published:
        if declaration.kind is None and declaration.schema_id is None and declaration.format == "json":
            continue
        subject = subject_of(declaration)
        private = declaration.kind == "domain"
        yield Stated(
            declaration,
            f":.{service}:{subject}" if private else subject,
            _owned(schema_of(declaration), service),
            service,
            LEVELS.get(declaration.kind or ""),
        )


def _owned(schema: Schema, service: str) -> Schema:
    metadata = dict(schema.metadata or {})
    properties = metadata.get("properties")
    return replace(
        schema,
        metadata={**metadata, "properties": {**(properties if isinstance(properties, dict) else {}), OWNER: service}},
    )


async def registered(stated: Stated, registry: SchemaRegistry) -> Registered:
    """Register a schema; with its first version the level of its kind is set.

    Raises ``RegistryRefused`` where it is not compatible, or its subject belongs to another service.
    """
    if await owned(stated, registry) is None and stated.level is not None:
        # Every instance that the writer writes is to be read: fields may come and go in an event.
        await registry.set_level(stated.subject, stated.level, "LENIENT")
    return await registry.register(stated.subject, stated.schema)


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
