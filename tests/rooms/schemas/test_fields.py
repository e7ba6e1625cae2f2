"""Which fields of an event a schema names, and which of them a difference is about."""

from dataclasses import dataclass
from typing import Annotated

import pytest
from msgspec.structs import replace

from mainstem import IntegrationEvent
from mainstem.events import EventFormat, declaration_of
from mainstem.schemas import FieldNumber, schema_of
from mainstem.schemas.compatibility import concerned, innermost, touches
from mainstem.schemas.documents import Schema
from mainstem.schemas.formats import differ_of, fields_of


@dataclass
class Line:
    """An item of a list, and a value of a map."""

    sku: Annotated[str, FieldNumber(1)]
    cents: Annotated[int, FieldNumber(2)]


class Ordered(IntegrationEvent, topic="orders", key="order"):
    order: Annotated[str, FieldNumber(1)]
    payer: Annotated[str, FieldNumber(2)]
    lines: Annotated[list[Line], FieldNumber(3)]
    extras: Annotated[dict[str, Line], FieldNumber(4)]


class OrderedAnew(IntegrationEvent, topic="orders", key="order", name="Ordered"):
    order: Annotated[str, FieldNumber(1)]
    payer: Annotated[int, FieldNumber(2)]


def schema_in(event: type, written: EventFormat) -> Schema:
    """The schema of an event in a format."""
    return schema_of(replace(declaration_of(event), format=written))


@pytest.mark.parametrize("written", ["json", "avro", "protobuf"])
def test_fields_are_named_alike_in_every_format(written: EventFormat) -> None:
    """Items of lists and values of maps as well; of what has parts the parts alone."""
    found = innermost(fields_of(schema_in(Ordered, written)))
    assert set(found) == {"order", "payer", "lines[].sku", "lines[].cents", "extras{}.sku", "extras{}.cents"}


@pytest.mark.parametrize("written", ["json", "avro", "protobuf"])
def test_a_difference_is_about_fields(written: EventFormat) -> None:
    """The field whose type is another one is named, whatever the format calls its place."""
    writer, reader = schema_in(OrderedAnew, written), schema_in(Ordered, written)
    fields = fields_of(reader)
    found = differ_of(reader.format)(writer, reader, ({}, {}), "LENIENT").differences
    about = {field for each in found for field in concerned(each, fields)}
    assert "payer" in about
    assert "order" not in about
    assert ("lines" in about) == (written != "protobuf")  # what is not there is empty in Protobuf


def test_a_type_that_holds_itself_is_followed_once() -> None:
    """Otherwise a tree would have fields without end."""
    schema = Schema('{"properties":{"left":{"$ref":"#"},"name":{"type":"string"}}}', "JSON")
    assert set(innermost(fields_of(schema))) == {"name", "left.left", "left.name"}


def test_whoever_reads_a_part_reads_the_whole() -> None:
    """And whoever takes the whole reads its parts; a name that only begins alike is another one."""
    assert touches("lines", ["lines[].sku"])
    assert touches("lines[].sku", ["lines"])
    assert touches("prices{}.cents", ["prices{}"])
    assert not touches("line", ["lines[].sku"])
    assert not touches("lines[].cents", ["lines[].sku"])
