"""``mainstem dead-letters``: list, show, redrive, discard."""

from mainstem.ops.letters.commands import dead_letters

__all__ = ["dead_letters"]
