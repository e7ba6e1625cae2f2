"""Protobuf: schemas as .proto texts, and whether one reads what another writes."""

from mainstem.schemas.protobuf.differences import differences
from mainstem.schemas.protobuf.fields import fields_of
from mainstem.schemas.protobuf.files import serialized
from mainstem.schemas.protobuf.grammar import GRAMMAR
from mainstem.schemas.protobuf.types import codec_of, codec_reading, plain_reading, schema_of

__all__ = [
    "GRAMMAR",
    "codec_of",
    "codec_reading",
    "differences",
    "fields_of",
    "plain_reading",
    "schema_of",
    "serialized",
]
