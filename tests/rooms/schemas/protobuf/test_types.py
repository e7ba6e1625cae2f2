"""Types of ours in Protobuf: their schema, with numbers that somebody has stated, and their bytes."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from google.protobuf import text_format
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace
from pydantic import ConfigDict, Field, ValidationError, create_model

from mainstem.errors import DefinitionError
from mainstem.events import Declarable, Declaration, Personal, Topic, declaration_of, field_names
from mainstem.schemas import FieldNumber, decoding_failure, numbered, retired
from mainstem.schemas.formats import schema_of
from mainstem.schemas.protobuf import GRAMMAR, codec_of, differences
from mainstem.schemas.protobuf.files import linked
from mainstem.schemas.protobuf.types.emitting import message_name
from tests.rooms.schemas.protobuf.orders import (
    FULL,
    LEAST,
    Bounded,
    Card,
    Colour,
    Later,
    Line,
    Model,
    ModelLine,
    OrderPaid,
    Small,
)
from tests.rooms.schemas.protobuf.protoc import compiled

TEXT = """syntax = "proto3";

package Shop.Orders;

import "google/protobuf/duration.proto";
import "google/protobuf/timestamp.proto";

// An order was paid.
//
// By a customer.
message OrderPaid {
  reserved 4;
  reserved "total";
  string customer_id = 1;
  int64 amount_cents = 2;
  oneof payment {
    Card payment_card = 5;
    Cash payment_cash = 6;
  }
  Size size = 20;
  .google.protobuf.Timestamp paid_at = 21;
  repeated Line lines = 7;
  optional string currency = 3;
  optional string note = 8;
  .google.protobuf.Duration took = 10;
  optional string price = 11;  // a decimal number, as text
  optional string id = 12;  // a UUID, as text
  map<string, Line> by_sku = 13;
  optional Channel channel = 14;
  repeated Colour colours = 15;
  optional string day = 16;  // a date, as text: 2026-11-22
  optional string at = 17;  // a time of day, as text: 17:30:00
  repeated string tags = 18;
  bool gift = 19;
  optional double ratio = 22;
  bytes picture = 23;
  optional string mode = 24;
  OrderPaid bundled = 25;
  oneof refund {
    Card refund_card = 26;
    Cash refund_cash = 27;
  }
  map<string, int64> counts = 28;
  map<int64, .google.protobuf.Duration> times = 29;
  repeated string prices = 30;  // a decimal number, as text

  enum Size {
    SIZE_UNSPECIFIED = 0;
    SIZE_SMALL = 1;
    SIZE_LARGE = 2;
  }

  // How an order came.
  enum Channel {
    CHANNEL_UNSPECIFIED = 0;
    CHANNEL_WEB = 1;
    CHANNEL_SHOP = 2;
  }

  enum Colour {
    COLOUR_NONE = 0;
    COLOUR_RED = 1;
  }

  message Card {
    string number = 1;
  }

  // In coins.
  message Cash {
  }

  message Line {
    string sku = 1;
    optional int64 quantity = 2;
    repeated Line parts = 3;
  }
}
"""


def declared(kind: Declarable) -> Declaration:
    """What is declared about a type."""
    return declaration_of(kind)


def least(**changes: object) -> OrderPaid:
    """The least event, with other fields."""
    fields = {name: getattr(LEAST, name) for name in field_names(OrderPaid) or ()}
    return OrderPaid(**fields | changes)


def message_of(declaration: Declaration) -> type[Message]:
    """The class of the messages of a declared type, as anybody makes it of the schema."""
    pool = linked(schema_of(declaration), {}).pool
    found: type[Message] = GetMessageClass(pool.FindMessageTypeByName(message_name(declaration.wire_name)))
    return found


def test_a_type_has_a_schema_with_the_numbers_that_are_stated(tmp_path: Path) -> None:
    """Everything has its place in one message; protoc takes it, and personal fields are tagged."""
    schema = schema_of(declared(OrderPaid))
    assert schema.text == TEXT
    assert schema.format == "PROTOBUF"
    assert schema.metadata == {"tags": {"customer_id": ["PERSONAL"]}}
    GRAMMAR.check(schema, {})
    assert compiled(tmp_path, schema.text) is not None


@pytest.mark.parametrize("event", [FULL, LEAST], ids=["full", "least"])
def test_an_event_is_read_as_it_was_written(event: OrderPaid) -> None:
    """Every kind of field, at its limits and empty; also by way of plain data, as older versions are."""
    codec = codec_of(declared(OrderPaid))
    raw = codec.encode(event)
    assert codec.decode(raw) == event
    assert codec.decode(codec.encode(codec.decode(raw))) == event  # the bytes may differ: a set has no order
    assert codec.typed(codec.plain(raw)) == event


def test_plain_data_has_what_was_written() -> None:
    """By names on the wire; what was left out has no default there, so that a step can tell."""
    codec = codec_of(declared(OrderPaid))
    partial = message_of(declared(OrderPaid))(amount_cents=5, payment_card={"number": "1"})
    assert codec.plain(partial.SerializeToString()) == {
        "customer_id": "",
        "amount_cents": 5,
        "payment": {"type": "Card", "number": "1"},
        "lines": [],
        "by_sku": {},
        "colours": [],
        "tags": [],
        "gift": False,
        "picture": "",
        "counts": {},
        "times": {},
        "prices": [],
    }


def test_another_runtime_reads_and_writes_the_same() -> None:
    """The bytes are those of the message that the schema declares."""
    message = message_of(declared(OrderPaid)).FromString(codec_of(declared(OrderPaid)).encode(FULL))
    text = text_format.MessageToString(message, print_unknown_fields=True)
    assert 'currency: ""' in text  # written, because the default is another
    assert "took {\n  seconds: -86399\n  nanos: -999995000\n}" in text
    assert "paid_at {\n  seconds: -1\n  nanos: 999999000\n}" in text
    again = text_format.Parse(text, message_of(declared(OrderPaid))())
    assert codec_of(declared(OrderPaid)).decode(again.SerializeToString()) == FULL


def test_a_field_with_a_default_may_be_added_and_taken_away() -> None:
    """What an older one has written has the default, and what a newer one has written is read without the field."""
    older, newer = codec_of(declared(Small)), codec_of(declared(Later))
    assert newer.decode(older.encode(Small("c", 5))) == Later(5, "c")
    assert older.decode(newer.encode(Later(5, "c", "USD"))) == Small("c", 5)
    one, other = schema_of(declared(Small)), schema_of(declared(Later))
    assert differences(one, other, ({}, {}), "LENIENT").compatible
    assert differences(other, one, ({}, {}), "LENIENT").compatible


def test_a_model_is_read_and_written() -> None:
    """By its aliases, as in every format; its own rules hold."""
    topic = Topic("orders", Model, key="customer_id", format="protobuf")
    codec = codec_of(declared(topic))
    event = Model(customerId="c", lines=[ModelLine(sku="a")])
    raw = codec.encode(event)
    assert codec.decode(raw) == event
    wrong = message_of(declared(topic))(customerId="c", amount="-1").SerializeToString()
    with pytest.raises(ValidationError, match="greater than 0"):
        codec.decode(wrong)


def test_constraints_hold() -> None:
    """As in JSON, whoever reads looks at them."""
    codec = codec_of(declared(Topic("orders", Bounded, format="protobuf")))
    assert codec.decode(codec.encode(Bounded(customer_id="ab"))) == Bounded(customer_id="ab")
    with pytest.raises(msgspec.ValidationError, match="length >= 2"):
        codec.decode(codec.encode(Bounded(customer_id="a")))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("size: SIZE_SMALL paid_at {}", "missing required field `payment` - at `OrderPaid`"),
        ("payment_cash {} paid_at {}", "missing required field `size` - at `OrderPaid`"),
        ("payment_cash {} size: SIZE_SMALL", "missing required field `paid_at` - at `OrderPaid`"),
        ("payment_cash {} size: 7 paid_at {}", "Expected `number of Size`, got `7` - at `OrderPaid.size`"),
        ('payment_cash {} size: 1 paid_at {} price: "x"', "Expected `decimal`.*at `OrderPaid.price`"),
        ('payment_cash {} size: 1 paid_at {} id: "x"', "Expected `uuid`"),
        ('payment_cash {} size: 1 paid_at {} day: "x"', "Expected `date`"),
        ('payment_cash {} size: 1 paid_at {} at: "x"', "Expected `time`"),
        ('payment_cash {} size: 1 paid_at {} counts { key: "x" }', r"Expected `uuid`.*at `OrderPaid.counts\{key\}`"),
        ("payment_cash {} size: 1 paid_at { seconds: 999999999999 }", "Expected `Timestamp that Python can hold`"),
        ("payment_cash {} size: 1 paid_at {} took { seconds: 315576000000000 }", "Expected `Duration"),
    ],
)
def test_what_a_type_does_not_take_is_refused(text: str, said: str) -> None:
    """With the place and what was expected there, in the words of the decoder of JSON."""
    raw = text_format.Parse(text, message_of(declared(OrderPaid))()).SerializeToString()
    with pytest.raises(msgspec.ValidationError, match=said):
        codec_of(declared(OrderPaid)).decode(raw)


def test_an_unknown_member_of_an_enum_is_its_fallback() -> None:
    """Where one is declared; 0 is no member, and stands for the default of the field."""
    text = "payment_cash {} size: 1 paid_at {} channel: 9"
    raw = text_format.Parse(text, message_of(declared(OrderPaid))()).SerializeToString()
    event = codec_of(declared(OrderPaid)).decode(raw)
    assert isinstance(event, OrderPaid)
    assert event.channel.value == "shop"


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    """Never with an error that says nothing about bytes."""
    for kind in (OrderPaid, Small):
        try:
            event = codec_of(declared(kind)).decode(raw)
        except (msgspec.DecodeError, msgspec.ValidationError):
            continue
        assert isinstance(event, kind)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 400), st.binary(min_size=1, max_size=3))
def test_damaged_bytes_are_read_or_refused(place: int, other: bytes) -> None:
    """So are those of an event that was changed on the way."""
    raw = codec_of(declared(OrderPaid)).encode(FULL)
    with suppress(msgspec.DecodeError, msgspec.ValidationError):
        codec_of(declared(OrderPaid)).decode(raw[:place] + other + raw[place + len(other) :])


@pytest.mark.parametrize(
    "changes",
    [
        {"customer_id": 5},
        {"customer_id": "\ud800"},
        {"amount_cents": "5"},
        {"amount_cents": 2**63},
        {"payment": "cash"},
        {"payment": Line("a")},
        {"size": 1},
        {"paid_at": datetime(2026, 1, 1)},  # noqa: DTZ001 - a time without a zone
        {"paid_at": "now"},
        {"lines": "ab"},
        {"lines": [Card("1")]},
        {"lines": 5},
        {"by_sku": []},
        {"colours": [5]},
        {"bundled": Card("1")},
        {"picture": "text"},
    ],
    ids=str,
)
def test_a_value_of_another_type_is_not_written(changes: dict[str, object]) -> None:
    """As with JSON, nothing is published then."""
    with pytest.raises((TypeError, ValueError)):
        codec_of(declared(OrderPaid)).encode(least(**changes))


class Unnumbered(Struct):
    customer_id: str
    amount: Annotated[int, FieldNumber(2)]


class Twice(Struct):
    one: Annotated[str, FieldNumber(1)]
    other: Annotated[str, FieldNumber(1)]


@retired(1, "old")
class Kept(Struct):
    one: Annotated[str, FieldNumber(1)]


@retired(1, "old")
class KeptName(Struct):
    old: Annotated[str, FieldNumber(2)]


class Word(Enum):
    ONE = "one"


class Words(Struct):
    word: Annotated[Word, FieldNumber(1)]


class Holder(Struct):
    inner: Annotated[Unnumbered, FieldNumber(1)]


class Loose(Struct):
    either: Annotated[Card | Line, FieldNumber(1)]


class Nested(Struct):
    rows: Annotated[list[list[int]], FieldNumber(1)]


class Absent(Struct):
    rows: Annotated[list[int] | None, FieldNumber(1)] = None


class Filled(Struct):
    rows: Annotated[list[int], FieldNumber(1)] = msgspec.field(default_factory=lambda: [1])


class Fixed(Struct):
    row: Annotated[tuple[int, int], FieldNumber(1)]


class FloatKeys(Struct):
    rows: Annotated[dict[float, int], FieldNumber(1)]


class Anything(Struct):
    thing: Annotated[object, FieldNumber(1)]


class Mixed(Struct):
    rows: Annotated[list[Card | Line], FieldNumber(1)]


class Renamed(Struct, rename="kebab"):
    the_name: Annotated[str, FieldNumber(1)]


@dataclass
class Same:
    a_b: Annotated[str, FieldNumber(1)]
    aB: Annotated[str, FieldNumber(2)]  # noqa: N815 - the name is the point


@pytest.mark.parametrize(
    ("kind", "said", "remedy"),
    [
        (Unnumbered, "fields of Unnumbered have no number: customer_id", "customer_id: Annotated[..., FieldNumber(1)]"),
        (Holder, "fields of Unnumbered have no number: customer_id", "FieldNumber(1)"),
        (Loose, "an alternative of either has no number: Card", "Annotated[Card, FieldNumber(4)] | "),
        (Words, "the members of Word have no numbers", "@numbered(ONE=1)"),
        (Twice, "the fields one and other of Twice have the number 1", "never used"),
        (Kept, "the number 1 of one is reserved in Kept", "another number"),
        (KeptName, "the name old is reserved in KeptName", "another name"),
        (Nested, "Nested.rows[] has no form in Protobuf", "class of its own"),
        (Absent, "it may be absent", "leave that out"),
        (Filled, "have items by default", "leave that out"),
        (Fixed, "a tuple of fixed length", "tuple[..., ...]"),
        (FloatKeys, "its keys are neither", "one of these"),
        (Anything, "Anything.thing has no form in Protobuf: it is object", "plain type"),
        (Mixed, "Mixed.rows[] has no form", "class of its own"),
        (Renamed, "'the-name' is no name of a field", "ASCII"),
        (Same, "are both aB in JSON", "rename"),
    ],
)
def test_a_type_without_a_form_is_refused(kind: type[object], said: str, remedy: str) -> None:
    """When it is declared, with its path and what to write instead; numbers are never counted."""
    with pytest.raises(DefinitionError) as refused:
        schema_of(declared(Topic("things", kind, format="protobuf")))
    assert said in refused.value.what
    assert remedy in refused.value.remedy
    assert kind.__name__ in refused.value.where


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: FieldNumber(0),
        lambda: FieldNumber(1 << 29),
        lambda: FieldNumber(19_000),
        lambda: FieldNumber(True),
        retired,
        lambda: retired(0),
        lambda: retired("a b"),
        lambda: numbered(TWO=2)(Word),
        lambda: numbered(ONE=1 << 31)(Word),
        lambda: numbered()(Colour),
    ],
)
def test_a_wrong_number_is_refused_where_it_is_written(mistake: Callable[[], object]) -> None:
    """Not at the first event."""
    with pytest.raises(DefinitionError):
        mistake()


def test_numbers_are_kept_by_those_who_extend() -> None:
    """What a class has retired stays so in a class that is made of it."""

    @retired(9)
    class More(Kept):
        two: Annotated[str, FieldNumber(2)]

    with pytest.raises(DefinitionError, match="the number 1 of one is reserved"):
        schema_of(declared(Topic("things", More, format="protobuf")))


def test_a_name_that_is_no_word_becomes_one() -> None:
    """The package and the message are made of the name on the wire."""
    topic = Topic("things", Line, type_name="shop.2024.order-line", format="protobuf")
    text = schema_of(declared(topic)).text
    assert "package shop._2024;" in text
    assert "message order_line {" in text
    codec = codec_of(declared(topic))
    assert codec.decode(codec.encode(Line("a"))) == Line("a")


def test_times_are_in_utc() -> None:
    """A point in time is one, whatever zone it was told in."""
    codec = codec_of(declared(OrderPaid))
    event = codec.decode(codec.encode(least(paid_at=datetime.fromisoformat("2026-01-01T12:00:00+05:30"))))
    assert isinstance(event, OrderPaid)
    assert event.paid_at == datetime(2026, 1, 1, 6, 30, tzinfo=UTC)
    assert event.paid_at.tzinfo is UTC


def test_the_cause_names_the_format() -> None:
    """Bytes that are no message are not called bad JSON."""
    raw = b"\xff"
    with pytest.raises(msgspec.DecodeError) as refused:
        codec_of(declared(Small)).decode(raw)
    failure = decoding_failure(refused.value, declared(Small), raw)
    assert failure.why == "these 1 bytes are not Protobuf; the topic may hold another format"


def test_numbers_without_end_come_back() -> None:
    """Protobuf has them and JSON has not; so they stay what they are as plain data, and where a type is looked at."""

    class Measured(Struct):
        level: Annotated[float, FieldNumber(1), msgspec.Meta(gt=0)]

    codec = codec_of(declaration_of(Topic("levels", Measured)))
    raw = codec.encode(Measured(float("inf")))
    assert codec.decode(raw) == codec.typed(codec.plain(raw)) == Measured(float("inf"))


@dataclass
class Endless:
    most: Annotated[float, FieldNumber(1)] = float("inf")


@dataclass
class Mistaken:
    most: Annotated[float, FieldNumber(1)] = "much"  # type: ignore[assignment]


def test_a_default_is_what_its_type_says() -> None:
    """One that is not is refused when the codec is made; whatever Protobuf can write may be one."""
    assert codec_of(declaration_of(Topic("t", Endless))).decode(b"") == Endless()
    with pytest.raises(DefinitionError, match="the default of most is not what its type says") as caught:
        codec_of(declaration_of(Topic("t", Mistaken)))
    assert caught.value.where.endswith("Mistaken.most")


def test_a_model_has_its_names_on_the_wire() -> None:
    """The alias of a field is its name in every format, in the tags of personal fields, and to steps of versions."""
    kind = create_model(
        "Visitor",
        full_name=(Annotated[str, FieldNumber(1), Personal], Field(alias="fullName")),
        __config__=ConfigDict(populate_by_name=True),
    )
    declaration = declaration_of(Topic("visits", kind))
    schema = schema_of(replace(declaration, format="protobuf"))
    assert "string fullName = 1;" in schema.text
    assert schema.metadata == {"tags": {"fullName": ["PERSONAL"]}}
    codec = codec_of(declaration)
    raw = codec.encode(kind(full_name="Ada"))
    assert codec.plain(raw) == {"fullName": "Ada"}
    assert codec.decode(raw) == codec.typed(codec.plain(raw)) == kind(full_name="Ada")
