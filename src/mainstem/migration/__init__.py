"""Moving everything from one broker to another: topics, positions, stores and groups, proven to be the same."""

from mainstem.migration.endpoints import Source, Target
from mainstem.migration.move import Journey, Move
from mainstem.migration.topics import Likeness

__all__ = ["Journey", "Likeness", "Move", "Source", "Target"]
