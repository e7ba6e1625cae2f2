"""Events to Avro and back."""

import io
import json
import signal
import subprocess
import sys
import tomllib
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from math import isfinite
from pathlib import Path
from textwrap import dedent
from typing import Annotated, Any, cast
from uuid import UUID

import fastavro
import msgspec
import pytest
from confluent_kafka.schema_registry import Schema as TheirSchema
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta
from pydantic import create_model

from mainstem.errors import SchemaRefused
from mainstem.events import Event, IntegrationEvent, Topic, declaration_of
from mainstem.schemas.avro import codec_of, codec_reading, schema_of
from mainstem.schemas.documents import Reference, Schema
from mainstem.schemas.framing import id_prefix, unframed
from tests.rooms.schemas.avro.kinds import (
    Address,
    Card,
    Carrier,
    Cash,
    Channel,
    Customer,
    ErpOrder,
    Grade,
    Line,
    Moved,
    OrderPaid,
    Tree,
)

TIMES = st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29))  # noqa: DTZ001 - zones come after
ZONED = TIMES.map(lambda each: each.replace(tzinfo=UTC))
LONGS = st.integers(-(2**63), 2**63 - 1)
PRICES = st.integers(-999_999_999, 999_999_999).map(lambda cents: Decimal(cents).scaleb(-2))
LINES = st.builds(Line, st.text(), PRICES, st.frozensets(st.text(), max_size=2))
CARDS = st.builds(Card, st.text(), ZONED)
CASH = st.builds(Cash, st.decimals(allow_nan=False, allow_infinity=False))
TREES = st.recursive(
    st.builds(Tree, st.dates()),
    lambda inner: st.builds(Tree, st.dates(), st.lists(inner, max_size=2).map(tuple)),
    max_leaves=4,
)
ORDERS = st.builds(
    OrderPaid,
    st.uuids(),
    ZONED,
    TIMES,
    st.dates(),
    st.times(),
    st.timedeltas(timedelta(-9999), timedelta(9999)),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.binary(),
    st.lists(LINES, max_size=2).map(tuple),
    st.none() | LINES,
    CARDS | CASH,
    st.lists(CARDS | CASH | st.none(), max_size=3),
    TREES,
    st.none() | LONGS | st.text(),
    st.sampled_from(Grade),
    st.sampled_from(["air", "sea"]),
    notes=st.dictionaries(st.text(), st.none() | ZONED, max_size=2),
    sets=st.sets(LONGS, max_size=3),
    channel=st.sampled_from(Channel),
    carrier=st.none() | st.sampled_from(Carrier),
    rate=st.floats(allow_nan=False),
    since=st.none() | ZONED,
    blob=st.binary(max_size=3),
    discount=st.integers(-9999, 9999).map(lambda each: Decimal(each).scaleb(-3)),
    opened=st.dates(),
)
AT = datetime(2020, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


@settings(max_examples=40)
@given(ORDERS)
def test_an_event_comes_back_as_it_was(event: OrderPaid) -> None:
    """Every field in its own type; and as plain data, which an older version is read as."""
    codec = codec_of(declaration_of(OrderPaid))
    raw = codec.encode(event)
    assert codec.decode(raw) == event
    if isfinite(event.rate):
        # Plain data is what JSON can say.
        assert codec.typed(codec.plain(raw)) == event


@pytest.mark.parametrize(
    "kind",
    [msgspec.defstruct("Measured", [("level", float)], kw_only=True), create_model("Gauged", level=(float, ...))],
    ids=["struct", "model"],
)
def test_numbers_without_end_come_back(kind: type[Any]) -> None:
    """Avro has them and JSON has not; so they stay what they are as plain data too."""
    event = kind(level=float("inf"))
    codec = codec_of(declaration_of(Topic("levels", kind)))
    raw = codec.encode(event)
    assert codec.decode(raw) == codec.typed(codec.plain(raw)) == event


def test_dataclasses_and_pydantic_models_have_a_codec_too() -> None:
    """What a Topic declares is read and written like any event."""
    order = ErpOrder("o-1", [Line("s", Decimal("1.25"))])
    codec = codec_of(declaration_of(Topic("t", ErpOrder)))
    assert codec.decode(codec.encode(order)) == order
    customer = Customer(
        id=UUID(int=0), name="Ada", since=AT, address=Address(street="s"), friends=[Address(street="f")]
    )
    codec = codec_of(declaration_of(Topic("t", Customer)))
    assert codec.decode(codec.encode(customer)) == customer
    assert codec.typed(codec.plain(codec.encode(customer))) == customer


def test_the_bytes_are_those_of_the_schema() -> None:
    """Any other library reads them with it."""
    raw = codec_of(declaration_of(Moved)).encode(Moved("c-1", 4200))
    schema = fastavro.parse_schema(json.loads(schema_of(declaration_of(Moved)).text))
    assert fastavro.schemaless_reader(io.BytesIO(raw), schema, None) == {
        "customer_id": "c-1",
        "amount_cents": 4200,
        "currency": "EUR",
        "note": None,
    }


def test_what_a_type_did_not_have_yet_takes_its_default() -> None:
    """Whatever its type: the text of a default in a schema is not what a field holds."""
    early = msgspec.defstruct("OrderPaid", [("customer_id", str)])
    written = codec_of(declaration_of(Topic("t", early))).encode(early("c"))

    class OrderPaidNow(IntegrationEvent, topic="t", name="OrderPaid"):
        customer_id: str
        blob: bytes = b"\xff"
        opened: date = date(2020, 1, 2)
        clock: time = time(1, 2)
        at: datetime = AT
        local: datetime | None = None
        total: Decimal = Decimal("1.50")
        channel: Channel = Channel.SHOP
        paid: Card | Cash | None = None
        other: Card | Cash = Cash(Decimal(1))
        line: Line = Line("s", Decimal("0.10"), frozenset("ab"))
        lines: tuple[Line, ...] = (Line("s", Decimal("0.10")),)

    codec = codec_reading(declaration_of(OrderPaidNow), schema_of(declaration_of(Topic("t", early))), {})
    for _ in range(2):
        assert codec.decode(written) == OrderPaidNow("c")


class Bought(IntegrationEvent, topic="b", namespace="n", was=("n.Sold",)):
    """A later form of a type."""

    amount: float
    payment: Card | Cash
    channel: Channel


SOLD = """{"type":"record","name":"n.Sold","fields":[
  {"name":"gone","type":["null","string"]},{"name":"amount","type":"int"},{"name":"payment","type":PAYMENT},
  {"name":"channel","type":{"type":"enum","name":"n.Channel","symbols":["telex","web"]}}]}"""
CARD = {
    "type": "record",
    "name": "n.Card",
    "fields": [
        {"name": "number", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}


@pytest.mark.parametrize("payment", [CARD, [CARD], ["null", CARD, {"type": "record", "name": "n.Cash", "fields": []}]])
def test_what_was_written_with_another_schema_is_read(payment: Any) -> None:
    """Fields gone and wider, an enum's unknown symbol, and a record of a union, whether it was one then or not."""
    text = SOLD.replace("PAYMENT", json.dumps(payment))
    file = io.BytesIO()
    value = {"gone": "x", "amount": 3, "payment": ("n.Card", {"number": "4", "at": 5}), "channel": "telex"}
    if isinstance(payment, dict):
        value["payment"] = {"number": "4", "at": 5}
    fastavro.schemaless_writer(file, json.loads(text), value)
    codec = codec_reading(declaration_of(Bought), Schema(text), {})
    at = datetime(1970, 1, 1, 0, 0, 0, 5_000, tzinfo=UTC)
    assert codec.decode(file.getvalue()) == Bought(3.0, Card("4", at), Channel.OTHER)
    plain = cast("dict[str, object]", codec.plain(file.getvalue()))
    assert (plain["gone"], plain["amount"], plain["channel"]) == ("x", 3, "telex")


class Timed(IntegrationEvent, topic="t"):
    """Times, and numbers."""

    at: datetime
    days: list[date | None]
    key: UUID
    price: Annotated[Decimal, Meta(extra={"precision": 4, "scale": 2})]
    number: int
    text: str | None


def test_bytes_mean_what_the_reader_says() -> None:
    """Where only one of the two schemas states a logical type, which is compatible."""
    micros = '{"type":"long","logicalType":"timestamp-micros"}'
    text = f"""{{"type":"record","name":"Timed","fields":[{{"name":"at","type":["null","long"]}},
      {{"name":"days","type":{{"type":"array","items":"int"}}}},{{"name":"key","type":"string"}},
      {{"name":"price","type":"bytes"}},{{"name":"number","type":{micros}}},
      {{"name":"text","type":{{"type":"string","logicalType":"uuid"}}}}]}}"""
    file = io.BytesIO()
    key = "00000000-0000-0000-0000-000000000005"
    plain = {"at": 5, "days": [1], "key": key, "price": b"\x7d", "number": 7, "text": key}
    fastavro.schemaless_writer(file, json.loads(text), plain)
    codec = codec_reading(declaration_of(Timed), Schema(text), {})
    assert codec.decode(file.getvalue()) == Timed(
        datetime(1970, 1, 1, 0, 0, 0, 5, tzinfo=UTC), [date(1970, 1, 2)], UUID(key), Decimal("1.25"), 7, key
    )
    as_written = cast("dict[str, object]", codec.plain(file.getvalue()))
    assert (as_written["at"], as_written["days"], as_written["number"]) == (5, [1], "1970-01-01T00:00:00.000007Z")


def test_a_writers_references_are_followed() -> None:
    """Its schema may name others."""
    text = SOLD.replace("PAYMENT", '"n.Card"')
    schema = Schema(text, references=(Reference("n.Card", "card", 1),))
    codec = codec_reading(declaration_of(Bought), schema, {"n.Card": Schema(json.dumps(CARD))})
    raw = b"\0\x06\x024\x0a\x02"
    assert codec.decode(raw) == Bought(3.0, Card("4", datetime(1970, 1, 1, 0, 0, 0, 5_000, tzinfo=UTC)), Channel.WEB)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"at": datetime(2020, 1, 1)}, "naive"),  # noqa: DTZ001 - which is the fault
        ({"clock": time(1, tzinfo=UTC)}, "time of day with a zone"),
        ({"grade": 2**70}, "."),
        ({"customer_id": 7, "raw": "text"}, "."),
        ({"payment": Line("s", Decimal(1))}, "none of the union"),
        ({"discount": Decimal("0.00001")}, "."),
        ({"notes": 5}, "."),
    ],
)
def test_what_has_no_form_is_refused(change: dict[str, object], words: str) -> None:
    """With an error that is told as one of encoding; a time without a zone is nobody's time."""
    fields: dict[str, Any] = {
        "customer_id": UUID(int=1),
        "at": AT,
        "local": AT.replace(tzinfo=None),
        "day": AT.date(),
        "clock": time(),
        "took": timedelta(),
        "total": Decimal(1),
        "raw": b"",
        "lines": (),
        "first": None,
        "payment": Cash(Decimal(1)),
        "earlier": [],
        "tree": Tree(AT.date()),
        "either": None,
        "grade": Grade.ONE,
        "way": "air",
    }
    codec = codec_of(declaration_of(OrderPaid))
    codec.encode(OrderPaid(**fields))
    with pytest.raises((TypeError, ValueError, OverflowError), match=words):
        codec.encode(OrderPaid(**(fields | change)))


@given(st.binary())
def test_bytes_that_are_not_the_schemas_are_an_error(raw: bytes) -> None:
    """Cut off, left over, or nonsense: never anything else, and never a value that reads on."""
    codec = codec_of(declaration_of(OrderPaid))
    try:
        event = codec.decode(raw)
    except msgspec.MsgspecError:
        return
    assert isinstance(event, OrderPaid)


def test_each_byte_counts() -> None:
    """A payload that is cut off, or goes on, was written with another schema."""
    codec = codec_of(declaration_of(Moved))
    raw = codec.encode(Moved("c-1", 4200))
    for end in range(len(raw)):
        with pytest.raises(msgspec.DecodeError, match="not what the schema says"):
            codec.decode(raw[:end])
    with pytest.raises(msgspec.DecodeError, match="1 bytes are left over"):
        codec.decode(raw + b"\0")
    with pytest.raises(msgspec.DecodeError, match="not what the schema says"):
        codec.decode(b"\x02\xff" + raw[4:])


def test_depth_and_counts_stop_nobody() -> None:
    """A type that holds itself is read no deeper than the stack; arrays of nothing are refused with their schema."""
    codec = codec_of(declaration_of(Topic("t", Tree)))
    with pytest.raises(msgspec.DecodeError):
        codec.decode(b"\0\x02" * 1_000_000)
    empty = '{"type":"record","name":"E","fields":[{"name":"n","type":"null"}]}'
    for items in ('"null"', empty, '{"type":"fixed","name":"F","size":0}'):
        text = f'{{"type":"record","name":"Moved","fields":[{{"name":"x","type":{{"type":"array","items":{items}}}}}]}}'
        with pytest.raises(SchemaRefused, match="takes no bytes"):
            codec_reading(declaration_of(Moved), Schema(text), {})
    nested = '{"type":"record","name":"Moved","fields":[{"name":"x","type":["null","Moved"]}]}'
    with pytest.raises(msgspec.DecodeError):
        codec_reading(declaration_of(Moved), Schema(nested), {}).decode(b"\x02" * 1_000_000)


def test_the_library_reads_depth_only_in_python() -> None:
    """Its reader in C ends the process; the one in Python has a private name, so the next major is not taken unseen."""
    deep = """
        import fastavro, io
        itself = {"name": "x", "type": ["null", "M"]}
        schema = fastavro.parse_schema({"type": "record", "name": "M", "fields": [itself]})
        fastavro.schemaless_reader(io.BytesIO(b"\\2" * 1_000_000), schema, None)
    """
    ended = subprocess.run([sys.executable, "-c", dedent(deep)], capture_output=True, check=False, timeout=60)
    assert ended.returncode == -signal.SIGSEGV, "a public reader would do by now: take it, and drop the bound"
    project = tomllib.loads((Path(__file__).parents[4] / "pyproject.toml").read_text())
    assert project["project"]["optional-dependencies"]["avro"] == ["fastavro>=1.12,<2"]


def theirs() -> tuple[SchemaRegistryClient, SerializationContext]:
    """Their client of a registry in memory, and the context of a value."""
    return SchemaRegistryClient.new_client({"url": "mock://avro"}), SerializationContext("moves", MessageField.VALUE)


@pytest.mark.parametrize(
    "event",
    [
        Moved("c-1", 4200, note="x"),
        OrderPaid(
            UUID(int=5),
            AT,
            AT.replace(tzinfo=None),
            AT.date(),
            time(1),
            timedelta(1),
            Decimal("1.5"),
            b"\xff",
            (Line("s", Decimal("1.25")),),
            None,
            Card("4", AT),
            [None, Cash(Decimal(2))],
            Tree(AT.date()),
            7,
            Grade.TWO,
            "sea",
            since=AT,
        ),
    ],
)
def test_other_clients_read_and_write_the_same(event: Event) -> None:
    """What confluent-kafka's serializer writes with our schema we read, and its deserializer reads what we write."""
    client, context = theirs()
    declaration = declaration_of(type(event))
    codec, schema = codec_of(declaration), schema_of(declaration)
    registered = client.register_schema("moves-value", TheirSchema(schema.text, "AVRO"))
    framed = id_prefix(registered) + codec.encode(event)
    data = AvroDeserializer(client, schema.text)(framed, context)
    written = AvroSerializer(client, schema.text)(data, context)
    assert written is not None
    found = unframed(written, {})
    assert found.id == registered
    again = codec.decode(found.payload)
    assert msgspec.to_builtins(again) == msgspec.to_builtins(codec.decode(codec.encode(event)))
