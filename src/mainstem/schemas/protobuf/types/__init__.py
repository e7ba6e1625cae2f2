"""Types of ours as messages: their schema, and their bytes."""

from mainstem.schemas.protobuf.types.codec import codec_of, codec_reading, plain_reading
from mainstem.schemas.protobuf.types.emitting import schema_of

__all__ = [
    "codec_of",
    "codec_reading",
    "plain_reading",
    "schema_of",
]
