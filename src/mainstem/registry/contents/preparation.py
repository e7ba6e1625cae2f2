"""From a schema as somebody has written it to the one that is stored, and the version that it is already."""

from msgspec.structs import replace

from mainstem.errors import SchemaRefused
from mainstem.registry.contents.references import resolved, settled
from mainstem.registry.contents.tables import (
    Limits,
    Name,
    StoredVersion,
    Tables,
    Version,
    guid_of,
    refused_as,
    too_large,
)
from mainstem.schemas.documents import Schema
from mainstem.schemas.formats import grammar_of


class Preparation:
    """What is done to a schema before it is looked for or registered."""

    def __init__(self, tables: Tables, limits: Limits) -> None:
        self._tables = tables
        self._limits = limits

    def prepared(self, name: Name, schema: Schema, *, normalize: bool) -> Schema:
        """A schema as it is stored: references by number, the text plain or in normal form.

        Raises RegistryError 42201 where that cannot be, and 42209.
        """
        written = (schema.text, *(each.name for each in schema.references))
        if sum(len(each.encode("utf-8", "surrogatepass")) for each in written) > self._limits.schema_bytes:
            raise too_large(
                f"The schema, with the names of its references, is larger than {self._limits.schema_bytes} bytes"
            )
        if len(schema.references) > self._limits.references:
            raise too_large(f"The schema has more than {self._limits.references} references")
        found = settled(self._tables, schema, name)
        try:
            grammar = grammar_of(found.format)
            if normalize:
                text = grammar.normal(found, resolved(self._tables, found, name, self._limits))
            else:
                text = grammar.plain(found)
        except SchemaRefused as refused:
            raise refused_as(refused) from refused
        return replace(found, text=text)

    def check(self, name: Name, schema: Schema) -> None:
        """Raise RegistryError 42201 for a prepared schema that is none."""
        try:
            grammar_of(schema.format).check(schema, resolved(self._tables, schema, name, self._limits))
        except SchemaRefused as refused:
            raise refused_as(refused) from refused

    def match(self, name: Name, schema: Schema, *, normalize: bool, loosely: bool, deleted: bool) -> Version | None:
        """The newest version of a subject that a prepared schema is, if there is one.

        With ``normalize`` texts are compared in normal form. ``loosely`` one without metadata and rules is any with the
        same text and references.
        """
        number = self._tables.id_of(name.context, guid_of(schema))
        exact = [] if number is None else list(self._tables.versions_of(name, number))
        for version, stored in reversed(exact):
            if deleted or not stored.deleted:
                return version_of(self._tables, name, version, stored)
        bare = loosely and schema.metadata is None and schema.rule_set is None
        if not bare and not normalize:
            return None
        for version, stored in reversed(list(self._tables.versions(name))):
            if deleted or not stored.deleted:
                found = version_of(self._tables, name, version, stored)
                if self._is(found.schema, schema, bare=bare, normalize=normalize, name=name):
                    return found
        return None

    def _is(self, stored: Schema, schema: Schema, *, bare: bool, normalize: bool, name: Name) -> bool:
        if stored.format != schema.format or stored.references != schema.references:
            return False
        other = replace(stored, metadata=None, rule_set=None) if bare else stored
        if normalize:
            other = self.prepared(name, other, normalize=True)
        return other == schema


def version_of(tables: Tables, name: Name, number: int, stored: StoredVersion) -> Version:
    """A version with its schema."""
    found = tables.stored(name.context, stored.id)
    assert found is not None, "a version's schema stays as long as the version"
    assert found.schema is not None, "a version's schema stays as long as the version"
    return Version(str(name), number, stored.id, found.guid, found.schema, stored.timestamp_ms, stored.deleted)


def newest_of(tables: Tables, name: Name) -> Version | None:
    """The last version of a subject that is not deleted."""
    live = [each for each in tables.versions(name) if not each[1].deleted]
    return version_of(tables, name, *live[-1]) if live else None
