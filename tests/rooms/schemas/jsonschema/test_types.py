"""How an event type may change: the schemas are those that are made of the types themselves."""

import msgspec

from mainstem import IntegrationEvent
from mainstem.events import declaration_of
from mainstem.schemas.compatibility import Verdict
from mainstem.schemas.jsonschema import differences, schema_of


class Card(msgspec.Struct, tag="card"):
    number: str


class Cash(msgspec.Struct, tag="cash"):
    pass


class Bank(msgspec.Struct, tag="bank"):
    iban: str


class Line(msgspec.Struct):
    sku: str
    amount: int = 1


class LineWithNote(msgspec.Struct):
    sku: str
    amount: int = 1
    note: str = ""


class Node(msgspec.Struct):
    value: int
    kids: list["Node"] = []


class Placed(IntegrationEvent, topic="placed", key="id", name="Placed"):
    id: str
    lines: list[Line]
    paid: Card | Cash
    tree: Node | None = None


class PlacedWithMore(IntegrationEvent, topic="placed.more", key="id", name="Placed"):
    id: str
    lines: list[LineWithNote]
    paid: Card | Cash
    tree: Node | None = None
    remark: str | None = None
    tags: set[str] = msgspec.field(default_factory=set)


class PlacedByBank(IntegrationEvent, topic="placed.bank", key="id", name="Placed"):
    id: str
    lines: list[Line]
    paid: Card | Cash | Bank
    total: int
    tree: Node | None = None


def read(writer: type[IntegrationEvent], reader: type[IntegrationEvent]) -> Verdict:
    """Whether the one reads what the other writes, as events are compared."""
    return differences(schema_of(declaration_of(writer)), schema_of(declaration_of(reader)), ({}, {}), "LENIENT")


def test_fields_with_defaults_come_and_go() -> None:
    """At the top, and in what is nested in lists and unions."""
    assert read(Placed, PlacedWithMore).compatible
    assert read(PlacedWithMore, Placed).compatible


def test_a_required_field_is_missed_and_a_new_alternative_is_not_known() -> None:
    """Each with an event that shows it."""
    (missed,) = read(Placed, PlacedByBank).differences
    assert (missed.rule, missed.reader) == ("required-added", "total")
    (unknown,) = read(PlacedByBank, Placed).differences
    assert (unknown.path, unknown.rule) == ("/properties/paid/anyOf", "any-of-narrowed")
    assert isinstance(unknown.counterexample, dict)
    assert unknown.counterexample["paid"] == {"iban": "", "type": "bank"}
