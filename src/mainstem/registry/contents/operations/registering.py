"""A schema becomes a version of a subject."""

from typing import ClassVar

from msgspec import Struct
from msgspec.structs import replace

from mainstem.registry.contents.comparing import counting, rule_for
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


class Register(Struct, frozen=True, tag=True):
    """Make a schema a version of a subject. The one it is already is the answer, if the subject has it.

    ``id`` and ``version`` are chosen by the caller, in mode IMPORT only.
    """

    answer: ClassVar[type[Version]] = Version

    subject: str
    schema: Schema
    normalize: bool = False
    id: int | None = None
    version: int | None = None

    def apply(self, contents: Contents, at_ms: int) -> Version:
        """Register it; ``at_ms`` is the time. Raises RegistryError 40901, 42201, 42205, 42207, 42208, 42209."""
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
        if mode != "IMPORT":
            earlier = counting(contents.tables, name, config)
            found = rule_for(contents.tables, name, config, new, earlier, contents.limits).comparison(linked)
            if not found.compatible:
                raise incompatible(str(name), found.messages)
        return self._write(contents, name, new, at_ms)

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
