"""What a record says of the schema of its payload, where its declaration wants that: known before the first event."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from msgspec import Struct

from mainstem.errors import DefinitionError
from mainstem.events import Declaration
from mainstem.schemas.formats import schema_of
from mainstem.schemas.framing import ID_HEADERS, guid_header, id_prefix
from mainstem.schemas.registries.locked import LOCK_NAME, LockFile
from mainstem.schemas.subjects import subject_of

_FIRST_MESSAGE: Final = (0,)
_NOBODYS_GUID: Final = str(UUID(int=0))


class SchemaMark(Struct, frozen=True):
    """What stands before the payload of each record of a type, and in its headers; mostly neither."""

    prefix: bytes = b""
    headers: Mapping[str, bytes] = {}


def mark_of(declaration: Declaration, lock: LockFile) -> SchemaMark:
    """The mark of a type whose schema is locked.

    Raises ``DefinitionError`` for one that wants an id, and whose schema, as it is now, has none in the lock file.
    """
    if declaration.schema_id is None:
        return SchemaMark()
    subject = subject_of(declaration)
    locked = lock.find(subject, schema_of(declaration))
    if locked is None:
        raise DefinitionError(
            f"{declaration.wire_name} is to carry the id of its schema, and nobody knows that",
            where=declaration.label,
            why=f"{LOCK_NAME} has no entry of the subject {subject!r} with the schema as it is now",
            remedy="register it, and commit the lock file; or leave schema_id= out",
        )
    if declaration.schema_id == "header" and locked.guid is None:
        raise DefinitionError(
            f"the schema of {declaration.wire_name} has no GUID",
            where=declaration.label,
            why="it was registered in a registry that gives none, and the header carries one",
            remedy='write schema_id="prefix"',
        )
    return _mark(declaration, locked.id, locked.guid or _NOBODYS_GUID)


def mark_in_play(declaration: Declaration) -> SchemaMark:
    """The mark in play, where nothing is registered: an id, or a GUID, that is never given, 0."""
    return _mark(declaration, 0, _NOBODYS_GUID)


def _mark(declaration: Declaration, schema_id: int, guid: str) -> SchemaMark:
    if declaration.schema_id is None:
        return SchemaMark()
    indexes = _FIRST_MESSAGE if declaration.format == "protobuf" else ()
    if declaration.schema_id == "header":
        return SchemaMark(headers={ID_HEADERS["value"]: guid_header(guid, indexes)})
    return SchemaMark(id_prefix(schema_id, indexes))
