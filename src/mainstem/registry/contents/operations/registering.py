"""A schema becomes a version of a subject."""

from collections.abc import Callable
from typing import ClassVar, Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from mainstem.registry.contents.comparing import Compared, Rule, counting, rule_for
from mainstem.registry.contents.contents import Contents
from mainstem.registry.contents.operations.contracts import completed
from mainstem.registry.contents.preparation import check, newest_of, version_of
from mainstem.registry.contents.references import targets
from mainstem.registry.contents.tables import (
    LARGEST_NUMBER,
    Mode,
    Name,
    Stored,
    StoredSubject,
    StoredVersion,
    Version,
    free_id,
    guid_of,
    incompatible,
    invalid_schema,
    invalid_version,
    not_permitted,
    other_id,
    subject_named,
)
from mainstem.schemas.documents import Schema
from mainstem.schemas.formats import Linked

COMPARED_APART: Final = 20
"""A subject of so many versions is worth comparing with before the registry is asked to register."""


class Register(Struct, frozen=True, tag=True):
    """Make a schema a version of a subject. The one it is already is the answer, if the subject has it.

    ``id`` and ``version`` are chosen by the caller, in mode IMPORT only. Who has ``compared`` it spares the registry
    that, as far as nothing has changed since.
    """

    answer: ClassVar[type[Version]] = Version

    subject: str
    schema: Schema
    normalize: bool = False
    id: int | None = None
    version: int | None = None
    compared: Compared | None = None

    def apply(self, contents: Contents, at_ms: int) -> Version:
        """Register it; ``at_ms`` is the time. Raises RegistryError 40901, 42201, 42205, 42207, 42208, 42209."""
        found = self._looked_at(contents)
        if isinstance(found, Version):
            return found
        if found.rule is not None:
            _check_follows(found.name, found.new, found.rule.left(found.new, self.compared))
        return self._write(contents, found.name, found.new.schema, at_ms)

    def has_many(self, contents: Contents) -> bool:
        """Whether there may be much to compare it with."""
        name = contents.configured.aliased(subject_named(self.subject))
        if contents.tables.subject(name).live < COMPARED_APART:
            return False
        return contents.configured.config_for(str(name)).level.endswith("_TRANSITIVE")

    def comparing(self, contents: Contents) -> "Callable[[], Register]":
        """Compares it, when that is called, from any thread, with the registry as it is now; gives it as compared.

        Raises as :meth:`apply`, and so does what it gives.
        """
        found = self._looked_at(contents)
        if isinstance(found, Version) or (rule := found.rule) is None:
            return lambda: self
        name, new = found.name, found.new

        def compared() -> Register:
            _check_follows(name, new, rule)
            return replace(self, compared=rule.compared(new, len(rule.versions)))

        return compared

    def _looked_at(self, contents: Contents) -> "_Candidate | Version":
        """What would be registered, and by which rule; or what it is already."""
        name = contents.configured.aliased(subject_named(self.subject))
        config = contents.configured.config_for(str(name))
        normalize = self.normalize or config.normalize is True
        asked = contents.preparation.prepared(name, self.schema, normalize=normalize)
        before = newest_of(contents.tables, name)
        new = completed(asked, None if before is None else before.schema, config, contents.limits)
        known = contents.preparation.match(name, new, normalize=normalize, loosely=False, deleted=False)
        if known is not None and self.id in (None, known.id) and self.version in (None, known.version):
            return known
        mode = self._check_mode(contents, name)
        linked = contents.preparation.gathered(name, new)
        check(linked)
        if mode == "IMPORT":
            return _Candidate(name, linked, None)
        earlier = counting(contents.tables, name, config)
        return _Candidate(name, linked, rule_for(contents.tables, name, config, new, earlier, contents.limits))

    def _check_mode(self, contents: Contents, name: Name) -> Mode:
        mode = contents.configured.check_writable(str(name))
        if self.id is not None and mode != "IMPORT":
            raise not_permitted(f"Subject {name} is not in import mode")
        if self.id is None and mode == "IMPORT":
            raise not_permitted(f"Subject {name} is in import mode, and a schema needs an id")
        if self.id is not None and not 1 <= self.id <= LARGEST_NUMBER:
            raise invalid_schema(f"{self.id} is no id")
        return mode

    def _write(self, contents: Contents, name: Name, schema: Schema, at_ms: int) -> Version:
        tables, guid = contents.tables, guid_of(schema)
        subject = tables.subject(name)
        number = self._number(contents, name, subject)
        given = self._id(contents, name, guid)
        tables.store(name.context, given, Stored(guid, schema))
        for target in targets(schema, name):
            tables.links.refer(*target, (name.context, given))
        stored = StoredVersion(given, at_ms)
        tables.put_version(name, number, stored)
        tables.put_subject(name, replace(subject, last=max(number, subject.last), live=subject.live + 1))
        return version_of(tables, name, number, stored)

    def _number(self, contents: Contents, name: Name, subject: StoredSubject) -> int:
        if self.version is None:
            if subject.last >= LARGEST_NUMBER:
                raise not_permitted(f"Subject {name} has the last version that there can be")
            return subject.last + 1
        if not 1 <= self.version <= LARGEST_NUMBER:
            raise invalid_version(self.version)
        mode = contents.configured.mode_for(str(name))
        if mode != "IMPORT" and self.version != subject.last + 1:
            raise invalid_schema(f"Version {self.version} is not one more than the latest version {subject.last}")
        if contents.tables.version(name, self.version) is not None:
            raise not_permitted(f"Subject {name} has a version {self.version} already")
        return self.version

    def _id(self, contents: Contents, name: Name, guid: str) -> int:
        """The id of a content: the one it has had before, or the one that is asked for, or the next."""
        known = contents.tables.id_of(name.context, guid)
        if known is not None:
            if self.id not in (None, known):
                raise other_id(self.id or 0, known)
            return known
        if self.id is None:
            return free_id(contents.rows, name.context)
        if contents.tables.stored(name.context, self.id) is not None:
            raise not_permitted(f"Overwrite new schema with id {self.id} is not permitted.")
        return self.id


class _Candidate(NamedTuple):
    """A schema that is new to its subject, with all that it is judged by; without a rule any may follow."""

    name: Name
    new: Linked
    rule: Rule | None


def _check_follows(name: Name, new: Linked, rule: Rule) -> None:
    """Raise RegistryError 40901 for a schema that may not follow."""
    found = rule.comparison(new)
    if not found.compatible:
        raise incompatible(str(name), found.messages)
