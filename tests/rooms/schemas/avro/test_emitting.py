"""The Avro schema of a type."""

import json
import types
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypedDict, TypeVar

import fastavro
import msgspec
import pytest
from msgspec import Meta

from mainstem.errors import DefinitionError
from mainstem.events import Declaration, IntegrationEvent, Topic, declaration_of
from mainstem.schemas import Personal
from mainstem.schemas.avro import GRAMMAR, differences, schema_of
from mainstem.schemas.documents import Schema
from tests.rooms.schemas.avro.kinds import Card, Cash, Channel, Customer, ErpOrder, Line, Moved, OrderPaid, Tree

T = TypeVar("T")
DECLARATIONS = [
    declaration_of(OrderPaid),
    declaration_of(Moved),
    *(declaration_of(Topic("t", each)) for each in (ErpOrder, Customer)),
]


class Keys(TypedDict):
    """A typed dict."""

    a: int


class Maybe(TypedDict, total=False):
    """One whose keys may be missing."""

    a: int


class Box(msgspec.Struct, Generic[T]):
    """A type with a parameter."""

    value: T


class Row(msgspec.Struct, array_like=True):
    """A type whose fields have no names in its bytes."""

    value: int


def emitted(annotation: object, *default: object) -> Any:
    """What the field of an event becomes."""
    body: dict[str, object] = {"__annotations__": {"field": annotation}}
    if default:
        body["field"] = default[0]
    made = types.new_class("Made", (IntegrationEvent,), {"topic": "t"}, lambda space: space.update(body))
    [field] = json.loads(schema_of(declaration_of(made)).text)["fields"]
    assert field.pop("name") == "field"
    return field


@pytest.mark.parametrize("declaration", DECLARATIONS, ids=lambda each: each.wire_name)
def test_what_is_emitted_is_a_schema(declaration: Declaration) -> None:
    """For our grammar and for another library; it is the same each time, and reads itself."""
    schema = schema_of(declaration)
    GRAMMAR.check(schema, {})
    fastavro.parse_schema(json.loads(schema.text))
    assert schema_of(declaration) == schema
    assert differences(schema, Schema(GRAMMAR.normal(schema, {})), ({}, {}), "LENIENT").compatible


def test_a_record_has_the_wire_name() -> None:
    """With its namespace; what it was called before are aliases, and types within it are in its namespace."""
    document = json.loads(schema_of(declaration_of(OrderPaid)).text)
    assert (document["name"], document["aliases"]) == ("Shop.Orders.OrderPaid", ["Shop.Orders.Paid"])
    fields = {each["name"]: each["type"] for each in document["fields"]}
    assert fields["lines"]["items"]["name"] == "Shop.Orders.Line"
    assert fields["first"] == ["null", "Shop.Orders.Line"]
    assert fields["tree"]["fields"][1]["type"]["items"] == "Shop.Orders.Tree"


@pytest.mark.parametrize(
    ("annotation", "default", "expected"),
    [
        (str | None, None, {"type": ["null", "string"], "default": None}),
        (str | None, "x", {"type": ["string", "null"], "default": "x"}),
        (int | str, "x", {"type": ["string", "long"], "default": "x"}),
        (Annotated[int, Meta(ge=1, description="So many")], 3, {"type": "long", "doc": "So many", "default": 3}),
        (bytes, b"\xff\x00", {"type": "bytes", "default": "\xff\0"}),
        (tuple[int, ...], (1,), {"type": {"type": "array", "items": "long"}, "default": [1]}),
        (frozenset[str], frozenset("cab"), {"type": {"type": "array", "items": "string"}, "default": ["a", "b", "c"]}),
        (dict[str, Decimal], {}, {"type": {"type": "map", "values": "string"}, "default": {}}),
        (Literal[1, 2], 1, {"type": {"type": "long", "values": [1, 2]}, "default": 1}),
        (
            Literal["a", "b"] | None,
            "b",
            {"type": [{"type": "enum", "name": "MadeField", "symbols": ["a", "b"]}, "null"], "default": "b"},
        ),
        (
            Channel,
            Channel.SHOP,
            {
                "type": {"type": "enum", "name": "Channel", "symbols": ["web", "shop", "other"], "default": "other"},
                "default": "shop",
            },
        ),
        (
            Annotated[Decimal, Meta(extra={"precision": 4, "scale": 2})] | None,
            Decimal("-1.5"),
            {
                "type": [{"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}, "null"],
                "default": "\xff\x6a",
            },
        ),
        (
            Annotated[datetime, Meta(tz=False)],
            datetime(1970, 1, 1, 0, 0, 1),  # noqa: DTZ001 - without a zone
            {"type": {"type": "long", "logicalType": "local-timestamp-micros"}, "default": 1_000_000},
        ),
    ],
)
def test_a_field_has_its_type_and_its_default(annotation: object, default: object, expected: Any) -> None:
    """The type of the default comes first in a union; without a default, null does."""
    assert emitted(annotation, default) == expected


def test_a_default_that_is_made_each_time_is_none() -> None:
    """Readers cannot know it; an empty container they can."""

    class Made(IntegrationEvent, topic="t"):
        at: float = msgspec.field(default_factory=float)
        notes: dict[str, str] = msgspec.field(default_factory=dict)

    fields = json.loads(schema_of(declaration_of(Made)).text)["fields"]
    assert [each.get("default", "none") for each in fields] == ["none", {}]


def test_what_is_personal_is_tagged() -> None:
    """By the path of the field, in the metadata that a registry keeps."""

    class Person(IntegrationEvent, topic="t"):
        email: Annotated[str, Personal]
        age: int

    assert schema_of(declaration_of(Person)).metadata == {"tags": {"email": ["PERSONAL"]}}
    assert schema_of(declaration_of(Moved)).metadata is None


@pytest.mark.parametrize(
    ("annotation", "words", "path"),
    [
        (object, "object has no form", ".field"),
        (list, "list has no form", ".field"),
        (list[object], "object has no form", ".field[]"),
        (dict[int, str], "keys of this dict", ".field"),
        (tuple[int, str], "tuple of fixed length", ".field"),
        (list[None], "list of nothing", ".field"),
        (Box[int], "Box with parameters", ".field"),
        (Row, "Row is array_like", ".field"),
        (Maybe, "keys that may be missing", ".field"),
        (int | datetime, "union holds long", "fields/0/type"),
        (dict[str, Card | Line], "must be tagged", ""),
        (str | msgspec.UnsetType, "UnsetType", ".field"),
    ],
)
def test_a_type_without_a_form_in_avro_is_refused(annotation: object, words: str, path: str) -> None:
    """When the schema is asked for, with the way to the type and what to do."""
    with pytest.raises(DefinitionError, match=words) as caught:
        emitted(annotation)
    assert path in caught.value.where + caught.value.what
    assert caught.value.remedy


def test_two_types_of_one_name_are_refused() -> None:
    """A name in Avro is that of the class."""
    line = msgspec.defstruct("Line", [("a", int)])
    with pytest.raises(DefinitionError, match="two types have the name Line"):
        emitted(tuple[Line, ...] | line)


def test_a_wire_name_may_have_no_form_in_avro() -> None:
    """The error says so before anything is written."""
    with pytest.raises(DefinitionError, match="'erp/order' cannot be the name"):
        schema_of(declaration_of(Topic("t", ErpOrder, type_name="erp/order")))
    renamed = msgspec.defstruct("Renamed", [("a_b", int)], rename={"a_b": "a-b"})
    with pytest.raises(DefinitionError, match="'a-b' cannot be the name of a field"):
        schema_of(declaration_of(Topic("t", renamed)))


def test_a_field_with_a_default_may_be_added() -> None:
    """Which is how a type grows: old events are read by the new type, and new ones by the old."""

    class Moved(IntegrationEvent, topic="moves"):
        customer_id: str
        amount_cents: int
        currency: str = "EUR"
        note: str | None = None
        paid: Card | Cash | None = None

    before, after = schema_of(DECLARATIONS[1]), schema_of(declaration_of(Moved))
    for writer, reader in ((before, after), (after, before)):
        assert differences(writer, reader, ({}, {}), "LENIENT").differences == ()


def test_a_typed_dict_is_a_record() -> None:
    """Where none of its keys may be missing."""
    fields = [{"name": "a", "type": "long"}]
    assert emitted(Keys) == {"type": {"type": "record", "name": "Keys", "doc": "A typed dict.", "fields": fields}}


def test_a_type_may_hold_itself() -> None:
    """It is written out once."""
    document = json.loads(schema_of(declaration_of(Topic("t", Tree))).text)
    assert document["fields"][1]["type"] == {"type": "array", "items": "Tree"}
