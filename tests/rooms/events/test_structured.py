"""Structured mode: an event as one JSON document, and back."""

import base64
import json
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.errors import DecodingFailed
from mainstem.events import from_structured, is_structured, to_structured

REQUIRED = {"ce_specversion": b"1.0", "ce_id": b"e-1", "ce_source": b"/shop", "ce_type": b"OrderPaid"}
JSON = {"content-type": b"application/json"}
STRUCTURED = {"content-type": b"application/cloudevents+json"}

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=19).map("x{:.19}".format)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


def document(**changes: object) -> bytes:
    """A structured event with some attributes changed; ``None`` stands as null, ``...`` takes one out."""
    event = {"specversion": "1.0", "id": "e-1", "source": "/shop", "type": "OrderPaid"} | changes
    return json.dumps({name: value for name, value in event.items() if value is not ...}).encode()


@given(st.dictionaries(NAMES, TEXT.map(str.encode), max_size=4), VALUES)
def test_json_stands_in_the_document_as_it_is(extensions: dict[str, bytes], payload: object) -> None:
    """A JSON payload and all attributes, known or not, come back byte for byte."""
    headers = REQUIRED | JSON | {f"ce_{name}": value for name, value in extensions.items()}
    value = json.dumps(payload).encode()
    outside, body = to_structured(headers, value)
    assert json.loads(body)["data"] == payload
    assert from_structured(outside, body) == (headers, value)


@given(st.none() | st.binary(), st.sampled_from([None, b"application/json", b"application/avro", b"text/plain"]))
def test_any_bytes_come_back(value: bytes | None, content_type: bytes | None) -> None:
    """Whatever the content type promises, the payload survives; blanks around JSON are not part of it."""
    headers = REQUIRED | ({} if content_type is None else {"content-type": content_type})
    outside, body = to_structured(headers, value)
    headers_back, value_back = from_structured(outside, body)
    assert headers_back == headers
    if "data" in json.loads(body):
        assert json.loads(cast("bytes", value_back)) == json.loads(cast("bytes", value))
    else:
        assert value_back == value


@given(st.dictionaries(NAMES, TEXT, max_size=4), VALUES | st.just(...))
def test_a_foreign_document_comes_back(extensions: dict[str, str], payload: object) -> None:
    """From structured to binary and back, a document says the same."""
    changes: dict[str, object] = {"datacontenttype": "application/json", "data": payload, **extensions}
    body = document(**changes)
    assert json.loads(to_structured(*from_structured(STRUCTURED, body))[1]) == json.loads(body)


def test_a_payload_that_is_not_json_stands_in_base64() -> None:
    """Also one that only claims to be: nothing is refused on the way out, and the document stays legal JSON."""
    for content_type, value in ((b"application/avro", b"\0\1"), (b"application/json", b"{"), (b"text/json", b'"\xff"')):
        body = to_structured(REQUIRED | {"content-type": content_type}, value)[1]
        assert base64.b64decode(json.loads(body)["data_base64"]) == value


def test_other_headers_stay_headers() -> None:
    """A trace context belongs to the hop; only attributes and content type move into the document."""
    headers = REQUIRED | JSON | {"traceparent": b"00-t", "x-tenant": b"\xff"}
    outside, body = to_structured(headers, b"1")
    assert outside == {
        "traceparent": b"00-t",
        "x-tenant": b"\xff",
        "content-type": b"application/cloudevents+json; charset=UTF-8",
    }
    assert from_structured(outside, body) == (headers, b"1")


@pytest.mark.parametrize(
    ("content_type", "structured"),
    [
        (b"application/cloudevents+json", True),
        (b"application/cloudevents+json; charset=UTF-8", True),
        (b"Application/CloudEvents+JSON;charset=utf-8", True),
        (b"application/cloudevents-batch+json", False),
        (b"application/cloudevents+jsonx", False),
        (b"application/json", False),
        (b"", False),
    ],
)
def test_the_content_type_alone_decides(content_type: bytes, structured: bool) -> None:  # noqa: FBT001
    """A structured message may repeat its attributes as headers; they do not make it a binary one."""
    assert is_structured({**REQUIRED, "content-type": content_type}) is structured
    assert not is_structured(REQUIRED)


def test_the_document_holds_against_the_headers_beside_it() -> None:
    """Copies of attributes in ce_ headers are dropped, so that none of them can differ."""
    headers, _ = from_structured(STRUCTURED | {"ce_id": b"other", "ce_stray": b"x"}, document())
    assert headers == REQUIRED


@pytest.mark.parametrize(
    ("changes", "header", "text"),
    [
        ({"sampledrate": 30}, "ce_sampledrate", b"30"),
        ({"sampledrate": -(2**31)}, "ce_sampledrate", b"-2147483648"),
        ({"urgent": True}, "ce_urgent", b"true"),
        ({"urgent": False}, "ce_urgent", b"false"),
        ({"subject": None}, "ce_subject", None),
        ({"subject": "Zürich \U0001f6eb"}, "ce_subject", "Zürich \U0001f6eb".encode()),
        ({"datacontenttype": None}, "content-type", None),
        ({"datacontenttype": "text/plain"}, "content-type", b"text/plain"),
    ],
)
def test_attributes_become_text(changes: dict[str, object], header: str, text: bytes | None) -> None:
    """Numbers and booleans in their canonical form; null is as if it were not there."""
    assert from_structured(STRUCTURED, document(**changes))[0].get(header) == text


@pytest.mark.parametrize(
    ("changes", "value"),
    [
        ({}, None),
        ({"data": None}, b"null"),
        ({"data": "a"}, b'"a"'),
        ({"data": {"a": [1]}, "datacontenttype": "application/vnd.shop+json"}, b'{"a": [1]}'),
        ({"data": "a<b", "datacontenttype": "text/xml"}, b"a<b"),
        ({"data": 1, "datacontenttype": "text/plain"}, b"1"),
        ({"data_base64": "AAE="}, b"\0\1"),
        ({"data_base64": ""}, b""),
        ({"data_base64": None}, None),
    ],
)
def test_the_payload_of_a_document(changes: dict[str, object], value: bytes | None) -> None:
    """JSON as it stands, a text of another type as its characters, base64 as its bytes, or none."""
    assert from_structured(STRUCTURED, document(**changes))[1] == value


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not a JSON object"),
        (b"[]", "not a JSON object"),
        (b'{"id": 1', "not a JSON object"),
        (b'{"\xff": 1}', "not a JSON object"),
        (b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not a JSON object"),
        (document(id=...), "'id' is missing"),
        (document(id=""), "'id' is missing"),
        (document(source=None), "'source' is missing"),
        (document(type=...), "'type' is missing"),
        (document(specversion=...), "'specversion' is missing"),
        (document(specversion="0.3"), "ce_specversion is '0.3'"),
        (document(time="yesterday"), "ce_time is 'yesterday'"),
        (document(eventversion=0), "ce_eventversion is '0'"),
        (document(tenant_id="x"), "'tenant_id' cannot name"),
        (document(subject=[1]), "'subject' has an unfit value"),
        (document(subject=1.5), "'subject' has an unfit value"),
        (document(data=1, data_base64="AAE="), "both data and data_base64"),
        (document(data_base64="???"), "not base64"),
        (document(data_base64="Zürich=="), "not base64"),
        (document(data_base64=7), "not base64"),
    ],
)
def test_a_document_that_breaks_the_rules_is_refused(body: bytes, words: str) -> None:
    """The error names the attribute and what is wrong with it."""
    with pytest.raises(DecodingFailed, match=words):
        from_structured(STRUCTURED, body)
