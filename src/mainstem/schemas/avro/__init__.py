"""Avro: its grammar, whether one schema resolves against another, and the schema and the codec of our own types."""

from typing import TYPE_CHECKING

from mainstem.doors import door

if TYPE_CHECKING:
    from mainstem.schemas.avro.codec import codec_of as codec_of
    from mainstem.schemas.avro.codec import codec_reading as codec_reading
    from mainstem.schemas.avro.codec import plain_reading as plain_reading
    from mainstem.schemas.avro.emitting import schema_of as schema_of
    from mainstem.schemas.avro.fields import fields_of as fields_of
    from mainstem.schemas.avro.language import GRAMMAR as GRAMMAR
    from mainstem.schemas.avro.language import inlined as inlined
    from mainstem.schemas.avro.resolution import differences as differences

__all__ = ["GRAMMAR", "codec_of", "codec_reading", "differences", "fields_of", "inlined", "plain_reading", "schema_of"]

# The codec is an extra: whoever only asks what a schema says does without.
__getattr__, __dir__ = door(
    __name__,
    {
        "codec": ("codec_of", "codec_reading", "plain_reading"),
        "emitting": ("schema_of",),
        "fields": ("fields_of",),
        "language": ("GRAMMAR", "inlined"),
        "resolution": ("differences",),
    },
)
