"""The JSON Schema of an event type says what its decoder reads."""

import enum
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, NewType
from uuid import UUID

import jsonschema_rs
import msgspec
import pydantic
import pytest
from hypothesis import given, settings

from mainstem.errors import DefinitionError
from mainstem.events import Declarable, Declaration, IntegrationEvent, Topic, declaration_of
from mainstem.schemas import Personal, codec_for, fallback
from mainstem.schemas.jsonschema import schema_of
from tests.rooms.schemas.instances import instances

Email = NewType("Email", str)


@fallback("OTHER")
class Channel(enum.StrEnum):
    """Where it was ordered."""

    WEB = "web"
    OTHER = "other"


class Size(enum.Enum):
    SMALL = 1
    LARGE = 2


class Person(msgspec.Struct):
    """Somebody.

    Who has ordered.
    """

    email: Annotated[Email, Personal]
    nicknames: list[Annotated[str, Personal]] = []


class Line(msgspec.Struct, rename="camel"):
    unit_price: Annotated[int, msgspec.Meta(ge=0, description="in cents")]
    parts: "list[Line]" = []


class OrderPlaced(IntegrationEvent, topic="orders", key="order_id", namespace="Shop"):
    """An order was placed."""

    order_id: Annotated[str, msgspec.Meta(min_length=1, max_length=8, pattern="^o")]
    person: Person
    lines: list[Line]
    channel: Channel = Channel.WEB
    size: Size | None = None
    people: dict[str, Person] = {}  # noqa: RUF012 - copied for each event
    nested: "OrderPlaced | None" = None


@dataclass
class Bag:
    tag: str
    when: Annotated[datetime, msgspec.Meta(tz=True)]
    owner: Annotated[str | None, Personal()] = None
    route: Sequence[Literal["UA", "LH"]] = field(default_factory=list)
    extra: Mapping[str, Decimal] = field(default_factory=dict)


class Seat(pydantic.BaseModel):
    """A seat."""

    row_number: pydantic.PositiveInt = pydantic.Field(alias="row")
    passenger: Annotated[str, Personal] = pydantic.Field(default="", alias="who")
    channel: Channel = Channel.WEB
    beside: "Seat | None" = None


class Closed(msgspec.Struct, forbid_unknown_fields=True):
    id: UUID


DECLARED = [
    declaration_of(each)
    for each in (OrderPlaced, Topic("bags", Bag), Topic("seats", Seat, type_name="airport.seat"), Topic("c", Closed))
]


def document(kind: Declarable) -> dict[str, object]:
    """The emitted schema, as data."""
    found: dict[str, object] = json.loads(schema_of(declaration_of(kind)).text)
    return found


def test_a_schema_in_full() -> None:
    """The root stands at the top with the wire name, what it refers to below it, and nothing else is said."""
    assert schema_of(declaration_of(OrderPlaced)).text == (
        '{"$schema":"https://json-schema.org/draft/2020-12/schema","title":"Shop.OrderPlaced",'
        '"description":"An order was placed.","type":"object","properties":{'
        '"order_id":{"type":"string","maxLength":8,"minLength":1,"pattern":"^o"},'
        '"person":{"$ref":"#/$defs/Person"},"lines":{"type":"array","items":{"$ref":"#/$defs/Line"}},'
        '"channel":{"$ref":"#/$defs/Channel","default":"web"},'
        '"size":{"anyOf":[{"$ref":"#/$defs/Size"},{"type":"null"}],"default":null},'
        '"people":{"type":"object","additionalProperties":{"$ref":"#/$defs/Person"},"default":{}},'
        '"nested":{"anyOf":[{"$ref":"#"},{"type":"null"}],"default":null}},'
        '"required":["order_id","person","lines"],"$defs":{'
        '"Channel":{"title":"Channel","description":"Where it was ordered.","enum":["other","web"],'
        '"x-mainstem-fallback":"other"},'
        '"Line":{"title":"Line","type":"object","properties":{'
        '"unitPrice":{"description":"in cents","type":"integer","minimum":0},'
        '"parts":{"type":"array","default":[],"items":{"$ref":"#/$defs/Line"}}},"required":["unitPrice"]},'
        '"Person":{"title":"Person","description":"Somebody.\\n\\nWho has ordered.","type":"object","properties":{'
        '"email":{"type":"string"},"nicknames":{"type":"array","default":[],"items":{"type":"string"}}},'
        '"required":["email"]},"Size":{"title":"Size","enum":[1,2]}}}'
    )


def test_personal_fields_are_tagged_by_their_path() -> None:
    """Also inside other types, lists and dicts; the path has the names on the wire."""
    assert schema_of(declaration_of(OrderPlaced)).metadata == {
        "tags": {
            "person.email": ["PERSONAL"],
            "person.nicknames[]": ["PERSONAL"],
            "people{}.email": ["PERSONAL"],
            "people{}.nicknames[]": ["PERSONAL"],
        }
    }
    assert schema_of(declaration_of(Topic("bags", Bag))).metadata == {"tags": {"owner": ["PERSONAL"]}}
    assert schema_of(declaration_of(Topic("seats", Seat))).metadata == {"tags": {"who": ["PERSONAL"]}}
    assert schema_of(declaration_of(Topic("closed", Closed))).metadata is None


def test_a_model_has_the_same_kind_of_schema() -> None:
    """Aliases are names; what pydantic makes up of a name is left out; a model that holds itself is the root."""
    assert document(Topic("seats", Seat, type_name="airport.seat")) == {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "airport.seat",
        "description": "A seat.",
        "type": "object",
        "properties": {
            "row": {"exclusiveMinimum": 0, "type": "integer"},
            "who": {"default": "", "type": "string"},
            "channel": {"$ref": "#/$defs/Channel", "default": "web"},
            "beside": {"anyOf": [{"$ref": "#"}, {"type": "null"}], "default": None},
        },
        "required": ["row"],
        "$defs": {
            "Channel": {
                "title": "Channel",
                "description": "Where it was ordered.",
                "enum": ["web", "other"],
                "type": "string",
                "x-mainstem-fallback": "other",
            }
        },
    }


def test_a_schema_is_closed_where_the_decoder_is() -> None:
    """A type that refuses unknown fields says so; any other leaves it open."""
    assert document(Topic("t", Closed))["additionalProperties"] is False
    assert "additionalProperties" not in document(OrderPlaced)


@pytest.mark.parametrize("declaration", DECLARED, ids=lambda each: each.wire_name)
def test_it_is_a_schema_of_its_dialect(declaration: Declaration) -> None:
    """A validator takes it, and the same type gives the same text."""
    schema = schema_of(declaration)
    assert schema.format == "JSON"
    assert jsonschema_rs.meta.is_valid(json.loads(schema.text))
    assert schema_of(declaration).text == schema.text


@pytest.mark.parametrize("declaration", DECLARED, ids=lambda each: each.wire_name)
def test_what_is_written_fits_its_schema(declaration: Declaration) -> None:
    """Instances of the schema are read, and what is written of them again is an instance."""
    codec = codec_for(declaration)
    schema = json.loads(schema_of(declaration).text)
    validator = jsonschema_rs.validator_for(schema)

    @settings(max_examples=40, deadline=None)
    @given(instances(schema))
    def check(instance: object) -> None:
        validator.validate(instance)
        event = codec.decode(json.dumps(instance).encode())
        validator.validate(json.loads(codec.encode(event)))

    check()


def test_whatever_comes_has_a_schema_that_says_nothing() -> None:
    """A field of type object, or of any type, takes what there is; so does a topic of such payloads."""
    loose = msgspec.defstruct("Loose", [("one", object), ("other", Any), ("raw", msgspec.Raw)])
    assert document(Topic("t", loose))["properties"] == {"one": {}, "other": {}, "raw": {}}
    assert set(document(Topic("t", object, envelope=None))) == {"$schema", "title"}
    assert document(Topic("t", dict, envelope=None))["type"] == "object"


def test_what_has_no_form_in_json_has_no_schema() -> None:
    """The same error as for its codec; a model may be read, and still have none."""

    class Strange:
        pass

    class Holder(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)
        inner: Strange

    with pytest.raises(DefinitionError, match="Holder has no JSON Schema"):
        schema_of(declaration_of(Topic("t", Holder)))

    class Odd(msgspec.Struct):
        inner: complex

    with pytest.raises(DefinitionError, match="complex has no form in JSON"):
        schema_of(declaration_of(Topic("t", Odd)))
