"""Ids over any order of operations: none is lost, doubled or used again."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mainstem.clock import ManualClock
from mainstem.registry.contents import (
    Access,
    Config,
    DeleteMode,
    DeleteSubject,
    DeleteVersion,
    InMemory,
    Operation,
    Register,
    RegistryError,
    SetConfig,
    SetMode,
    Version,
    guid_of,
)
from mainstem.registry.folder import FolderRegistry
from mainstem.schemas.documents import Schema
from tests.rooms.registry.played import record, refer

A = TypeVar("A")

SUBJECTS = st.sampled_from(["a", "b", ":.shop:a", ":.shop:b"])
SCHEMAS = st.sampled_from(
    [
        record("A", "text"),
        record("B", "text"),
        record("C", "text"),
        record("H", "inner:A", references=[refer("A", "a")]),
    ]
)


def context_of(subject: str) -> str:
    """The context of a subject."""
    return subject.split(":")[1] if subject.startswith(":") else "."


class Registry(RuleBasedStateMachine):
    """A registry, and what it has said so far."""

    def __init__(self) -> None:
        super().__init__()
        self.registry = self.begun()
        self.ids: dict[tuple[str, str], int] = {}
        """Ids by context and content, for ever."""
        self.versions: dict[tuple[str, int], tuple[int, bool]] = {}
        """Id by subject and version, and whether it is deleted."""
        self.numbers: dict[str, int] = {}
        """The highest version number of a subject since it went."""
        self.write(SetConfig(Config(compatibility_level="NONE")))

    def begun(self) -> Access:
        """An empty one."""
        return InMemory(ManualClock())

    def rows(self) -> dict[bytes, bytes]:
        """What it keeps."""
        return dict(asyncio.run(self.registry.caught_up()).rows.scan(b""))

    def write(self, operation: Operation[A]) -> A | int:
        """The answer, or the number of an error, after which nothing may have changed."""
        before = self.rows()
        try:
            return asyncio.run(self.registry.write(operation))
        except RegistryError as refused:
            assert self.rows() == before
            return refused.number

    @rule(subject=SUBJECTS, schema=SCHEMAS)
    def register(self, subject: str, schema: Schema) -> None:
        """A content gets the id that it has, or a higher one than any."""
        self.take(subject, self.write(Register(subject, schema)))

    @rule(subject=SUBJECTS, schema=SCHEMAS, number=st.integers(1, 9), version=st.none() | st.integers(1, 5))
    def bring(self, subject: str, schema: Schema, number: int, version: int | None) -> None:
        """An import that names ids: those of others are refused."""
        self.write(SetMode("IMPORT", subject, force=True))
        found = self.write(Register(subject, schema, id=number, version=version))
        self.write(DeleteMode(subject))
        self.take(subject, found)

    def take(self, subject: str, found: Version | int) -> None:
        """Compare an answer with everything that was said before."""
        if isinstance(found, int):
            return
        content = (context_of(subject), guid_of(found.schema))
        known = self.ids.setdefault(content, found.id)
        assert known == found.id, "a content has one id"
        others = [
            number for (context, guid), number in self.ids.items() if context == content[0] and guid != content[1]
        ]
        assert found.id not in others, "an id has one content"
        at = (subject, found.version)
        assert self.versions.get(at, (found.id, False)) == (found.id, False), "a version has one id, and is not deleted"
        self.versions[at] = (found.id, False)
        self.numbers[subject] = max(self.numbers.get(subject, 0), found.version)

    @rule(subject=SUBJECTS, version=st.integers(1, 4), permanent=st.booleans())
    def delete_version(self, subject: str, version: int, *, permanent: bool) -> None:
        """A version goes, if it is there as it has to be."""
        if self.write(DeleteVersion(subject, version, permanent)) == version:
            self.gone(subject, version, permanent=permanent)

    @rule(subject=SUBJECTS, permanent=st.booleans())
    def delete_subject(self, subject: str, *, permanent: bool) -> None:
        """All versions go."""
        numbers = self.write(DeleteSubject(subject, permanent))
        if not isinstance(numbers, int):
            for each in numbers:
                self.gone(subject, each, permanent=permanent)
            if permanent:
                del self.numbers[subject]

    def gone(self, subject: str, version: int, *, permanent: bool) -> None:
        """A version is deleted first, then removed."""
        number, deleted = self.versions[subject, version]
        assert deleted is permanent
        if permanent:
            del self.versions[subject, version]
        else:
            self.versions[subject, version] = (number, True)

    @invariant()
    def everything_is_there(self) -> None:
        """What was said is what is found: versions, ids, and what they stand for."""
        contents = asyncio.run(self.registry.view())
        found = {(each.subject, each.version): (each.id, each.deleted) for each in contents.schemas(shown="all")}
        assert found == self.versions
        for subject in {subject for subject, _ in self.versions}:
            highest = max(number for each, number in self.versions if each == subject)
            assert highest <= self.numbers[subject]
        used = {(context_of(subject), number) for (subject, _), (number, _) in self.versions.items()}
        for (context, guid), number in self.ids.items():
            try:
                assert contents.schema(number, f":{context}:").guid == guid
                assert (context, number) in used
            except RegistryError:
                assert (context, number) not in used


class InFolder(Registry):
    """The same in a folder: what a process has in memory is what the next one reads from the files."""

    def begun(self) -> Access:
        """An empty one."""
        self.folder = TemporaryDirectory()
        return FolderRegistry(Path(self.folder.name) / "schemas", ManualClock())

    @invariant()
    def the_files_say_it_all(self) -> None:
        """Every row is found again, byte by byte."""
        known = self.rows()
        self.registry = FolderRegistry(Path(self.folder.name) / "schemas", ManualClock())
        assert self.rows() == known

    def teardown(self) -> None:
        """Leave nothing behind."""
        self.folder.cleanup()


TestIds = Registry.TestCase
TestIds.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestIdsInFolder = InFolder.TestCase
TestIdsInFolder.settings = settings(max_examples=6, stateful_step_count=20, deadline=None)
