"""Rows that have a meaning: which key holds what."""

from collections.abc import Iterable, Iterator

from mainstem.registry.contents.tables.cells import Cells, parts_of
from mainstem.registry.contents.tables.limits import LARGEST_NUMBER
from mainstem.registry.contents.tables.links import Links
from mainstem.registry.contents.tables.names import DEFAULT, Name, Prefix, split
from mainstem.registry.contents.tables.records import Stored, StoredSubject, StoredVersion
from mainstem.registry.contents.tables.rows import Rows
from mainstem.registry.contents.tables.settings import Settings


class Tables:
    """What the rules read and write."""

    def __init__(self, rows: Rows) -> None:
        self._cells = Cells(rows)
        self.links = Links(self._cells)
        self.settings = Settings(self._cells)

    # -- ids and contents

    def highest_id(self, context: str) -> int:
        """The highest id that has been given out in a context."""
        return self._cells.get(int, "highest", context) or 0

    def stored(self, context: str, number: int) -> Stored | None:
        """What has an id."""
        return self._cells.get(Stored, "id", context, number)

    def id_of(self, context: str, guid: str) -> int | None:
        """The id that a content has in a context, also when no subject has it any more."""
        return self._cells.get(int, "guid", guid, context)

    def ids_of(self, guid: str) -> Iterator[tuple[str, int]]:
        """The contexts in which a content has an id."""
        for parts, value in self._cells.scan(int, "guid", guid, ""):
            yield parts[2], value

    def store(self, context: str, number: int, stored: Stored) -> None:
        """Give an id to a content for good; the highest one grows with it."""
        self._cells.put(stored, "id", context, number)
        self._cells.put(number, "guid", stored.guid, context)
        if number > self.highest_id(context):
            self._cells.put(number, "highest", context)

    # -- subjects and versions

    def contexts(self) -> Iterator[str]:
        """The contexts that have subjects; the default one always."""
        yield DEFAULT
        last = DEFAULT
        for parts, value in self._cells.scan(StoredSubject, "subject", ""):
            context = parts[1]
            if context != last and _exists(value):
                yield context
                last = context

    def subject(self, name: Name) -> StoredSubject:
        """What is known about a subject; of one that never was, that it has nothing."""
        return self._cells.get(StoredSubject, "subject", *name) or StoredSubject()

    def subjects(self, prefix: Prefix) -> Iterator[tuple[Name, StoredSubject]]:
        """The subjects that have versions, deleted or not, of a context or of all."""
        start = ("",) if prefix.context is None else (prefix.context, prefix.beginning)
        for (_, context, subject), found in self._cells.scan(StoredSubject, "subject", *start):
            if subject.startswith(prefix.beginning) and _exists(found):
                yield Name(context, subject), found

    def put_subject(self, name: Name, stored: StoredSubject | None) -> None:
        """Count a subject's versions; with None its numbers begin again."""
        self._cells.put(stored, "subject", *name)

    def version(self, name: Name, number: int) -> StoredVersion | None:
        """A version of a subject, deleted or not."""
        return self._cells.get(StoredVersion, "version", *name, number)

    def versions(self, name: Name) -> Iterator[tuple[int, StoredVersion]]:
        """The versions of a subject, deleted or not, oldest first."""
        for parts, value in self._cells.scan(StoredVersion, "version", *name, ""):
            yield int(parts[3]), value

    def versions_of(self, name: Name, number: int) -> Iterator[tuple[int, StoredVersion]]:
        """The versions of a subject that are the schema of an id, deleted or not, oldest first."""
        for parts, _ in self._cells.scan(bool, "use", name.context, number, name.subject, ""):
            version = int(parts[4])
            stored = self.version(name, version)
            if stored is not None:
                yield version, stored

    def put_version(self, name: Name, number: int, stored: StoredVersion) -> None:
        """Write a version, and that the id is used there."""
        self._cells.put(stored, "version", *name, number)
        self._cells.put(True, "use", name.context, stored.id, name.subject, number)

    def remove_version(self, name: Name, number: int, stored: StoredVersion) -> None:
        """Remove a version for good."""
        self._cells.put(None, "version", *name, number)
        self._cells.put(None, "use", name.context, stored.id, name.subject, number)

    def uses(self, context: str, number: int) -> Iterator[tuple[Name, int]]:
        """The versions, deleted or not, that are the schema of an id."""
        for parts, _ in self._cells.scan(bool, "use", context, number, ""):
            yield Name(context, parts[3]), int(parts[4])


def given_ids(rows: Rows, context: str | None = None) -> Iterator[tuple[str, int, Stored]]:
    """Every id that has been given out, in a context or in all, with its context and what it stands for."""
    for parts, value in Cells(rows).scan(Stored, "id", *("",) if context is None else (context, "")):
        yield parts[1], int(parts[2]), value


def concerned(keys: Iterable[bytes]) -> set[Name]:
    """The subjects that rows of these keys are about, and, without a subject, the contexts."""
    found: set[Name] = set()
    for kind, *parts in map(parts_of, keys):
        if kind in ("config", "mode"):
            name = split(parts[0])
            found |= {name, Name(name.context, "")}
        elif kind in ("subject", "version"):
            found.add(Name(parts[0], parts[1]))
        elif kind in ("id", "highest", "guid"):
            found.add(Name(parts[1 if kind == "guid" else 0], ""))
    return found


def free_id(rows: Rows, context: str) -> int:
    """An id that nothing has had in a context: the next one, or a lower one where the last that can be is taken."""
    highest = Tables(rows).highest_id(context)
    if highest < LARGEST_NUMBER:
        return highest + 1
    # Somebody has imported it: the others are not to be left without.
    taken = (int(parts[2]) for parts, _ in Cells(rows).scan(Stored, "id", context, ""))
    return next((free for free, number in enumerate(taken, 1) if free != number), highest + 1)


def _exists(subject: StoredSubject) -> bool:
    return subject.live + subject.deleted > 0
