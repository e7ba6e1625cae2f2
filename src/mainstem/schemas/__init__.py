"""Bytes and values: codecs of events and of stored state, and the errors for bytes that do not fit."""

from mainstem.events import FieldNumber, numbered, retired
from mainstem.schemas import compatibility, documents, formats, registries, upcasting
from mainstem.schemas.codec import Codec, EventCodec, codec_for
from mainstem.schemas.failures import (
    DECODER_ERRORS,
    ENCODER_ERRORS,
    decoding_failure,
    encoding_failure,
    unreadable_failure,
    version_failure,
)
from mainstem.schemas.formats import schema_of
from mainstem.schemas.state import StateCodec, state_codec_for, state_decoding_failure, state_encoding_failure
from mainstem.schemas.subjects import SubjectStrategy, subject_of

__all__ = [
    "DECODER_ERRORS",
    "ENCODER_ERRORS",
    "Codec",
    "EventCodec",
    "FieldNumber",
    "StateCodec",
    "SubjectStrategy",
    "codec_for",
    "compatibility",
    "decoding_failure",
    "documents",
    "encoding_failure",
    "formats",
    "numbered",
    "registries",
    "retired",
    "schema_of",
    "state_codec_for",
    "state_decoding_failure",
    "state_encoding_failure",
    "subject_of",
    "unreadable_failure",
    "upcasting",
    "version_failure",
]
