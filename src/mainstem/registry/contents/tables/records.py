"""What a row says, and the answers that are made of rows."""

import hashlib
from typing import Final, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct, UnsetType

from mainstem.schemas.compatibility import Level, Policy
from mainstem.schemas.documents import Metadata, RuleSet, Schema

Shown: TypeAlias = Literal["live", "all", "deleted"]
"""Which versions are asked for: those that are not deleted, also the deleted ones, or these alone."""

Mode: TypeAlias = Literal["READWRITE", "READONLY", "READONLY_OVERRIDE", "IMPORT", "FORWARD"]

USUAL_LEVEL: Final[Level] = "BACKWARD"
"""The level where nobody has said one."""
RULE_LISTS: Final = ("domainRules", "migrationRules", "encodingRules")
"""The members of a rule set that have rules."""


class Config(Struct, frozen=True, rename="camel", omit_defaults=True):
    """What is configured for a subject, a context or all. ``UNSET`` is not said; ``None`` takes back what was said."""

    compatibility_level: Level | UnsetType | None = UNSET
    compatibility_policy: Policy | UnsetType | None = UNSET
    compatibility_group: str | UnsetType | None = UNSET
    normalize: bool | UnsetType | None = UNSET
    validate_fields: bool | UnsetType | None = UNSET
    validate_new_schemas: bool | UnsetType | None = UNSET
    validate_rules: bool | UnsetType | None = UNSET
    alias: str | UnsetType | None = UNSET
    alias_for_deks: str | UnsetType | None = UNSET
    default_metadata: Metadata | UnsetType | None = UNSET
    override_metadata: Metadata | UnsetType | None = UNSET
    default_rule_set: RuleSet | UnsetType | None = UNSET
    override_rule_set: RuleSet | UnsetType | None = UNSET

    @property
    def level(self) -> Level:
        """The level that counts where this is all that is configured."""
        return self.compatibility_level or USUAL_LEVEL


class Version(Struct, frozen=True):
    """A version of a subject: what is given to who asks for one. ``subject`` is spelt with its context."""

    subject: str
    version: int
    id: int
    guid: str
    schema: Schema
    timestamp_ms: int
    deleted: bool = False


class Stored(Struct, frozen=True):
    """What has an id. The schema goes when no subject has it any more, and the id stays taken."""

    guid: str
    schema: Schema | None


class StoredVersion(Struct, frozen=True):
    """Which schema a version is, since when, and whether it is deleted."""

    id: int
    timestamp_ms: int
    deleted: bool = False


class StoredSubject(Struct, frozen=True):
    """The last version number that was given, and how many versions there are: not deleted, and deleted."""

    last: int = 0
    live: int = 0
    deleted: int = 0


def guid_of(schema: Schema) -> str:
    """What names a content everywhere: two schemas have the same one when, and only when, they are the same.

    A UUID of version 8 made of the first 16 bytes of SHA-256 over a JSON array without spaces: format, text,
    references as ``[name, subject, version]``, metadata, rule set; the members of objects in order of their names, what
    is missing as ``null``.
    """
    references = [[each.name, each.subject, each.version] for each in schema.references]
    said = [schema.format, schema.text, references, schema.metadata, schema.rule_set]
    digest = bytearray(hashlib.sha256(msgspec.json.encode(said, order="sorted")).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return str(UUID(bytes=bytes(digest)))
