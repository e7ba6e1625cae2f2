"""The shapes of requests and answers, as they stand on the wire. What is not said is left out of an answer."""

from typing import Annotated, Final, TypeAlias

from msgspec import Meta, Struct
from msgspec.structs import replace

from mainstem.registry.contents import LARGEST_NUMBER, Identified, Mode, Version
from mainstem.schemas.documents import Metadata, Reference, RuleSet, Schema

Id: TypeAlias = Annotated[int, Meta(ge=1, le=LARGEST_NUMBER)]
AVRO: Final = "AVRO"


class SchemaRequest(Struct, rename="camel"):
    """A schema as it is sent. Without a type it is Avro; more fields may be there, and say nothing."""

    schema: str | None = None
    schema_type: str | None = None
    references: tuple[Reference, ...] | None = None
    metadata: Metadata | None = None
    rule_set: RuleSet | None = None
    id: int | None = None
    version: int | None = None


class ModeShape(Struct):
    """A mode."""

    mode: Mode


class ModeRequest(Struct):
    """A mode to be set."""

    mode: str = ""


class SchemaAnswer(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """What an id or a GUID stands for."""

    guid: str
    schema_type: str
    schema: str
    references: tuple[Reference, ...] = ()
    metadata: Metadata | None = None
    rule_set: RuleSet | None = None
    max_id: int | None = None


class VersionAnswer(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """A version of a subject. ``ts`` is when it was registered, in milliseconds since 1970."""

    subject: str
    version: Id
    id: Id
    guid: str
    schema_type: str
    schema: str
    references: tuple[Reference, ...] = ()
    metadata: Metadata | None = None
    rule_set: RuleSet | None = None
    ts: int
    deleted: bool = False


class RegisterAnswer(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """The id of what was registered; more for clients that say that they take what they do not know."""

    id: Id
    subject: str = ""
    version: int = 0
    guid: str = ""
    schema_type: str = ""
    schema: str = ""
    references: tuple[Reference, ...] = ()
    metadata: Metadata | None = None
    rule_set: RuleSet | None = None
    ts: int = 0


class SubjectVersion(Struct):
    """Where a schema is used."""

    subject: str
    version: Id


class ContextId(Struct):
    """The id of a schema in a context."""

    context: str
    id: Id


class Compatible(Struct, omit_defaults=True):
    """Whether a schema may follow; ``messages`` say why not, where that was asked for."""

    is_compatible: bool
    messages: list[str] | None = None


class Failure(Struct):
    """Every answer that is no success. The status is the first three digits of the code."""

    error_code: int
    message: str


def of_schema(found: Identified, text: str, max_id: int | None = None) -> SchemaAnswer:
    """What an id stands for, with its text as it was asked for."""
    schema = found.schema
    return SchemaAnswer(
        guid=found.guid,
        schema_type=schema.format,
        schema=text,
        references=schema.references,
        metadata=schema.metadata,
        rule_set=schema.rule_set,
        max_id=max_id,
    )


def of_version(found: Version, text: str) -> VersionAnswer:
    """A version, with its text as it was asked for."""
    schema = found.schema
    return VersionAnswer(
        subject=found.subject,
        version=found.version,
        id=found.id,
        guid=found.guid,
        schema_type=schema.format,
        schema=text,
        references=schema.references,
        metadata=schema.metadata,
        rule_set=schema.rule_set,
        ts=found.timestamp_ms,
        deleted=found.deleted,
    )


def of_registration(found: Version, asked: Schema, *, in_full: bool) -> RegisterAnswer:
    """What was registered. The schema is told, as it was sent, where something was added to it.

    A client remembers what it is told instead of what it has sent, and may have sent another form of the text.
    """
    if not in_full:
        return RegisterAnswer(id=found.id)
    answer = RegisterAnswer(
        id=found.id, subject=found.subject, version=found.version, guid=found.guid, ts=found.timestamp_ms
    )
    schema = found.schema
    if (schema.metadata, schema.rule_set) == (asked.metadata, asked.rule_set):
        return answer
    return replace(
        answer,
        schema_type=schema.format,
        schema=asked.text,
        references=schema.references,
        metadata=schema.metadata,
        rule_set=schema.rule_set,
    )
