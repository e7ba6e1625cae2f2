"""Whether values written with one Avro schema can be read with another."""

from mainstem.schemas.avro.resolution.differ import differences

__all__ = [
    "differences",
]
