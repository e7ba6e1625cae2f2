"""Pydantic models, dataclasses and structs as events: the same in both directions, with the same errors."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
import pydantic
import pytest

from mainstem.errors import DefinitionError, EventRefused
from mainstem.events import Topic, declaration_of, key_function
from mainstem.schemas import codec_for, decoding_failure, encoding_failure
from mainstem.schemas.upcasting import reading_of, rename


class Line(pydantic.BaseModel):
    sku: str
    price: Decimal


class Order(pydantic.BaseModel):
    order_no: str = pydantic.Field(alias="orderNo")
    lines: list[Line]
    note: str | None = None


@pydantic.dataclasses.dataclass
class Seat:
    row: pydantic.PositiveInt


@dataclass
class Bag:
    tag: str
    kilos: int = 0


ORDER = Topic("erp.orders", Order, key="order_no")
SENT = b'{"orderNo":"A1","lines":[{"sku":"x","price":"1.10"}],"note":null}'


def failure(kind: type[object], raw: bytes) -> Any:
    """The error for bytes that are no such type."""
    declaration = declaration_of(Topic("t", kind))
    try:
        codec_for(declaration).decode(raw)
    except ValueError as error:
        return decoding_failure(error, declaration, raw)
    raise AssertionError("it was read")


def test_a_model_is_written_and_read_by_its_aliases() -> None:
    """What is read is what was written, and pydantic does both."""
    codec = codec_for(declaration_of(ORDER))
    order = codec.decode(SENT)
    assert order == Order(orderNo="A1", lines=[Line(sku="x", price=Decimal("1.10"))])
    assert codec.encode(order) == SENT


def test_a_field_of_a_model_is_a_key() -> None:
    """It is named as in Python, and checked as any other key."""
    key = key_function(declaration_of(ORDER))
    assert key(Order(orderNo="A1", lines=[])) == b"A1"
    with pytest.raises(DefinitionError, match="not a field of Order"):
        Topic("t", Order, key="orderNo")
    with pytest.raises(DefinitionError, match="cannot be a key"):
        Topic("t", Line, key="price")


def test_a_key_of_another_type_is_refused() -> None:
    """Pydantic does not look at what is assigned; the key function does."""
    order = Order.model_construct(order_no=7, lines=[])
    with pytest.raises(EventRefused, match="type int cannot be the key"):
        key_function(declaration_of(ORDER))(order)


@pytest.mark.parametrize(
    ("kind", "raw", "what", "why"),
    [
        (
            Order,
            b'{"orderNo":"A1","lines":[{"sku":"x"}]}',
            "at $.lines[0] the required field price is missing",
            "another idea",
        ),
        (Order, b'{"lines":[]}', "at the top the required field orderNo is missing", "another idea"),
        (Order, b'{"orderNo":7,"lines":[]}', "at $.orderNo input should be a valid string, found int", "another idea"),
        (Order, b'{"orderNo":7}', "found int (and 1 more)", "another idea"),
        (Order, b"[]", "at the top input should be an object, found list", "another idea"),
        (Order, b'{"orderNo":', "Invalid JSON", "are not JSON"),
        (Order, b"\x00\x00\x00\x00\x07\x02", "Invalid JSON", "framed by a schema registry (schema id 7)"),
        (Order, b"", "Invalid JSON", "the value is empty"),
        (Seat, b'{"row":0}', "at $.row input should be greater than 0, found int", "another idea"),
        (Bag, b'{"tag":7}', "at $.tag expected str, found int", "another idea"),
        (Bag, b"{}", "at the top the required field tag is missing", "another idea"),
    ],
)
def test_errors_say_where_what_and_why(kind: type[object], raw: bytes, what: str, why: str) -> None:
    """Path, expected and found are told as for our own classes, and no value is quoted."""
    error = failure(kind, raw)
    assert what in error.what
    assert why in error.why


def test_no_private_value_is_quoted() -> None:
    """What a person wrote stays in the record."""
    error = failure(Line, b'{"sku":["secret"],"price":"secret"}')
    assert "secret" not in str(error)


def test_what_has_no_form_is_refused_when_it_is_declared() -> None:
    """Before the first event, with the words of pydantic."""

    class Strange:
        pass

    class Holder(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)
        inner: Strange

    codec = codec_for(declaration_of(Topic("t", Holder)))
    with pytest.raises(Exception, match="Unable to serialize") as caught:
        codec.encode(Holder(inner=Strange()))
    assert "cannot be encoded" in encoding_failure(caught.value, declaration_of(Topic("t", Holder))).what

    class Lost(pydantic.BaseModel):
        inner: "Nowhere"  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(DefinitionError, match="Lost has no form in JSON"):
        codec_for(declaration_of(Topic("t", Lost)))


def test_older_versions_of_a_model_are_upcast() -> None:
    """Steps work on what is on the wire, whoever reads it then."""
    topic = Topic("erp.orders", Order, version=2)
    topic.upcast(1, rename("no", "orderNo"))
    read = reading_of(topic.declaration).decoder(None)
    assert read(b'{"no":"A1","lines":[]}') == Order(orderNo="A1", lines=[])


def test_a_struct_with_other_names_on_the_wire_goes_through_its_steps() -> None:
    """The names of the steps are those on the wire."""

    class Camel(msgspec.Struct, rename="camel"):
        order_no: str

    topic = Topic("t", Camel, version=2)
    topic.upcast(1, rename("no", "orderNo"))
    assert reading_of(topic.declaration).decoder(b"1")(b'{"no":"A1"}') == Camel("A1")
