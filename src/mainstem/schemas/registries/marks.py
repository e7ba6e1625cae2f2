"""The mark of a type whose schema is registered, by the committed lock file: known before the first event."""

from mainstem.errors import DefinitionError
from mainstem.events import Declaration
from mainstem.schemas.framing import SchemaMark, mark_with
from mainstem.schemas.registries.locked import LOCK_NAME, LockFile
from mainstem.schemas.subjects import owned_schema, subject_of


def mark_of(declaration: Declaration, service: str, lock: LockFile) -> SchemaMark:
    """The mark of a type that a service publishes, and whose schema is locked.

    Raises ``DefinitionError`` for one that wants an id, and whose schema, as it is now, has none in the lock file.
    """
    if declaration.schema_id is None:
        return SchemaMark()
    subject = subject_of(declaration)
    locked = lock.find(subject, owned_schema(declaration, service))
    if locked is None:
        raise DefinitionError(
            f"{declaration.wire_name} is to carry the id of its schema, and nobody knows that",
            where=declaration.label,
            why=f"{LOCK_NAME} has no entry of the subject {subject!r} with the schema as it is now",
            remedy="mainstem schema register MODULE:SERVICE, and commit the lock file; or leave schema_id= out",
        )
    if declaration.schema_id == "header" and locked.guid is None:
        raise DefinitionError(
            f"the schema of {declaration.wire_name} has no GUID",
            where=declaration.label,
            why="it was registered in a registry that gives none, and the header carries one",
            remedy='write schema_id="prefix"',
        )
    return mark_with(declaration, locked.id, locked.guid)
