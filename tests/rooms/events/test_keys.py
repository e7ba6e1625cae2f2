"""Key bytes and partitions, as every Kafka client spells them."""

import json
from typing import cast
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.errors import EventRefused
from mainstem.events import IntegrationEvent, declaration_of, key_function, murmur2, partition_for


class ByText(IntegrationEvent, topic="t", key="text"):
    """Keyed by text."""

    text: str


class ByNumber(IntegrationEvent, topic="t", key="number"):
    """Keyed by a whole number."""

    number: int


class ById(IntegrationEvent, topic="t", key="id"):
    """Keyed by a UUID."""

    id: UUID


class ByAll(IntegrationEvent, topic="t", key=("text", "number", "id")):
    """Keyed by all three."""

    text: str
    number: int
    id: UUID


class Keyless(IntegrationEvent, topic="t"):
    """Not keyed."""

    text: str


AN_ID = UUID("0190AAAA-bbbb-7ccc-8ddd-eeeeeeeeeeee")


def key_of(event: object) -> bytes | None:
    """The key of an event, by its declaration."""
    return key_function(declaration_of(type(event)))(event)


@pytest.mark.parametrize(
    ("event", "key"),
    [
        (ByText("Zürich"), "Zürich".encode()),
        (ByText(""), b""),
        (ByNumber(-42), b"-42"),
        (ByNumber(10**30), b"1" + b"0" * 30),
        (ById(AN_ID), b"0190aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee"),
        (ByAll("Zü\n", 7, AN_ID), '["Zü\\n",7,"0190aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee"]'.encode()),
        (Keyless("a"), None),
    ],
)
def test_the_spelling_of_keys(event: object, key: bytes | None) -> None:
    """UTF-8, decimal, canonical text, a compact JSON array, or no key at all."""
    assert key_of(event) == key


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.integers(-(2**63), 2**64 - 1), st.uuids())
def test_a_key_of_several_fields_is_a_json_array_of_them(text: str, number: int, identity: UUID) -> None:
    """Any JSON parser reads the parts back, and there is no blank in it that another encoder would leave out."""
    key = key_of(ByAll(text, number, identity))
    assert key is not None
    assert json.loads(key) == [text, number, str(identity)]
    assert key == json.dumps([text, number, str(identity)], ensure_ascii=False, separators=(",", ":")).encode() or any(
        ord(character) < 0x20 or ord(character) == 0x7F for character in text
    )


@pytest.mark.parametrize(
    "event",
    [
        ByText(cast("str", 3)),
        ByText(cast("str", None)),
        ByText("\ud800"),
        ByNumber(cast("int", 1.5)),
        ByNumber(True),
        ByNumber(cast("int", "7")),
        ById(cast("UUID", str(AN_ID))),
        ByAll(cast("str", None), 1, AN_ID),
        ByAll("a", True, AN_ID),
        ByAll("a", 1, cast("UUID", "x")),
        ByAll("\ud800", 1, AN_ID),
    ],
)
def test_a_value_of_another_type_is_no_key(event: object) -> None:
    """A field that holds something else than its annotation says is refused, instead of going to some partition."""
    with pytest.raises(EventRefused, match="cannot be the key") as caught:
        key_of(event)
    assert "field " in caught.value.where


@pytest.mark.parametrize(
    ("data", "signed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_gives_the_values_of_the_java_client(data: bytes, signed: int) -> None:
    """The vectors that Kafka tests its own hash with."""
    assert murmur2(data) == signed & 0xFFFFFFFF


def murmur2_as_in_java(data: bytes) -> int:
    """Byte by byte, with a switch for the rest: the shape of the Java original."""
    mask = 0xFFFFFFFF
    state = (0x9747B28C ^ len(data)) & mask
    for at in range(0, len(data) // 4 * 4, 4):
        word = data[at] | data[at + 1] << 8 | data[at + 2] << 16 | data[at + 3] << 24
        word = word * 0x5BD1E995 & mask
        word ^= word >> 24
        state = (state * 0x5BD1E995 & mask) ^ (word * 0x5BD1E995 & mask)
    tail = data[len(data) // 4 * 4 :]
    if len(tail) == 3:
        state ^= tail[2] << 16
    if len(tail) >= 2:
        state ^= tail[1] << 8
    if tail:
        state = (state ^ tail[0]) * 0x5BD1E995 & mask
    state = (state ^ state >> 13) * 0x5BD1E995 & mask
    return state ^ state >> 15


@given(st.binary(max_size=70), st.integers(1, 300))
def test_the_partition_of_any_key(key: bytes, partitions: int) -> None:
    """For every length and byte, the hash without its sign, modulo the partitions; asked again, the same."""
    expected = (murmur2_as_in_java(key) & 0x7FFFFFFF) % partitions
    assert [partition_for(key, partitions), partition_for(key, partitions)] == [expected, expected]


def test_json_and_key_agree_on_the_spelling_of_a_uuid() -> None:
    """Whoever reads the payload finds the key's text in it."""
    assert msgspec.json.encode(ById(AN_ID)) == b'{"id":"' + (key_of(ById(AN_ID)) or b"") + b'"}'


@pytest.mark.parametrize("event", [ByText(cast("str", 7)), ByNumber(cast("int", "7"))])
def test_a_refused_key_is_told_by_its_type(event: object) -> None:
    """What a person reads is what went wrong, and not how it was found out."""
    with pytest.raises(EventRefused) as caught:
        key_of(event)
    assert caught.value.what.endswith(f"cannot be the key of {type(event).__name__}")
