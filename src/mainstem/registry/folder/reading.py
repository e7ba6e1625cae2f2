"""From files to rows: a folder is taken as it is, or refused with the file and the line that are wrong."""

from collections.abc import Mapping
from typing import Final, NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from mainstem.errors import DefinitionError
from mainstem.registry.contents import (
    DEFAULT,
    LARGEST_NUMBER,
    Config,
    MemoryRows,
    Mode,
    Name,
    Stored,
    StoredSubject,
    StoredVersion,
    Tables,
    guid_of,
    targets,
)
from mainstem.registry.folder.faults import UNREADABLE, Document
from mainstem.registry.folder.files import Entry, Index, Subject, texts
from mainstem.registry.folder.places import INDEX, SUBJECT, SUBJECTS, text_of
from mainstem.schemas.documents import Schema

T = TypeVar("T", bound=Struct)

_MEMBERS: Final = frozenset(each.encode_name for each in msgspec.structs.fields(Config))


class Read(NamedTuple):
    """What a folder holds, and where each subject stands in it."""

    rows: MemoryRows
    folders: dict[Name, str]


def is_registry(files: Mapping[str, bytes]) -> bool:
    """Whether a folder has been begun as one of schemas."""
    return INDEX in files


def rows_of(files: Mapping[str, bytes], origin: str) -> Read:
    """The rows of a registry from its files, by their path in the folder; ``origin`` names that in errors.

    Raises ``DefinitionError`` for anything that does not fit together. A text that no subject mentions is passed over:
    whoever wrote it was interrupted.
    """
    return _Reading(files, origin).read()


class _Reading:
    def __init__(self, files: Mapping[str, bytes], origin: str) -> None:
        self._files = files
        self._origin = origin
        self._rows = MemoryRows()
        self._tables = Tables(self._rows)
        self._folders: dict[Name, str] = {}
        self._referring: list[tuple[Document, int, Name, Schema, int]] = []

    def read(self) -> Read:
        if not is_registry(self._files):
            raise self._missing(INDEX, "it has no index, and is no folder of schemas")
        for path in sorted(self._files):
            if path.rpartition("/")[2] == INDEX and f"/{SUBJECTS}/" not in f"/{path}":
                self._read_context(path)
        for document, number, name, schema, position in self._referring:
            self._refer(document, position, name, schema, number)
        return Read(self._rows, self._folders)

    def _read_context(self, path: str) -> None:
        document = self._document(path)
        index = self._decoded(document, Index)
        if (index.context == DEFAULT) is not (path == INDEX):
            raise document.fault(f"the context {index.context!r} stands in the place of another", ("context",))
        holders: dict[str, int] = {}
        for written, guid in index.ids.items():
            number = int(written) if written.isascii() and written.isdigit() else 0
            if not 0 < number <= LARGEST_NUMBER:
                raise document.fault(f"{written!r} is no id", ("ids", written))
            if holders.setdefault(guid, number) != number:
                raise document.fault(
                    f"the ids {holders[guid]} and {number} stand for one content", ("ids", written), merged=True
                )
            self._tables.store(index.context, number, Stored(guid, None))
        self._settle(Name(index.context, ""), index.mode, index.config)
        beginning = f"{path.removesuffix(INDEX)}{SUBJECTS}/"
        for other in sorted(self._files):
            folder, _, file = other.rpartition("/")
            if file == SUBJECT and folder.startswith(beginning) and "/" not in folder.removeprefix(beginning):
                self._read_subject(other, folder, index.context)

    def _read_subject(self, path: str, folder: str, context: str) -> None:
        document = self._document(path)
        subject = self._decoded(document, Subject)
        name = Name(context, subject.subject)
        if not subject.subject:
            raise document.fault("a subject has no name", ("subject",))
        if name in self._folders:
            raise document.fault(f"the subject {str(name)!r} stands in {self._folders[name]} already", ("subject",))
        self._folders[name] = folder
        self._settle(name, subject.mode, subject.config)
        before = 0
        for position, entry in enumerate(subject.versions):
            if entry.version <= before:
                raise document.fault(
                    f"version {entry.version} comes after version {before}",
                    ("versions", position, "version"),
                    merged=True,
                )
            before = entry.version
            self._read_version(document, position, name, entry)
        if subject.last is not None and subject.last < before:
            raise document.fault(f"the last version is {before}, and not {subject.last}", ("last",))
        if subject.versions or subject.last is not None:
            deleted = sum(each.deleted for each in subject.versions)
            live = len(subject.versions) - deleted
            self._tables.put_subject(name, StoredSubject(subject.last or before, live, deleted))

    def _read_version(self, document: Document, position: int, name: Name, entry: Entry) -> None:
        here = ("versions", position, "id")
        stored = self._tables.stored(name.context, entry.id)
        if stored is None:
            raise document.fault(f"the id {entry.id} has not been given out", here, merged=True)
        path = text_of(self._folders[name], entry.version, entry.format)
        file = self._files.get(path)
        if file is None:
            raise document.fault(f"the text of version {entry.version} is not there: {path}", here)
        found = (entry.schema(text) for text in texts(file, entry.format))
        schema = next((each for each in found if guid_of(each) == stored.guid), None)
        if schema is None:
            raise self._changed(path, file, document, entry)
        self._tables.store(name.context, entry.id, Stored(stored.guid, schema))
        self._tables.put_version(name, entry.version, StoredVersion(entry.id, entry.timestamp_ms, entry.deleted))
        self._referring.append((document, entry.id, name, schema, position))

    def _refer(self, document: Document, position: int, name: Name, schema: Schema, number: int) -> None:
        for at, (target, version) in enumerate(targets(schema, name)):
            if self._tables.version(target, version) is None:
                raise document.fault(
                    f"there is no version {version} of the subject {str(target)!r} that is referred to",
                    ("versions", position, "references", at),
                )
            self._tables.links.refer(target, version, (name.context, number))

    def _settle(self, name: Name, mode: Mode | None, config: Config | None) -> None:
        scope = "" if name == Name(DEFAULT, "") else str(name)
        self._tables.settings.put_mode(scope, mode)
        self._tables.settings.put_config(scope, config)

    def _document(self, path: str) -> Document:
        return Document(f"{self._origin}/{path}", self._files[path])

    def _decoded(self, document: Document, kind: type[T]) -> T:
        try:
            found = msgspec.json.decode(document.data, type=kind)
            config = msgspec.json.decode(document.data).get("config") or {}
        except UNREADABLE as error:
            raise document.unreadable(error) from error
        unknown = next((each for each in config if each not in _MEMBERS), None)
        if unknown is not None:
            raise document.fault(f"nothing is configured by the name {unknown!r}", ("config", unknown))
        return found

    def _changed(self, path: str, file: bytes, document: Document, entry: Entry) -> DefinitionError:
        text = Document(f"{self._origin}/{path}", file)
        if entry.format != "PROTOBUF":
            try:
                msgspec.json.decode(file)
            except UNREADABLE as error:
                return text.unreadable(error)
        return text.fault(
            f"this is not what was registered as id {entry.id}; the text, or what {document.where} says about version "
            f"{entry.version}, has been changed",
            merged=True,
        )

    def _missing(self, path: str, what: str) -> DefinitionError:
        return DefinitionError(
            f"this is no registry: {what}",
            where=f"{self._origin}/{path}",
            remedy="name the folder into which mainstem schema register has written",
        )
