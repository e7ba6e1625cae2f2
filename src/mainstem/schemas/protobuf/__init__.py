"""Protobuf: schemas as .proto texts, and whether one reads what another writes."""

from mainstem.schemas.protobuf.differences import differences
from mainstem.schemas.protobuf.files import serialized
from mainstem.schemas.protobuf.grammar import GRAMMAR

__all__ = [
    "GRAMMAR",
    "differences",
    "serialized",
]
