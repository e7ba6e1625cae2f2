"""Avro: its grammar, and whether one schema resolves against another."""

from mainstem.schemas.avro.language import GRAMMAR
from mainstem.schemas.avro.resolution import differences

__all__ = [
    "GRAMMAR",
    "differences",
]
