"""Which schema a payload has."""

from uuid import UUID

import pytest
from confluent_kafka.schema_registry import (
    dual_schema_id_deserializer,
    header_schema_id_serializer,
    prefix_schema_id_serializer,
)
from confluent_kafka.schema_registry.serde import SchemaId
from confluent_kafka.serialization import MessageField, SerializationContext
from hypothesis import given
from hypothesis import strategies as st

from mainstem.errors import DecodingFailed, EventRefused
from mainstem.schemas.framing import ID_HEADERS, Frame, Part, guid_header, id_prefix, unframed
from mainstem.schemas.writers import name_in

GUID = "6b1c1c2e-9a10-4a3e-8f11-0a1b2c3d4e5f"
IDS = st.integers(0, 2**32 - 1)
INDEXES = st.lists(st.integers(0, 2**20), min_size=1, max_size=5).map(tuple)


@given(IDS, st.binary(), st.none() | INDEXES)
def test_an_id_before_the_payload_is_found_again(
    schema_id: int, payload: bytes, indexes: tuple[int, ...] | None
) -> None:
    """With the place of a Protobuf message, or without."""
    framed = id_prefix(schema_id, indexes or ()) + payload
    found = unframed(framed, {}, indexed=indexes is not None)
    assert found == Frame(payload, schema_id, None, indexes or ())


@given(st.uuids(), st.binary(), st.none() | INDEXES, st.sampled_from(["key", "value"]))
def test_a_guid_in_a_header_is_found_first(
    guid: UUID, payload: bytes, indexes: tuple[int, ...] | None, part: Part
) -> None:
    """And the payload is left alone, whatever it begins with. The header of the other part is not looked at."""
    headers = {ID_HEADERS[part]: guid_header(str(guid), indexes or ())}
    assert unframed(payload, headers, part=part, indexed=indexes is not None) == Frame(
        payload, None, str(guid), indexes or ()
    )
    other: Part = "key" if part == "value" else "value"
    assert unframed(id_prefix(7) + payload, headers, part=other) == Frame(payload, 7)


def test_a_guid_before_the_payload_is_read_too() -> None:
    """Some producers cannot write headers."""
    assert unframed(guid_header(GUID) + b"x", {}) == Frame(b"x", None, GUID)


def test_the_first_message_of_a_file_is_one_byte() -> None:
    """By far the most common, and as other clients write it."""
    assert id_prefix(258, (0,)) == b"\0\0\0\1\2\0"
    assert id_prefix(258, (1, 0)) == b"\0\0\0\1\2\4\2\0"
    assert id_prefix(258) == b"\0\0\0\1\2"


@given(IDS, st.uuids(), INDEXES, st.binary(max_size=8))
def test_other_clients_frame_alike(schema_id: int, guid: UUID, indexes: tuple[int, ...], payload: bytes) -> None:
    """Byte for byte what confluent-kafka writes; and it reads ours."""
    theirs = SchemaId("PROTOBUF", schema_id, str(guid), list(indexes))
    headers: dict[str, str | bytes | None] = {}
    context = SerializationContext("t", MessageField.VALUE, headers)
    assert prefix_schema_id_serializer(payload, context, theirs) == id_prefix(schema_id, indexes) + payload
    assert header_schema_id_serializer(payload, context, theirs) == payload
    assert headers == {ID_HEADERS["value"]: guid_header(str(guid), indexes)}
    read = SchemaId("PROTOBUF")
    assert dual_schema_id_deserializer(payload, context, read).read() == payload
    assert (str(read.guid), read.message_indexes) == (str(guid), list(indexes))
    context = SerializationContext("t", MessageField.VALUE)
    assert dual_schema_id_deserializer(id_prefix(schema_id, indexes) + payload, context, read).read() == payload
    assert (read.id, read.message_indexes) == (schema_id, list(indexes))


@pytest.mark.parametrize(
    ("value", "headers", "indexed", "words", "where"),
    [
        (b"", {}, False, "ends after 0 bytes", "the framing of the value"),
        (b"\0\0\0\1", {}, False, "ends after 4 bytes", "the framing of the value"),
        (b"\1" + b"g" * 15, {}, False, "ends after 16 bytes", "the framing of the value"),
        (b'{"a":1}', {}, False, "begin with 123", "the framing of the value"),
        (b"\2\0\0\0\1", {}, False, "begin with 2", "the framing of the value"),
        (b"{}", {"__value_schema_id": b""}, False, "ends after 0 bytes", "the header __value_schema_id"),
        (b"{}", {"__value_schema_id": b"\1abc"}, False, "ends after 4 bytes", "the header __value_schema_id"),
        (b"{}", {"__value_schema_id": b"\x03" * 17}, False, "begin with 3", "the header __value_schema_id"),
        (b"\0\0\0\0\1", {}, True, "ends after 5 bytes", "the framing of the value"),
        (b"\0\0\0\0\1\4\2", {}, True, "ends after 7 bytes", "the framing of the value"),
        (b"\0\0\0\0\1\x80", {}, True, "ends after 6 bytes", "the framing of the value"),
        (b"\0\0\0\0\1" + b"\xff" * 9, {}, True, "no index", "the framing of the value"),
        (b"\0\0\0\0\1\1", {}, True, "-1 is no index", "the framing of the value"),
        (b"\0\0\0\0\1\2\1", {}, True, "-1 is no index", "the framing of the value"),
        (b"\0\0\0\0\1\xfe\xff\x07", {}, True, "65535 is no index", "the framing of the value"),
    ],
)
def test_what_is_not_framed_is_told(
    value: bytes,
    headers: dict[str, bytes],
    indexed: bool,  # noqa: FBT001 - a column of the table
    words: str,
    where: str,
) -> None:
    """Wrong first bytes, framings that end too early, and places that no message has: the record parks with that."""
    with pytest.raises(DecodingFailed, match=words) as caught:
        unframed(value, headers, indexed=indexed)
    assert caught.value.where == where
    assert caught.value.why
    assert caught.value.remedy


@given(st.binary(), st.none() | st.binary(), st.booleans())
def test_no_bytes_do_anything_else(value: bytes, header: bytes | None, indexed: bool) -> None:  # noqa: FBT001
    """They are framed, or the error says why not."""
    try:
        found = unframed(value, {} if header is None else {"__value_schema_id": header}, indexed=indexed)
    except DecodingFailed:
        return
    assert (found.id is None) != (found.guid is None)
    assert value.endswith(found.payload)


def test_an_id_has_four_bytes_and_a_guid_is_one() -> None:
    """What cannot be written is refused before it is."""
    for wrong in (-1, 2**32):
        with pytest.raises(EventRefused, match="no id"):
            id_prefix(wrong)
    with pytest.raises(EventRefused, match="no GUID"):
        guid_header("7")


def test_a_schema_is_called_by_what_its_record_has() -> None:
    """By the id, which means something in a context only, or by the GUID."""
    assert str(name_in(Frame(b"", 7), "")) == "id 7"
    assert str(name_in(Frame(b"", 7), ":.booking:")) == "id 7 in the context :.booking:"
    assert str(name_in(Frame(b"", None, GUID), ":.booking:")) == f"GUID {GUID}"
