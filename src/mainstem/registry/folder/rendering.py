"""From rows to files: everything that a registry keeps, for people to read, compare and commit."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from mainstem.registry.contents import DEFAULT, Name, Rows, Tables, given_ids, split
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

    def files(self, names: Iterable[Name]) -> dict[str, bytes]:
        """Those of some subjects, and of the contexts that are named without one; the same rows are the same bytes."""
        found: dict[str, bytes] = {}
        for name in sorted(names):
            found.update(self._subject(name) if name.subject else self._index(name))
        return found

    def _index(self, name: Name) -> Iterator[tuple[str, bytes]]:
        settings, scope = self._tables.settings, "" if name.context == DEFAULT else str(name)
        mode, config = settings.mode(scope), settings.config(scope)
        ids = {str(number): stored.guid for _, number, stored in given_ids(self._rows, name.context)}
        if ids or mode or config or name.context == DEFAULT or self._has_settings(name.context):
            yield index_of(name.context), document(Index(FORMAT, name.context, mode, config, ids))

    def _has_settings(self, context: str) -> bool:
        """Whether something is configured for a subject of a context."""
        settings = self._tables.settings
        scopes = chain((scope for scope, _ in settings.configs()), settings.modes())
        return any(split(scope).context == context for scope in scopes)

    def _subject(self, name: Name) -> Iterator[tuple[str, bytes]]:
        mode, config = self._tables.settings.mode(str(name)), self._tables.settings.config(str(name))
        last = self._tables.subject(name).last
        if not (last or mode or config):
            return
        if name not in self.folders:
            self.folders[name] = folder_of(name, self.folders.values())
        folder = self.folders[name]
        entries: list[Entry] = []
        for number, version in self._tables.versions(name):
            schema = self._schema(name.context, version.id)
            kept = schema.references, schema.metadata, schema.rule_set
            entry = Entry(number, version.id, schema.format, moment(version.timestamp_ms), version.deleted, *kept)
            entries.append(entry)
            yield text_of(folder, number, schema.format), set_out(schema)
        told = None if last == (entries[-1].version if entries else 0) else last
        yield f"{folder}/{SUBJECT}", document(Subject(name.subject, mode, config, told, tuple(entries)))

    def _schema(self, context: str, number: int) -> Schema:
        stored = self._tables.stored(context, number)
        assert stored is not None, "a version's schema stays as long as the version"
        assert stored.schema is not None, "a version's schema stays as long as the version"
        return stored.schema
