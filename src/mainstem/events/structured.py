"""Structured mode: attributes and payload in one JSON document, for where there are no headers.

Inside, everything is in binary mode; these two functions convert at the edge. Headers that are not CloudEvents
attributes (a trace context is one of the hop, not of the event) stay headers.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Final, NoReturn

import msgspec

from mainstem.errors import DecodingFailed
from mainstem.events.attributes import (
    CE_EVENTVERSION,
    CE_SPECVERSION,
    CE_TIME,
    CONTENT_TYPE,
    PREFIX,
    REQUIRED,
    check_specversion,
    is_name,
    parse_time,
    parse_version,
    text_of,
)

STRUCTURED_CONTENT: Final = b"application/cloudevents+json; charset=UTF-8"
_STRUCTURED = re.compile(rb"\s*application/cloudevents\+json\s*(;.*)?", re.IGNORECASE | re.DOTALL)
_JSON_TYPE = re.compile(r"\s*[a-z0-9!#$&^_.+-]+/([a-z0-9!#$&^_.-]+\+)*json\s*(;.*)?", re.IGNORECASE | re.DOTALL)
_GRAMMAR = {CE_SPECVERSION: check_specversion, CE_EVENTVERSION: parse_version, CE_TIME: parse_time}


def is_structured(headers: Mapping[str, bytes]) -> bool:
    """Whether the value is a whole event as JSON; the content type alone decides, not the other headers."""
    return _STRUCTURED.fullmatch(headers.get(CONTENT_TYPE, b"")) is not None


def to_structured(headers: Mapping[str, bytes], value: bytes | None) -> tuple[dict[str, bytes], bytes]:
    """An event in binary mode as headers and one JSON document.

    A JSON payload stands in it as it is; any other, and one that is not the JSON its content type promises, in base64.
    Raises ``DecodingFailed`` for headers that are not UTF-8.
    """
    kept = {name: data for name, data in headers.items() if not name.startswith(PREFIX) and name != CONTENT_TYPE}
    document: dict[str, object] = {
        name.removeprefix(PREFIX): text_of(name, data) for name, data in headers.items() if name.startswith(PREFIX)
    }
    content_type = headers.get(CONTENT_TYPE)
    if content_type is not None:
        document["datacontenttype"] = text_of(CONTENT_TYPE, content_type)
    if value is not None:
        if (content_type is None or _is_json_type(content_type.decode())) and _is_json(value):
            document["data"] = msgspec.Raw(value)
        else:
            document["data_base64"] = base64.b64encode(value).decode()
    kept[CONTENT_TYPE] = STRUCTURED_CONTENT
    return kept, msgspec.json.encode(document)


def from_structured(headers: Mapping[str, bytes], body: bytes) -> tuple[dict[str, bytes], bytes | None]:
    """A JSON document back to headers and value in binary mode.

    What the document says holds; ``ce_`` headers beside it are only a copy. Numbers and booleans become their
    canonical text. Raises ``DecodingFailed`` for a document that breaks the rules of CloudEvents 1.0.2.
    """
    try:
        document = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        _refuse(f"a structured event is not a JSON object: {error}", "the content type promises one")
    data, encoded = document.pop("data", None), document.pop("data_base64", None)
    plain = {name: value for name, value in headers.items() if not name.startswith(PREFIX) and name != CONTENT_TYPE}
    plain.update(_headers(document))
    return plain, _payload(data, encoded, plain.get(CONTENT_TYPE))


def _headers(document: Mapping[str, msgspec.Raw]) -> dict[str, bytes]:
    headers = {}
    for name, raw in document.items():
        if not is_name(name):
            _refuse(f"{name!r} cannot name an attribute", "a name has 1 to 20 lowercase letters and digits")
        text = _attribute(name, raw)
        if text is not None:
            headers[CONTENT_TYPE if name == "datacontenttype" else PREFIX + name] = text.encode()
    for header in REQUIRED:
        if not headers.get(header):
            _refuse(f"the attribute {header.removeprefix(PREFIX)!r} is missing", "CloudEvents requires it")
    for header, check in _GRAMMAR.items():
        if header in headers:
            check(headers[header].decode())
    return headers


def _payload(data: msgspec.Raw | None, encoded: msgspec.Raw | None, content_type: bytes | None) -> bytes | None:
    if encoded is not None and bytes(encoded) != b"null":
        if data is not None:
            _refuse("an event has both data and data_base64", "it may have one of them")
        try:
            return base64.b64decode(msgspec.json.decode(encoded, type=str), validate=True)
        except (msgspec.DecodeError, binascii.Error, ValueError) as error:
            _refuse(f"data_base64 is not base64: {error}", "it holds payloads that are not JSON")
    if data is None:
        return None
    text = bytes(data)
    if content_type is not None and not _is_json_type(content_type.decode()) and text.startswith(b'"'):
        return msgspec.json.decode(text, type=str).encode()
    return text


def _attribute(name: str, raw: msgspec.Raw) -> str | None:
    try:
        value = msgspec.json.decode(raw, type=str | int | bool | None)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        _refuse(f"the attribute {name!r} has an unfit value: {error}", "it is a text, a whole number or a boolean")
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


def _is_json_type(content_type: str) -> bool:
    return _JSON_TYPE.fullmatch(content_type) is not None


def _is_json(value: bytes) -> bool:
    try:
        value.decode()
        msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _refuse(what: str, why: str) -> NoReturn:
    raise DecodingFailed(
        what, where="structured CloudEvent", why=why, remedy="correct the producer; the record keeps its bytes"
    )
