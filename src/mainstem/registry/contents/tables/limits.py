"""How large what a registry takes may be."""

from msgspec import Struct


class Limits(Struct, frozen=True):
    """Bounds of one schema; what passes one is refused with 42209."""

    schema_bytes: int = 1_000_000
    """The text, in UTF-8; and metadata and rule set together."""
    references: int = 500
    """Direct ones and those of others."""
    reference_depth: int = 50
    """How many may follow one another."""
