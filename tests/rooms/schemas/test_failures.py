"""What a person reads when bytes and type do not fit."""

import pytest

from mainstem.errors import DecodingFailed, EventRefused
from mainstem.events import IntegrationEvent, declaration_of
from mainstem.schemas import (
    DECODER_ERRORS,
    ENCODER_ERRORS,
    codec_for,
    decoding_failure,
    encoding_failure,
    version_failure,
)


class OrderPaid(IntegrationEvent, topic="orders", version=2):
    """What is expected."""

    customer_id: str
    lines: list[dict[str, int]] = []  # noqa: RUF012 - a msgspec struct makes an empty list for each
    total: int = 0


DECLARATION = declaration_of(OrderPaid)
CODEC = codec_for(DECLARATION)


def failure(raw: bytes) -> DecodingFailed:
    """What becomes of bytes that are no OrderPaid."""
    try:
        CODEC.decode(raw)
    except DECODER_ERRORS as error:
        return decoding_failure(error, DECLARATION, raw)
    raise AssertionError(raw)


@pytest.mark.parametrize(
    ("raw", "what", "why"),
    [
        (b'{"customer_id":1}', "at $.customer_id expected str, found int", "another idea of this type"),
        (b'{"customer_id":"a","lines":[{"x":"1"}]}', "at $.lines[0][...] expected int, found str", "another idea"),
        (b"{}", "the required field customer_id is missing", "another idea"),
        (b"[1]", "at the top expected object, found array", "another idea"),
        (b"", "truncated", "the value is empty"),
        (b"{", "truncated", "not JSON"),
        (b'{"customer_id":"\xff"}', "not UTF-8", "not JSON"),
        (b"\0\0\0\1\2{}", "malformed", "schema id 258"),
        (b"\xff\xfe", "malformed", "2 bytes are not JSON"),
        (b'{"more":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "recursion", "not JSON"),
    ],
)
def test_a_decoding_failure_says_where_what_and_why(raw: bytes, what: str, why: str) -> None:
    """The path, what was expected, what was found, and the likely cause."""
    error = failure(raw)
    assert what in error.what
    assert why in error.why
    assert error.where == "OrderPaid v2 on orders"
    assert "redrive" in error.remedy


class Picky(IntegrationEvent, topic="orders"):
    """A type that looks at its own values."""

    rate: int

    def __post_init__(self) -> None:
        if self.rate > 1:
            raise KeyError(self.rate)


def test_whatever_the_type_itself_raises_is_a_decoding_failure() -> None:
    """A __post_init__ may raise anything, and must not stop a partition."""
    declaration = declaration_of(Picky)
    with pytest.raises(DECODER_ERRORS) as caught:
        codec_for(declaration).decode(b'{"rate":2}')
    assert "KeyError from its __post_init__" in decoding_failure(caught.value, declaration, b'{"rate":2}').why


def test_a_tombstone_is_called_one() -> None:
    """A record without value is not a broken payload."""
    with pytest.raises(TypeError) as caught:
        CODEC.decode(None)  # type: ignore[arg-type]
    assert "tombstone" in decoding_failure(caught.value, DECLARATION, None).why


def test_the_bytes_are_not_quoted() -> None:
    """They may be private, and the record keeps them."""
    assert "secret" not in str(failure(b'{"customer_id":"secret","total":"secret"}'))


def test_a_later_version_names_both_versions() -> None:
    """What came, what is known, and what to deploy."""
    error = version_failure(DECLARATION, 3)
    assert "OrderPaid v3, and only v2" in error.what
    assert "version=3" in error.remedy


@pytest.mark.parametrize("value", [1j, {(1, 2): 3}, "\ud800"])
def test_an_event_that_holds_something_else_is_refused(value: object) -> None:
    """What cannot be encoded is the publisher's mistake, and nothing was published."""
    with pytest.raises(ENCODER_ERRORS) as caught:
        CODEC.encode(OrderPaid(value))  # type: ignore[arg-type]
    error = encoding_failure(caught.value, DECLARATION)
    assert isinstance(error, EventRefused)
    assert "OrderPaid cannot be encoded" in error.what
