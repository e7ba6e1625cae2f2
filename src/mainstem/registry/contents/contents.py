"""What a registry has, for who asks: a view of rows, and nothing that waits."""

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Final, NamedTuple

from mainstem.registry.contents.comparing import Comparison, counting, rule_for
from mainstem.registry.contents.configured import Configured
from mainstem.registry.contents.preparation import Preparation, check, version_of, written
from mainstem.registry.contents.references import resolved
from mainstem.registry.contents.tables import (
    DEFAULT,
    LARGEST_NUMBER,
    Limits,
    Name,
    Prefix,
    Rows,
    Shown,
    StoredSubject,
    Tables,
    Version,
    invalid_version,
    is_qualified,
    prefix_of,
    split,
    subject_named,
    unknown_schema,
    unknown_subject,
    unknown_version,
)
from mainstem.schemas.documents import Schema
from mainstem.schemas.formats import Linked, formatted

LATEST: Final = "latest"


class Identified(NamedTuple):
    """A schema by its id in a context."""

    context: str
    id: int
    guid: str
    schema: Schema


class Contents:
    """The contents of a registry as rows have them. Subjects may be written with their context, or be aliases.

    Every method raises :class:`RegistryError` for what is not there or cannot be; what comes in an order comes one by
    one, so that a page costs what it shows.
    """

    def __init__(self, rows: Rows, limits: Limits | None = None) -> None:
        self.rows = rows
        self.limits = limits or Limits()
        self.tables = Tables(rows)
        self.configured = Configured(self.tables)
        self.preparation = Preparation(self.tables, self.limits)

    # -- by id

    def schema(self, number: int, subject: str = "") -> Identified:
        """What an id stands for, in the context of ``subject``; 40403.

        An unqualified subject that has no such id in the default context is looked for in the others.
        """
        context = self._context_of(number, subject)
        stored = self.tables.stored(context, number)
        if stored is None or stored.schema is None:
            raise unknown_schema(str(number))
        return Identified(context, number, stored.guid, stored.schema)

    def highest_id(self, subject: str = "") -> int:
        """The highest id that was given out in the context of ``subject``; 0 before the first."""
        return self.tables.highest_id(self._context(subject))

    def uses(self, number: int, subject: str = "", *, shown: Shown = "live") -> Iterator[tuple[str, int]]:
        """The subjects and versions that have an id; 40403 for one that stands for nothing."""
        found = self.schema(number, subject)
        wanted = self.configured.aliased(subject_named(subject)) if split(subject).subject else None
        for name, version in self.tables.uses(found.context, number):
            stored = self.tables.version(name, version)
            if stored is not None and _is_shown(stored.deleted, shown) and wanted in (None, name):
                yield str(name), version

    def by_guid(self, guid: str) -> Identified:
        """What a GUID stands for, in whichever context; 40403."""
        for context, number in self.tables.ids_of(guid.lower()):
            stored = self.tables.stored(context, number)
            if stored is not None and stored.schema is not None:
                return Identified(context, number, stored.guid, stored.schema)
        raise unknown_schema(guid)

    def ids_of(self, guid: str) -> Iterator[tuple[str, int]]:
        """The contexts in which a GUID stands for something, and its ids there; 40403."""
        self.by_guid(guid)
        for context, number in self.tables.ids_of(guid.lower()):
            stored = self.tables.stored(context, number)
            if stored is not None and stored.schema is not None:
                yield context, number

    # -- by subject

    def contexts(self, prefix: str = "") -> Iterator[str]:
        """The contexts, the default one first and always."""
        return (each for each in self.tables.contexts() if each.startswith(prefix))

    def subjects(self, prefix: str = ":*:", *, shown: Shown = "live") -> Iterator[str]:
        """The subjects whose names begin so, by context and name; a context may be said, or ``:*:`` for all."""
        for name, stored in self.tables.subjects(prefix_of(prefix)):
            if _has(stored, shown):
                yield str(name)

    def schemas(
        self, prefix: str = ":*:", *, shown: Shown = "live", latest_only: bool = False, aliases: bool = False
    ) -> Iterator[Version]:
        """All versions of these subjects, or the last one of each; with ``aliases`` also of whatever one stands for."""
        for name, stored in chain(self.tables.subjects(prefix_of(prefix)), self._aliased(prefix) if aliases else ()):
            if _has(stored, shown):
                found = (each for each in self.tables.versions(name) if _is_shown(each[1].deleted, shown))
                yield from (
                    version_of(self.tables, name, *each) for each in (list(found)[-1:] if latest_only else found)
                )

    def versions(self, subject: str, *, shown: Shown = "live") -> Iterator[int]:
        """The numbers of a subject's versions; 40401 where there is no such subject."""
        name = self._subject(subject, "live" if shown == "live" else "all")
        return (number for number, stored in self.tables.versions(name) if _is_shown(stored.deleted, shown))

    def version(self, subject: str, version: int | str, *, deleted: bool = False) -> Version:
        """A version by its number, or the last one by ``latest`` or -1; 40401, 40402, 42202."""
        number = version_number(version)
        shown: Shown = "all" if deleted else "live"
        name = self._subject(subject, shown)
        if number is None:
            *_, last = (each for each in self.tables.versions(name) if _is_shown(each[1].deleted, shown))
            return version_of(self.tables, name, *last)
        stored = self.tables.version(name, number)
        if stored is None or not _is_shown(stored.deleted, shown):
            raise unknown_version(number)
        return version_of(self.tables, name, number, stored)

    def referenced_by(
        self, subject: str, version: int | str, *, shown: Shown = "live", sees: Callable[[str], bool] | None = None
    ) -> Iterator[int]:
        """The ids of the schemas that refer to a version, as far as a subject that is seen has them; 40401, 40402."""
        found = self.version(subject, version, deleted=True)
        for context, number in self.tables.links.users(subject_named(found.subject), found.version):
            for use in self.tables.uses(context, number):
                stored = self.tables.version(*use)
                seen = sees is None or sees(str(use[0]))
                if stored is not None and _is_shown(stored.deleted, shown) and seen:
                    yield number
                    break

    def with_metadata(self, subject: str, properties: Mapping[str, str], *, deleted: bool = False) -> Version:
        """The last version whose metadata has these properties; 40401, 40402."""
        shown: Shown = "all" if deleted else "live"
        name = self._subject(subject, shown)
        for number, stored in reversed(list(self.tables.versions(name))):
            if _is_shown(stored.deleted, shown):
                found = version_of(self.tables, name, number, stored)
                said = (found.schema.metadata or {}).get("properties")
                if isinstance(said, dict) and properties.items() <= said.items():
                    return found
        raise unknown_version(-1)

    def find(self, subject: str, schema: Schema, *, normalize: bool = False, deleted: bool = False) -> Version:
        """The version of a subject that is this schema; 40401, and 40403 where the subject does not have it.

        A schema without metadata and rules is looked for by the rest alone, newest first.
        """
        return self.finding(subject, schema, normalize=normalize, deleted=deleted)()

    def finding(
        self, subject: str, schema: Schema, *, normalize: bool = False, deleted: bool = False
    ) -> Callable[[], Version]:
        """What finds it, when it is called: from any thread, in the registry as it is now.

        Where that writes nothing anew it has been found by then.
        """
        name = self._subject(subject, "all" if deleted else "live")
        if normalize or self.configured.config_for(str(name)).normalize is True:
            search = self.preparation.searching(name, schema, deleted=deleted)
        else:
            wanted = self.preparation.prepared(name, schema, normalize=False)
            same = self.preparation.match(name, wanted, normalize=False, loosely=True, deleted=deleted)

            def search() -> Version | None:
                return same

        def found() -> Version:
            version = search()
            if version is None:
                raise unknown_schema()
            return version

        return found

    def comparing(
        self, subject: str, schema: Schema, version: int | str | None = None, *, normalize: bool = False
    ) -> Callable[[], Comparison]:
        """Whether a schema may follow one version of a subject, or without one those that its level asks for.

        A subject without versions takes any schema; a version that is not there is 40402 or 40401. What is returned
        compares, when it is called: from any thread, with the registry as it is now.
        """
        name = self.configured.aliased(subject_named(subject))
        config = self.configured.config_for(str(name))
        asked = self.preparation.gathered(name, schema)
        if version is not None:
            earlier = [self.version(subject, version)]
        else:
            earlier = counting(self.tables, name, config)
        rule = rule_for(self.tables, name, config, asked.schema, earlier, self.limits)
        normal = normalize or config.normalize is True

        def compared() -> Comparison:
            new = Linked(written(asked, normalize=normal), asked.resolved)
            check(new)
            return rule.comparison(new)

        return compared

    def _aliased(self, prefix: str) -> Iterator[tuple[Name, StoredSubject]]:
        """The subjects that have an alias that begins so, and do not begin so themselves."""
        wanted = prefix_of(prefix)
        found = {
            self.configured.aliased(name)
            for name in (split(written) for written, _ in self.configured.aliases())
            if name.subject and _begins(name, wanted)
        }
        return ((name, self.tables.subject(name)) for name in sorted(found) if not _begins(name, wanted))

    def _subject(self, subject: str, shown: Shown) -> Name:
        name = self.configured.aliased(subject_named(subject))
        if not _has(self.tables.subject(name), shown):
            raise unknown_subject(subject)
        return name

    def _context(self, subject: str) -> str:
        return prefix_of(subject).context or DEFAULT

    def _context_of(self, number: int, subject: str) -> str:
        context = self._context(subject)
        if not subject or is_qualified(subject) or self.tables.stored(context, number) is not None:
            return context
        for other in self.tables.contexts():
            if any(name.subject == subject for name, _ in self.tables.uses(other, number)):
                return other
        return context


def writing(contents: Contents, found: Identified | Version, wanted: str) -> Callable[[], str]:
    """What writes the text of what was found, when it is called, from any thread: in another form if there is one.

    Nothing wanted is the text as it is stored.
    """
    if not wanted:
        return lambda: found.schema.text
    where = f":{found.context}:" if isinstance(found, Identified) else found.subject
    links = resolved(contents.tables, found.schema, split(where), contents.limits)
    return lambda: formatted(Linked(found.schema, links), wanted)


def version_number(version: int | str) -> int | None:
    """The number of a version, None for the last one. Raises RegistryError 42202 for what is neither."""
    if version in (LATEST, -1, "-1"):
        return None
    try:
        number = int(version)
    except ValueError:
        raise invalid_version(version) from None
    if not 1 <= number <= LARGEST_NUMBER or str(number) != str(version):
        raise invalid_version(version)
    return number


def _begins(name: Name, prefix: Prefix) -> bool:
    return prefix.context in (None, name.context) and name.subject.startswith(prefix.beginning)


def _is_shown(deleted: bool, shown: Shown) -> bool:  # noqa: FBT001 - of a stored version
    return shown == "all" or deleted is (shown == "deleted")


def _has(subject: StoredSubject, shown: Shown) -> bool:
    """Whether a subject is one of those: one is deleted when all its versions are."""
    if shown == "live":
        return subject.live > 0
    if shown == "deleted":
        return subject.deleted > 0 and subject.live == 0
    return subject.live + subject.deleted > 0
