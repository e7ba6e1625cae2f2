"""From a decoder's complaint to an error a person can act on."""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from mainstem.errors import DecodingFailed, EventRefused, VersionUnknown
from mainstem.events import Declaration, EventFormat
from mainstem.schemas.models import fault_of

DECODER_ERRORS: tuple[type[Exception], ...] = (Exception,)
"""What a codec's ``decode`` raises: anything, because a type's own ``__post_init__`` may."""

ENCODER_ERRORS = (TypeError, ValueError, OverflowError, RecursionError)
"""What a codec's ``encode`` raises."""

_MESSAGE = re.compile(r"(?P<what>.*?)(?: - at `(?P<path>.*)`)?", re.DOTALL)
_EXPECTED = re.compile(r"Expected (?P<expected>.+?), got (?P<found>.+)", re.DOTALL)
_MISSING = re.compile(r"Object missing required field (?P<field>`.+`)")
_FRAMED = 5
_FORMS: Final[Mapping[EventFormat, str]] = {"json": "JSON", "avro": "Avro", "protobuf": "Protobuf"}
_MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decoding_failure(error: Exception, declaration: Declaration, raw: bytes | None) -> DecodingFailed:
    """Path, what was expected there, what was found, and what to do next. ``raw`` is not quoted: it may be private."""
    return DecodingFailed(
        f"the payload is no {declaration.wire_name}: {explained(error)}",
        where=declaration.label,
        why=_likely_cause(error, declaration, raw),
        remedy="correct the producer or the type, then redrive the record; its bytes are kept",
    )


def version_failure(declaration: Declaration, version: int) -> VersionUnknown:
    """The error for an event of a later major version than is declared here."""
    return VersionUnknown(
        f"the event is {declaration.wire_name} v{version}, and only v{declaration.version} is known here",
        where=declaration.label,
        why="its producer runs a later version of the type than this service",
        remedy=f"deploy a service that declares version={version}, then redrive the record; its bytes are kept",
    )


def past_failure(declaration: Declaration, version: int) -> DecodingFailed:
    """The error for an event of an older major version than is read here."""
    return DecodingFailed(
        f"the event is {declaration.wire_name} v{version}, and v{declaration.oldest} is the oldest that is read here",
        where=declaration.label,
        why="the declaration says oldest=, and this event is older; its producer may not have been deployed for long",
        remedy=f"say oldest={version}, with the steps from there; or discard the record",
    )


def encoding_failure(error: Exception, declaration: Declaration) -> EventRefused:
    """The error for an event whose fields hold something that has no form in bytes."""
    return EventRefused(
        f"a {declaration.wire_name} cannot be encoded: {error}",
        where=declaration.label,
        why="a field holds something else than its annotation says",
        remedy="correct the value where the event is made; a type checker finds the place",
    )


def unreadable_failure(error: Exception, declaration: Declaration) -> EventRefused:
    """The error for an event that was encoded, and that none of its readers could decode. ``error`` is theirs."""
    return EventRefused(
        f"nobody could read this {declaration.wire_name}: {explained(error)}",
        where=declaration.label,
        why="a field holds something else than its annotation says; in production nobody looks, for speed",
        remedy="correct the value where the event is made; a type checker finds the place",
    )


def explained(error: Exception) -> str:
    """A decoder's message as path, expected and found: ``at $.amount_cents expected int, found str``."""
    fault = fault_of(error)
    if fault is not None:
        place = "" if fault.malformed else f"at {fault.path} " if fault.path != "$" else "at the top "
        return place + fault.text + (f" (and {fault.faults - 1} more)" if fault.faults > 1 else "")
    parts = _MESSAGE.fullmatch(str(error))
    what, path = (parts["what"], parts["path"]) if parts else (str(error), None)
    if expected := _EXPECTED.fullmatch(what):
        what = f"expected {expected['expected']}, found {expected['found']}"
    elif missing := _MISSING.fullmatch(what):
        what = f"the required field {missing['field']} is missing"
    elif isinstance(error, UnicodeDecodeError):
        what = f"a text is not UTF-8: {error.reason} at byte {error.start}"
    place = f"at {path} " if path else "at the top " if isinstance(error, msgspec.ValidationError) else ""
    return (place + what).replace("`", "")


def _likely_cause(error: Exception, declaration: Declaration, raw: bytes | None) -> str:
    if raw is None:
        return "the record is a tombstone: it has no value"
    if not raw:
        return "the value is empty"
    fault = fault_of(error)
    if isinstance(error, msgspec.ValidationError) or (fault is not None and not fault.malformed):
        return "its producer has another idea of this type, or published it without a new version"
    if fault is None and not isinstance(error, _MALFORMED):
        return f"the type itself refuses these values: {type(error).__name__} from its __post_init__"
    form = _FORMS[declaration.format]
    if raw[0] == 0 and len(raw) > _FRAMED:
        return f"it looks framed by a schema registry (schema id {int.from_bytes(raw[1:_FRAMED])}), not plain {form}"
    return f"these {len(raw)} bytes are not {form}; the topic may hold another format"
