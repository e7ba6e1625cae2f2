"""Whether values written with one Avro schema can be read with another."""

from mainstem.schemas.avro.resolution.differ import differences
from mainstem.schemas.avro.resolution.rules import Branches, written_as

__all__ = [
    "Branches",
    "differences",
    "written_as",
]
