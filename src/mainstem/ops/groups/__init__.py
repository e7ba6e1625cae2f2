"""The commands ``groups`` and ``retire``: what groups are, where they go on reading, and what they forget."""

from mainstem.ops.groups.commands import groups
from mainstem.ops.groups.retiring import retire

__all__ = ["groups", "retire"]
