"""A schema: its text, its format, and what a registry keeps with it."""

from typing import Final, Literal, TypeAlias

from msgspec import Struct

Format: TypeAlias = Literal["AVRO", "JSON", "PROTOBUF"]
"""The formats, as a registry spells them."""

Metadata: TypeAlias = dict[str, object]
"""``tags``, ``properties`` and ``sensitive`` of a version: stored and given back, never interpreted."""

RuleSet: TypeAlias = dict[str, object]
"""``domainRules``, ``migrationRules``, ``encodingRules``, ``enableAt``: run by clients, stored and given back here."""


class Reference(Struct, frozen=True):
    """Another schema that a text names: by ``name`` in the text, as ``version`` of ``subject`` in the registry."""

    name: str
    subject: str
    version: int


NO_REFERENCES: Final[tuple[Reference, ...]] = ()


class Schema(Struct, frozen=True):
    """A schema as it was written. Two are the same for a registry when all of this is equal."""

    text: str
    format: Format = "AVRO"
    references: tuple[Reference, ...] = NO_REFERENCES
    metadata: Metadata | None = None
    rule_set: RuleSet | None = None
