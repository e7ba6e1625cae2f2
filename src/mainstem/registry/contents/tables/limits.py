"""How large what a registry takes may be."""

from typing import Final

from msgspec import Struct

LARGEST_NUMBER: Final = 2**31 - 1
"""Of ids and of versions: clients keep them in 32 bits."""


class Limits(Struct, frozen=True):
    """Bounds of one schema; what passes one is refused with 42209."""

    schema_bytes: int = 1_000_000
    """The text, in UTF-8; and metadata and rule set together."""
    references: int = 500
    """Direct ones and those of others."""
    reference_depth: int = 50
    """How many may follow one another."""
