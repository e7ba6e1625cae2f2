"""Bytes and values: codecs of events and of stored state, and the errors for bytes that do not fit.

Also what whoever declares a type says for its schema: ``Personal``, ``fallback``, ``FieldNumber``, ``numbered``,
``retired``.
"""

from typing import TYPE_CHECKING

from mainstem.doors import door
from mainstem.events import FieldNumber, Personal, fallback, numbered, retired
from mainstem.schemas.codec import Codec, EventCodec, codec_for
from mainstem.schemas.failures import (
    DECODER_ERRORS,
    ENCODER_ERRORS,
    decoding_failure,
    encoding_failure,
    unreadable_failure,
    version_failure,
)
from mainstem.schemas.framing import SchemaMark, mark_in_play
from mainstem.schemas.state import StateCodec, state_codec_for, state_decoding_failure, state_encoding_failure

if TYPE_CHECKING:
    from mainstem.schemas import compatibility as compatibility
    from mainstem.schemas import documents as documents
    from mainstem.schemas import formats as formats
    from mainstem.schemas import registries as registries
    from mainstem.schemas import upcasting as upcasting
    from mainstem.schemas import writers as writers
    from mainstem.schemas.annotations import own_words as own_words
    from mainstem.schemas.formats import schema_of as schema_of
    from mainstem.schemas.subjects import OWNER as OWNER
    from mainstem.schemas.subjects import context_of as context_of
    from mainstem.schemas.subjects import owned_by as owned_by
    from mainstem.schemas.subjects import owned_schema as owned_schema
    from mainstem.schemas.subjects import subject_of as subject_of
    from mainstem.schemas.subjects import topic_subject as topic_subject

__all__ = [
    "DECODER_ERRORS",
    "ENCODER_ERRORS",
    "OWNER",
    "Codec",
    "EventCodec",
    "FieldNumber",
    "Personal",
    "SchemaMark",
    "StateCodec",
    "codec_for",
    "compatibility",
    "context_of",
    "decoding_failure",
    "documents",
    "encoding_failure",
    "fallback",
    "formats",
    "mark_in_play",
    "numbered",
    "own_words",
    "owned_by",
    "owned_schema",
    "registries",
    "retired",
    "schema_of",
    "state_codec_for",
    "state_decoding_failure",
    "state_encoding_failure",
    "subject_of",
    "topic_subject",
    "unreadable_failure",
    "upcasting",
    "version_failure",
    "writers",
]

# Who declares an event and a handler compares no schemas.
__getattr__, __dir__ = door(
    __name__,
    {
        "annotations": ("own_words",),
        "formats": ("schema_of",),
        "subjects": ("OWNER", "context_of", "owned_by", "owned_schema", "subject_of", "topic_subject"),
    },
)
