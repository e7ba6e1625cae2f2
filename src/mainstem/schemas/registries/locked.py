"""``schemas.lock``: what of a service is registered as what, committed beside its code.

With it a service starts while the registry is away, and who reviews a change sees that a schema has changed.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Self

import msgspec
from msgspec import Struct

from mainstem.errors import DefinitionError
from mainstem.schemas.documents import Format, Schema
from mainstem.schemas.registries.registry import Registered

LOCK_NAME: Final = "schemas.lock"


class Locked(Struct, frozen=True, order=True, omit_defaults=True):
    """A registered schema, by its digest: it is equal to this one, or it is another."""

    subject: str
    version: int
    id: int
    format: Format
    digest: str
    guid: str | None = None


class LockFile(Struct, frozen=True):
    """The content of a lock file: each subject and version once, in order."""

    schemas: tuple[Locked, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file; empty where there is none. Raises ``DefinitionError`` for one that is no lock file."""
        try:
            return cls.parsed(path.read_bytes(), str(path))
        except FileNotFoundError:
            return cls()
        except OSError as error:
            raise _unreadable(error, str(path)) from error

    @classmethod
    def parsed(cls, data: bytes, where: str) -> Self:
        """What a lock file says; ``where`` names it in errors. Raises ``DefinitionError`` for what is none."""
        try:
            return msgspec.convert(msgspec.json.decode(data), cls)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _unreadable(error, where) from error

    def with_registered(self, found: Iterable[Registered]) -> "LockFile":
        """The same, with these versions added or replaced."""
        entries = {(each.subject, each.version): each for each in self.schemas}
        for each in found:
            digest = digest_of(each.schema)
            entry = Locked(each.subject, each.version, each.id, each.schema.format, digest, each.guid)
            entries[each.subject, each.version] = entry
        return LockFile(tuple(sorted(entries.values())))

    def find(self, subject: str, schema: Schema) -> Locked | None:
        """The entry that has this schema."""
        digest = digest_of(schema)
        return next((each for each in self.schemas if each.subject == subject and each.digest == digest), None)

    def write(self, path: Path) -> None:
        """Write it so that a version is a block of lines, and a change of one is a change of few."""
        text = msgspec.json.format(msgspec.json.encode(self), indent=2)
        path.write_bytes(text + b"\n")


def digest_of(schema: Schema) -> str:
    """SHA-256 over everything that makes a schema what it is, as hexadecimal digits."""
    parts = (schema.format, schema.text, schema.references, schema.metadata, schema.rule_set)
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()


def _unreadable(error: Exception, where: str) -> DefinitionError:
    return DefinitionError(
        "the lock file of schemas cannot be read",
        where=where,
        why=str(error),
        remedy="take it from version control again, or let mainstem schema register write it anew",
    )
