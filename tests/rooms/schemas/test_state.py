"""Values of a store to bytes and back."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Literal, NamedTuple, TypedDict
from uuid import UUID

import msgspec
import pytest

from mainstem.errors import DefinitionError
from mainstem.events import IntegrationEvent
from mainstem.schemas import (
    DECODER_ERRORS,
    ENCODER_ERRORS,
    state_codec_for,
    state_decoding_failure,
    state_encoding_failure,
)


class Colour(Enum):
    """An enum."""

    RED = 1


class Frozen(msgspec.Struct, frozen=True):
    """A value that cannot change."""

    count: int = 0
    tags: tuple[str, ...] = ()


class Open(msgspec.Struct):
    """A value that can."""

    count: int = 0


class Holder(msgspec.Struct, frozen=True):
    """A frozen value with a list in it."""

    counts: list[int] = msgspec.field(default_factory=list)


class Paid(IntegrationEvent, topic="orders"):
    """An event, kept as state."""

    amount_cents: int


@dataclass(frozen=True)
class FrozenData:
    """A frozen dataclass."""

    count: int


@dataclass
class OpenData:
    """A dataclass."""

    count: int


class Pair(NamedTuple):
    """A named tuple."""

    left: int
    right: str


class Loose(TypedDict):
    """A dict of known keys."""

    count: int


VALUES: list[tuple[object, object]] = [
    (int, -(2**63)),
    (int, 2**64 - 1),
    (float, 0.1),
    (bool, True),
    (str, "Zürich"),
    (bytes, b"\0\xff"),
    (int | None, None),
    (int | str, "a"),
    (Decimal, Decimal("1.10")),
    (UUID, UUID(int=7)),
    (datetime, datetime(2013, 1, 1, 5, 17, 0, 1, tzinfo=UTC)),
    (datetime, datetime(2013, 1, 1, 5, 17)),  # noqa: DTZ001 - a time without zone is a value too
    (date, date(2013, 1, 1)),
    (time, time(5, 17)),
    (timedelta, timedelta(days=-1, microseconds=1)),
    (Colour, Colour.RED),
    (Literal["a", "b"], "b"),
    (tuple[int, ...], (1, 2)),
    (frozenset[str], frozenset({"a"})),
    (Frozen, Frozen(1, ("x",))),
    (Paid, Paid(4200)),
    (FrozenData, FrozenData(1)),
    (Pair, Pair(1, "a")),
    (list[int], [1, 2]),
    (set[str], {"a"}),
    (dict[str, int], {"a": 1}),
    (dict[tuple[int, str], Frozen], {(1, "a"): Frozen(2)}),
    (bytearray, bytearray(b"a")),
    (Open, Open(3)),
    (Holder, Holder([1])),
    (OpenData, OpenData(1)),
    (Loose, {"count": 1}),
    (tuple[int, Open], (1, Open(2))),
    (Frozen | list[int], [1]),
    (object, {"a": [1, None]}),
]


@pytest.mark.parametrize(("kind", "value"), VALUES)
def test_a_value_comes_back_as_it_was(kind: object, value: object) -> None:
    """In its own type, down to the last part."""
    codec = state_codec_for(kind)
    back = codec.decode(codec.encode(value))
    assert back == value
    assert type(back) is type(value)


def test_a_type_without_a_form_is_refused_where_the_store_is_declared() -> None:
    """The error names the store and the way to the type."""
    with pytest.raises(DefinitionError, match="complex has no form in MessagePack") as caught:
        state_codec_for(dict[str, list[complex]], "store spent of loyalty")
    assert caught.value.where.startswith("store spent of loyalty")
    assert caught.value.where.endswith("{}[]")


def test_alternatives_that_cannot_be_told_apart_are_refused() -> None:
    """Two structs look alike in bytes, unless they are tagged."""
    with pytest.raises(DefinitionError, match="no form in MessagePack") as caught:
        state_codec_for(Frozen | Open)
    assert "tag=" in caught.value.remedy


def test_bytes_of_an_earlier_shape_are_explained() -> None:
    """Which store, which path, what was expected, and the two ways on."""
    with pytest.raises(DECODER_ERRORS) as caught:
        state_codec_for(Frozen).decode(msgspec.msgpack.encode({"count": "one"}))
    error = state_decoding_failure(caught.value, Frozen, "spent")
    assert "no Frozen: at $.count expected int, found str" in error.what
    assert error.where == "store spent"
    assert "a default" in error.remedy
    assert "another name" in error.remedy


@pytest.mark.parametrize("value", [1j, 2**64, "\ud800"])
def test_a_value_without_a_form_is_refused(value: object) -> None:
    """What cannot be written down is refused where it is put."""
    with pytest.raises(ENCODER_ERRORS) as caught:
        state_codec_for(int).encode(value)
    assert "cannot be stored as int" in state_encoding_failure(caught.value, int, "spent").what
