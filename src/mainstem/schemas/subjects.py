"""Under which name the schema of a type stands in a registry, and that it says whose it is."""

from typing import Final

from msgspec.structs import replace

from mainstem.events import Declaration
from mainstem.schemas.documents import Schema
from mainstem.schemas.formats import schema_of

OWNER: Final = "mainstem.owner"
"""The property of a schema that names the service to which its subject belongs."""

_SINCE: Final = "mainstem.owner-since"


def subject_of(declaration: Declaration) -> str:
    """The subject of a type's payload, by the strategy that it states.

    Each major version from the second on has one of its own, ``shop.paid.v2``, but where the topic alone names it.
    ``topic`` and ``topic-record`` are what other clients of a registry call TopicNameStrategy and
    TopicRecordNameStrategy. Domain events stand in a context of their service, so that nobody else finds them.
    """
    suffix = f".v{declaration.version}" if declaration.version > 1 else ""
    record = declaration.wire_name + suffix
    named = {
        "record": record,
        "topic": topic_subject(declaration),
        "topic-record": f"{declaration.topic}-{record}",
    }
    return context_of(declaration) + named[declaration.subject]


def topic_subject(declaration: Declaration) -> str:
    """The name under which other clients look for the schema of a topic's values."""
    return f"{declaration.topic}-value"


def context_of(declaration: Declaration) -> str:
    """What stands before the subject of a domain event; of all others nothing does."""
    return f":.{declaration.service}:" if declaration.kind == "domain" else ""


def owned_schema(declaration: Declaration, service: str) -> Schema:
    """The schema of a type as its service registers it: it says whose it is. Raises as ``schema_of`` does."""
    return owned_by(schema_of(declaration), service)


def owned_by(schema: Schema, service: str, *, since: int | None = None) -> Schema:
    """The same schema, saying that it is this service's; ``since`` a version, where it was that before."""
    metadata = dict(schema.metadata or {})
    properties = metadata.get("properties")
    said = {**(properties if isinstance(properties, dict) else {}), OWNER: service}
    said.pop(_SINCE, None)
    if since is not None:
        said[_SINCE] = str(since)
    return replace(schema, metadata={**metadata, "properties": said})
