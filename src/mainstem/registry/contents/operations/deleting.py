"""Versions and subjects go: first out of sight, then for good."""

from typing import ClassVar

from msgspec import Struct
from msgspec.structs import replace

from mainstem.registry.contents.contents import Contents, version_number
from mainstem.registry.contents.references import targets
from mainstem.registry.contents.tables import (
    DEFAULT,
    Name,
    Prefix,
    Stored,
    StoredVersion,
    Tables,
    context_not_empty,
    not_permitted,
    referenced,
    subject_deleted,
    subject_named,
    subject_not_deleted,
    unknown_subject,
    unknown_version,
    version_deleted,
    version_not_deleted,
)


class DeleteVersion(Struct, frozen=True, tag=True):
    """Let a version be seen no more; or, when that was done before, ``permanent``: remove it."""

    answer: ClassVar[type[int]] = int

    subject: str
    version: int | str
    permanent: bool = False

    def apply(self, contents: Contents, at_ms: int) -> int:  # noqa: ARG002 - every operation is given the time
        """Do it; returns the number. Raises RegistryError 40401, 40402, 40406, 40407, 42202, 42205, 42206."""
        name = contents.configured.aliased(subject_named(self.subject))
        number = version_number(self.version)
        found = dict(_versions(contents.tables, name, self.subject))
        live = [each for each, stored in found.items() if not stored.deleted]
        if number is None:
            number = max(found if self.permanent else live, default=0)
        if number not in found:
            raise unknown_version(self.version if isinstance(self.version, int) else number)
        if not self.permanent and number not in live:
            raise version_deleted(str(name), number)
        if self.permanent and number in live:
            raise version_not_deleted(str(name), number)
        contents.configured.check_writable(str(name))
        _delete(contents.tables, name, {number: found[number]}, permanent=self.permanent)
        return number


class DeleteSubject(Struct, frozen=True, tag=True):
    """Let no version of a subject be seen; or, when that was done before, ``permanent``: remove all of them."""

    answer: ClassVar[type[list[int]]] = list[int]

    subject: str
    permanent: bool = False

    def apply(self, contents: Contents, at_ms: int) -> list[int]:  # noqa: ARG002 - every operation is given the time
        """Do it; returns the numbers. Raises RegistryError 40401, 40404, 40405, 42205, 42206."""
        name = contents.configured.aliased(subject_named(self.subject))
        found = dict(_versions(contents.tables, name, self.subject))
        live = {number: stored for number, stored in found.items() if not stored.deleted}
        if self.permanent and live:
            raise subject_not_deleted(str(name))
        if not self.permanent and not live:
            raise subject_deleted(str(name))
        contents.configured.check_writable(str(name))
        going = found if self.permanent else live
        _delete(contents.tables, name, going, permanent=self.permanent)
        if self.permanent:
            contents.tables.put_subject(name, None)
        return list(going)


class DeleteContext(Struct, frozen=True, tag=True):
    """Remove a context without subjects; its ids stay taken."""

    answer: ClassVar[type[None]] = type(None)

    context: str

    def apply(self, contents: Contents, at_ms: int) -> None:  # noqa: ARG002 - every operation is given the time
        """Remove its configuration and its mode. Raises RegistryError 42205, 42211."""
        context = self.context if self.context.startswith(".") else f".{self.context}"
        if context == DEFAULT:
            raise not_permitted("The default context cannot be deleted")
        if next(contents.tables.subjects(Prefix(context, "")), None) is not None:
            raise context_not_empty(context)
        contents.tables.settings.put_config(str(Name(context, "")), None)
        contents.tables.settings.put_mode(str(Name(context, "")), None)


def _versions(tables: Tables, name: Name, written: str) -> list[tuple[int, StoredVersion]]:
    found = list(tables.versions(name))
    if not found:
        raise unknown_subject(written)
    return found


def _delete(tables: Tables, name: Name, going: dict[int, StoredVersion], *, permanent: bool) -> None:
    """Delete versions, all or none."""
    for number in going:
        if _in_use(tables, name, number, going, permanent=permanent):
            raise referenced(str(name), number)
    subject = tables.subject(name)
    if not permanent:
        for number, stored in going.items():
            tables.put_version(name, number, replace(stored, deleted=True))
        count = len(going)
        tables.put_subject(name, replace(subject, live=subject.live - count, deleted=subject.deleted + count))
        return
    for number, stored in going.items():
        tables.remove_version(name, number, stored)
        _forget(tables, name, stored.id)
    tables.put_subject(name, replace(subject, deleted=subject.deleted - len(going)))


def _in_use(tables: Tables, name: Name, number: int, going: dict[int, StoredVersion], *, permanent: bool) -> bool:
    """Whether a version that stays refers to one that goes; one that is deleted keeps what it needs to be read."""
    for user in tables.links.users(name, number):
        for use in tables.uses(*user):
            stored = tables.version(*use)
            stays = stored is not None and (permanent or not stored.deleted)
            if stays and not (use[0] == name and use[1] in going):
                return True
    return False


def _forget(tables: Tables, name: Name, number: int) -> None:
    """Remove a schema that no version has any more. Its id stays that of this content."""
    if next(tables.uses(name.context, number), None) is not None:
        return
    stored = tables.stored(name.context, number)
    if stored is not None and stored.schema is not None:
        for target in targets(stored.schema, name):
            tables.links.release(*target, (name.context, number))
        tables.store(name.context, number, Stored(stored.guid, None))
