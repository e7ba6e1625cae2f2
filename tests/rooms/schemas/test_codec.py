"""Events to bytes and back."""

import os
import subprocess
import sys
import types
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, cast
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.errors import DefinitionError
from mainstem.events import Declaration, IntegrationEvent, Topic, declaration_of
from mainstem.schemas import codec_for
from tests.rooms.schemas import tagged


class Line(msgspec.Struct, frozen=True):
    """A part of an order."""

    sku: str
    price: Decimal


class OrderPaid(IntegrationEvent, topic="orders", key="customer_id"):
    """An event of nearly everything."""

    customer_id: UUID
    at: datetime
    lines: tuple[Line, ...] = ()
    notes: dict[str, int | None] = msgspec.field(default_factory=dict)
    currency: str = "EUR"


@dataclass
class ErpOrder:
    """A type that is not ours."""

    order_no: str


def declared(annotation: object) -> Declaration:
    """The declaration of an event with one field."""
    made = types.new_class(
        "Made", (IntegrationEvent,), {"topic": "t"}, lambda body: body.update(__annotations__={"field": annotation})
    )
    return declaration_of(made)


@given(
    st.builds(
        OrderPaid,
        st.uuids(),
        st.datetimes(timezones=st.just(UTC)),
        st.lists(st.builds(Line, st.text("abc"), st.decimals(allow_nan=False, places=2)), max_size=3).map(tuple),
        st.dictionaries(st.text("xyz"), st.none() | st.integers(-(2**63), 2**63), max_size=3),
    )
)
def test_an_event_comes_back_as_it_was(event: OrderPaid) -> None:
    """Every field, nested ones too, in its own type."""
    codec = codec_for(declaration_of(OrderPaid))
    assert codec.decode(codec.encode(event)) == event


def test_the_payload_is_plain_json() -> None:
    """Field names as written, defaults included: any consumer in any language can read it."""
    event = OrderPaid(UUID(int=1), datetime(2013, 1, 1, tzinfo=UTC))
    assert codec_for(declaration_of(OrderPaid)).encode(event) == (
        b'{"customer_id":"00000000-0000-0000-0000-000000000001","at":"2013-01-01T00:00:00Z",'
        b'"lines":[],"notes":{},"currency":"EUR"}'
    )


def test_fields_may_be_more_or_fewer() -> None:
    """An unknown field is passed over, and a missing one takes its default."""
    decoded = codec_for(declaration_of(OrderPaid)).decode(
        b'{"customer_id":"00000000-0000-0000-0000-000000000001","at":"2013-01-01T00:00:00Z","colour":"red"}'
    )
    assert decoded == OrderPaid(UUID(int=1), datetime(2013, 1, 1, tzinfo=UTC))


def test_a_plain_dataclass_has_a_codec_too() -> None:
    """What a Topic declares is read and written like any event."""
    codec = codec_for(declaration_of(Topic("erp.orders", ErpOrder, envelope=None)))
    assert codec.decode(codec.encode(ErpOrder("o-1"))) == ErpOrder("o-1")


def test_both_ways_are_functions_of_msgspec() -> None:
    """Nothing stands between a batch and its decoder."""
    codec = codec_for(declaration_of(OrderPaid))
    assert {type(codec.encode), type(codec.decode)} == {types.BuiltinMethodType}


@pytest.mark.parametrize(
    ("annotation", "words", "place"),
    [
        (complex, "complex has no form", "Made.field"),
        (list[complex], "complex has no form", "Made.field[]"),
        (tuple[int, complex], "complex has no form", "Made.field[1]"),
        (dict[str, list[complex]], "complex has no form", "Made.field{}[]"),
        (dict[tuple[int, int], int], "keys of this dict", "Made.field{key}"),
        (bytes | str, "more than one str-like type", "Made"),
        (Line | ErpOrder, "more than one", "Made"),
    ],
)
def test_a_type_without_a_form_in_json_is_refused(annotation: object, words: str, place: str) -> None:
    """When the codec is made, not at the first event; the error names the way to the type."""
    with pytest.raises(DefinitionError, match=words) as caught:
        codec_for(declared(annotation))
    assert place in caught.value.where + caught.value.what


class Amount(msgspec.Struct):
    cents: Annotated[int, msgspec.Meta(ge=1)] = 0


@dataclass
class Remark:
    text: str = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("kind", "words", "remedy"),
    [
        (Amount, "the default of cents is not what its type says: Expected `int` >= 1", "correct it"),
        (Remark, "the default of text is not what its type says: Expected `str`, got `null`", "T | None"),
    ],
)
def test_a_default_that_nobody_could_read_is_refused(kind: type, words: str, remedy: str) -> None:
    """When the codec is made, and not when the first event was published."""
    with pytest.raises(DefinitionError, match=words) as caught:
        codec_for(declared(list[kind]))  # type: ignore[valid-type]
    assert remedy in caught.value.remedy
    assert caught.value.where.split("[]")[1] in {".cents", ".text"}


def test_a_string_that_names_a_local_type_says_to_move_it() -> None:
    """Annotations are resolved when the codec is made."""
    with pytest.raises(DefinitionError, match="'Nowhere'") as caught:
        codec_for(declared("list[Nowhere]"))
    assert "move Nowhere to module level" in caught.value.remedy


def test_a_type_may_hold_itself() -> None:
    """Looking through a recursive type comes to an end."""

    class Node(IntegrationEvent, topic="nodes"):
        children: list["Node"] = msgspec.field(default_factory=list)

    with pytest.raises(DefinitionError, match="'Node'"):
        codec_for(declaration_of(Node))
    codec = codec_for(declaration_of(Tree))
    assert codec.decode(codec.encode(Tree((Tree(),)))) == Tree((Tree(),))


class Tree(IntegrationEvent, topic="trees"):
    """A type that holds itself."""

    children: tuple["Tree", ...] = ()


def test_any_json_is_read_where_the_type_says_object() -> None:
    """A field of type object takes what comes."""
    codec = codec_for(declared(object))
    assert cast("dict[str, object]", msgspec.to_builtins(codec.decode(b'{"field":{"a":[1]}}')))["field"] == {"a": [1]}


def test_a_type_is_looked_through_once() -> None:
    """Every task of every group asks for the codecs of its types; they are given the same one."""
    assert codec_for(declaration_of(Topic("erp.orders", ErpOrder))) is codec_for(
        declaration_of(Topic("erp.orders", ErpOrder))
    )
    assert codec_for(declaration_of(Topic("erp.orders", dict))) is not codec_for(
        declaration_of(Topic("erp.orders", list))
    )


def test_sets_are_written_alike_in_every_process() -> None:
    """Their order depends on where they are; what is replayed elsewhere would not be what it was."""
    written = set()
    for seed in ("1", "2", "3"):
        program = [sys.executable, "-m", tagged.__name__]
        ended = subprocess.run(program, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True)
        assert len(ended.stdout.splitlines()) == len(tagged.KINDS)
        written.add(ended.stdout)
    assert len(written) == 1


@pytest.mark.parametrize("kind", tagged.KINDS)
def test_a_set_without_order_is_written_as_it_comes(kind: type[tagged.Tagged]) -> None:
    """Members of an enum have none."""
    codec, event = codec_for(declaration_of(kind)), tagged.event_of(kind, *tagged.Colour)
    assert codec.decode(codec.encode(event)) == event
