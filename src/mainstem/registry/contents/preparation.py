"""From a schema as somebody has written it to the one that is stored, and the version that it is already."""

from collections.abc import Callable, Iterable, Iterator

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
from mainstem.schemas.formats import Linked, grammar_of


class Preparation:
    """What is done to a schema before it is looked for or registered."""

    def __init__(self, tables: Tables, limits: Limits) -> None:
        self._tables = tables
        self._limits = limits

    def prepared(self, name: Name, schema: Schema, *, normalize: bool) -> Schema:
        """A schema as it is stored: references by number, the text plain or in normal form.

        Raises RegistryError 42201 where that cannot be, and 42209.
        """
        found = self._settled(name, schema)
        links = resolved(self._tables, found, name, self._limits) if normalize else {}
        return written(Linked(found, links), normalize=normalize)

    def gathered(self, name: Name, schema: Schema) -> Linked:
        """A schema as it was written, and all that it refers to: what is done to it then needs no registry.

        Raises RegistryError 42201 for references that lead nowhere, and 42209.
        """
        found = self._settled(name, schema)
        return Linked(found, resolved(self._tables, found, name, self._limits))

    def _settled(self, name: Name, schema: Schema) -> Schema:
        told = (schema.text, *(each.name for each in schema.references))
        if sum(len(each.encode("utf-8", "surrogatepass")) for each in told) > self._limits.schema_bytes:
            raise too_large(
                f"The schema, with the names of its references, is larger than {self._limits.schema_bytes} bytes"
            )
        if len(schema.references) > self._limits.references:
            raise too_large(f"The schema has more than {self._limits.references} references")
        return settled(self._tables, schema, name)

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
        if not normalize and not (loosely and _is_bare(schema)):
            return None
        versions = self._newest_first(name, deleted=deleted)
        if normalize:
            return _same(schema, self._gathered(name, versions), loosely=loosely)
        return _same(schema, ((each, None) for each in versions), loosely=loosely)

    def searching(self, name: Name, schema: Schema, *, deleted: bool) -> Callable[[], Version | None]:
        """What looks for it, loosely and in normal form, when it is called: from any thread."""
        asked = self.gathered(name, schema)
        versions = list(self._gathered(name, self._newest_first(name, deleted=deleted)))

        def found() -> Version | None:
            wanted = written(asked, normalize=True)
            guid = guid_of(wanted)
            exact = next((each for each, _ in versions if each.guid == guid), None)
            return exact or _same(wanted, versions, loosely=True)

        return found

    def _newest_first(self, name: Name, *, deleted: bool) -> Iterator[Version]:
        for number, stored in reversed(list(self._tables.versions(name))):
            if deleted or not stored.deleted:
                yield version_of(self._tables, name, number, stored)

    def _gathered(self, name: Name, versions: Iterable[Version]) -> Iterator[tuple[Version, Linked]]:
        return ((each, self.gathered(name, each.schema)) for each in versions)


def _same(schema: Schema, versions: Iterable[tuple[Version, Linked | None]], *, loosely: bool) -> Version | None:
    """The first version that is this schema; those that come with what they refer to, in normal form."""
    bare = loosely and _is_bare(schema)
    for version, linked in versions:
        stored = version.schema
        if stored.format != schema.format or stored.references != schema.references:
            continue
        text = stored.text if linked is None else written(linked, normalize=True).text
        kept = replace(stored, text=text, **({"metadata": None, "rule_set": None} if bare else {}))
        if kept == schema:
            return version
    return None


def _is_bare(schema: Schema) -> bool:
    return schema.metadata is None and schema.rule_set is None


def written(linked: Linked, *, normalize: bool) -> Schema:
    """A gathered schema with its text as it is stored: plain, or in normal form. Raises RegistryError 42201."""
    grammar = grammar_of(linked.schema.format)
    try:
        text = grammar.normal(linked.schema, linked.resolved) if normalize else grammar.plain(linked.schema)
    except SchemaRefused as refused:
        raise refused_as(refused) from refused
    return replace(linked.schema, text=text)


def check(linked: Linked) -> None:
    """Raise RegistryError 42201 for what is no schema."""
    try:
        grammar_of(linked.schema.format).check(linked.schema, linked.resolved)
    except SchemaRefused as refused:
        raise refused_as(refused) from refused


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
