"""From rows to files: everything that a registry keeps, for people to read, compare and commit."""

from collections.abc import Iterator, Mapping

from mainstem.registry.contents import (
    DEFAULT,
    Config,
    Mode,
    Name,
    Rows,
    Stored,
    StoredSubject,
    Tables,
    given_ids,
    known_subjects,
    split,
)
from mainstem.registry.folder.files import FORMAT, Entry, Index, Subject, document, moment, set_out
from mainstem.registry.folder.places import SUBJECT, folder_of, index_of, text_of
from mainstem.schemas.documents import Schema


class Rendering:
    """The files of a registry, by their path in the folder.

    ``folders`` are those that subjects have already; others are given one, and keep it.
    """

    def __init__(self, rows: Rows, folders: Mapping[Name, str]) -> None:
        self._rows = rows
        self._tables = Tables(rows)
        self.folders = dict(folders)

    def files(self) -> dict[str, bytes]:
        """All of them; the same rows are the same bytes."""
        return dict(self._rendered())

    def _rendered(self) -> Iterator[tuple[str, bytes]]:
        settings = self._tables.settings
        configs = {split(scope): config for scope, config in settings.configs()}
        modes = {split(scope): settings.mode(scope) for scope in settings.modes()}
        ids: dict[str, dict[int, Stored]] = {DEFAULT: {}}
        for context, number, stored in given_ids(self._rows):
            ids.setdefault(context, {})[number] = stored
        subjects = dict(known_subjects(self._rows))
        for name in {**configs, **modes}:
            if name.subject:
                subjects.setdefault(name, StoredSubject())
            ids.setdefault(name.context, {})
        for context, known in sorted(ids.items()):
            at = Name(context, "")
            guids = {str(number): stored.guid for number, stored in sorted(known.items())}
            yield index_of(context), document(Index(FORMAT, context, modes.get(at), configs.get(at), guids))
        for name in sorted(subjects):
            folder = self._folder(name)
            yield from self._subject(folder, name, modes.get(name), configs.get(name))

    def _folder(self, name: Name) -> str:
        if name not in self.folders:
            self.folders[name] = folder_of(name, self.folders.values())
        return self.folders[name]

    def _subject(
        self, folder: str, name: Name, mode: Mode | None, config: Config | None
    ) -> Iterator[tuple[str, bytes]]:
        entries: list[Entry] = []
        for number, version in self._tables.versions(name):
            schema = self._schema(name.context, version.id)
            kept = schema.references, schema.metadata, schema.rule_set
            entry = Entry(number, version.id, schema.format, moment(version.timestamp_ms), version.deleted, *kept)
            entries.append(entry)
            yield text_of(folder, number, schema.format), set_out(schema)
        last = self._tables.subject(name).last
        told = None if last == (entries[-1].version if entries else 0) else last
        yield f"{folder}/{SUBJECT}", document(Subject(name.subject, mode, config, told, tuple(entries)))

    def _schema(self, context: str, number: int) -> Schema:
        stored = self._tables.stored(context, number)
        assert stored is not None, "a version's schema stays as long as the version"
        assert stored.schema is not None, "a version's schema stays as long as the version"
        return stored.schema
