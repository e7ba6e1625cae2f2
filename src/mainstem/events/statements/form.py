"""In which bytes the events of a type travel, and where the id of their schema stands."""

from typing import Final, Literal, TypeAlias, get_args

from mainstem.errors import DefinitionError

EventFormat: TypeAlias = Literal["json", "avro", "protobuf"]
"""The format of a payload."""

SchemaId: TypeAlias = Literal["prefix", "header"]
"""Where the id of a schema stands: before the payload (0, and four bytes), or in a header (as a GUID)."""

_FORMATS: Final = get_args(EventFormat)
_PLACES: Final = (None, *get_args(SchemaId))


def check_form(form: object, schema_id: object, where: str) -> None:
    """Raise ``DefinitionError`` for a format that is not known, or a place of an id that is not."""
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
