"""``mainstem dead-letters``: list, show, edit, redrive, discard, export, archive, restore."""

from mainstem.ops.letters.commands import dead_letters
from mainstem.ops.letters.sequences import told_by

__all__ = ["dead_letters", "told_by"]
