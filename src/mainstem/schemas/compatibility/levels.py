"""The levels of compatibility: which earlier versions a new one is compared with, and in which direction.

As Confluent's documentation has them, "Schema evolution and compatibility".
"""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias

from mainstem.schemas.documents import Schema

Level: TypeAlias = Literal[
    "NONE", "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE"
]


class Compared(NamedTuple):
    """Two schemas to compare: ``earlier`` says which of the earlier versions it is, counted from 0."""

    earlier: int
    writer: Schema
    reader: Schema


def comparisons(level: Level, new: Schema, earlier: Sequence[Schema]) -> Iterator[Compared]:
    """What has to be compatible for ``new`` to follow ``earlier``, oldest first; the newest pair comes first.

    BACKWARD: ``new`` reads what was written before. FORWARD: what ``new`` writes is read by who has the earlier one.
    Not transitive means the last of the earlier ones alone.
    """
    chosen = range(len(earlier)) if level.endswith("_TRANSITIVE") else range(max(len(earlier) - 1, 0), len(earlier))
    for index in reversed(chosen):
        if level.startswith(("BACKWARD", "FULL")):
            yield Compared(index, earlier[index], new)
        if level.startswith(("FORWARD", "FULL")):
            yield Compared(index, new, earlier[index])
