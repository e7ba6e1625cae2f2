"""In which bytes the events of a type travel, where the id of their schema stands, and where that is registered."""

from typing import Final, Literal, TypeAlias, get_args

from mainstem.errors import DefinitionError

EventFormat: TypeAlias = Literal["json", "avro", "protobuf"]
"""The format of a payload."""

SchemaId: TypeAlias = Literal["prefix", "header"]
"""Where the id of a schema stands: before the payload (0, and four bytes), or in a header (as a GUID)."""

SubjectStrategy: TypeAlias = Literal["record", "topic", "topic-record"]
"""How the subject of a schema is named: after its type; after its topic, which then has one type; or after both."""

_FORMATS: Final = get_args(EventFormat)
_STRATEGIES: Final = get_args(SubjectStrategy)
_PLACES: Final = (None, *get_args(SchemaId))


def check_form(form: object, schema_id: object, subject: object, where: str) -> None:
    """Raise ``DefinitionError`` for a format that is not known, a place of an id, or a way to name a subject."""
    if form not in _FORMATS:
        raise DefinitionError(
            f"format={form!r} is not known", where=where, remedy='write "json" (the default), "avro" or "protobuf"'
        )
    if schema_id not in _PLACES:
        raise DefinitionError(
            f"schema_id={schema_id!r} is not a place for the id of a schema",
            where=where,
            remedy='write "prefix" (before the payload) or "header", or leave it out',
        )
    if subject not in _STRATEGIES:
        raise DefinitionError(
            f"subject={subject!r} is not a way to name the subject of a schema",
            where=where,
            remedy='write "record" (the default: the name of the type), "topic" or "topic-record"',
        )
