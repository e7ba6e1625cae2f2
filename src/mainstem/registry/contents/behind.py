"""Which subjects stand behind a schema: what it refers to, itself or through others."""

from mainstem.registry.contents.contents import Contents, Identified
from mainstem.registry.contents.references import reached
from mainstem.registry.contents.tables import Name, Version, split, subject_named
from mainstem.schemas.documents import Schema


def behind(contents: Contents, found: Identified | Version) -> list[str]:
    """The subjects behind what was found."""
    owner = Name(found.context, "") if isinstance(found, Identified) else split(found.subject)
    return sorted(map(str, reached(contents.tables, found.schema, owner, contents.limits)))


def behind_new(contents: Contents, subject: str, schema: Schema) -> list[str]:
    """The subjects that would stand behind a schema of this subject, which may be an alias. Raises RegistryError 42208.

    A name without a context means that of the subject, and not that of its alias.
    """
    owner = contents.configured.aliased(subject_named(subject))
    return sorted(map(str, reached(contents.tables, schema, owner, contents.limits)))
