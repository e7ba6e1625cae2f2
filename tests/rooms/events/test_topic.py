"""Topics that are not ours, and the way to a declaration."""

from dataclasses import dataclass, make_dataclass
from typing import cast

import msgspec
import pytest
from msgspec.structs import replace

from mainstem.errors import DefinitionError
from mainstem.events import Declaration, IntegrationEvent, Topic, check_publication, declaration_of, key_function


@dataclass
class ErpOrder:
    """A plain dataclass."""

    order_no: str
    lines: int = 0


class Reading(msgspec.Struct):
    """A plain struct."""

    sensor: int
    celsius: float


class Declared(IntegrationEvent, topic="orders"):
    """An event class."""


def test_a_foreign_topic_declares_a_plain_type() -> None:
    """A dataclass becomes an event type by naming its topic; nothing is stated about kind or owner."""
    orders = Topic("erp.orders", ErpOrder, key="order_no", envelope=None)
    assert declaration_of(orders) == Declaration(
        type=ErpOrder, wire_name="ErpOrder", topic="erp.orders", key=("order_no",), envelope=None
    )
    assert (orders.name, repr(orders)) == ("erp.orders", "Topic('erp.orders', ErpOrder)")


def test_a_struct_may_have_another_name_on_the_wire() -> None:
    """type_name= is the ce_type; the version is a major version as elsewhere."""
    declaration = declaration_of(Topic("readings", Reading, type_name="plant.reading", version=2))
    assert (declaration.wire_name, declaration.version, declaration.envelope) == ("plant.reading", 2, "cloudevents")


def test_inherited_fields_of_a_dataclass_can_be_the_key() -> None:
    """The annotation is found in the class that wrote it."""

    @dataclass
    class Special(ErpOrder):
        discount: int = 0

    declaration = declaration_of(Topic("erp.special", Special, key=("order_no", "discount")))
    assert key_function(declaration)(Special("a", 1, 5)) == b'["a",5]'


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Topic("no spaces", ErpOrder), "not a topic name"),
        (lambda: Topic("t", ErpOrder, key="order"), "not a field of ErpOrder"),
        (lambda: Topic("t", Reading, key="celsius"), "cannot be a key"),
        (lambda: Topic("t", dict, key="a"), "no declared fields"),
        (lambda: Topic("t", Declared), "is an event class"),
        (lambda: Topic("t", ErpOrder, version=0), "not a major version"),
        (lambda: Topic("t", cast("type[ErpOrder]", ErpOrder("a"))), "not a class"),
        (lambda: Topic("t", ErpOrder, envelope=cast("None", "avro")), "'avro' is not known"),
    ],
)
def test_a_mistake_in_a_topic_is_found_at_once(make: object, words: str) -> None:
    """Constructing it fails, not the first record."""
    with pytest.raises(DefinitionError, match=words):
        cast("type[object]", make)()


@pytest.mark.parametrize("undeclared", [ErpOrder, dict, Declared(), "Declared"])
def test_what_is_not_declared_has_no_declaration(undeclared: object) -> None:
    """A plain class, an event instead of its type, or a name: refused, with the way out."""
    with pytest.raises(DefinitionError) as caught:
        declaration_of(cast("type[object]", undeclared))
    assert caught.value.remedy


class Placed(IntegrationEvent, topic="orders", key="order_id", version=2, oldest=2, namespace="Shop"):
    order_id: str
    customer_id: str
    total_cents: int = 0


@dataclass
class Seen:
    order_id: str
    customer_id: str


def test_an_event_can_be_read_as_a_smaller_type() -> None:
    """Route, names, versions, kind and key are those of the event; only what is made of the payload is another type."""
    whole, seen = declaration_of(Placed), declaration_of(Topic.of(Placed, as_=Seen))
    assert (seen.type, seen.whole) == (Seen, Placed)
    assert seen.upcasts is whole.upcasts
    assert replace(seen, type=whole.type, whole=None) == whole
    key_only = make_dataclass("KeyOnly", [("total_cents", int)])
    assert declaration_of(Topic.of(Placed, as_=key_only)).key == ("order_id",)
    assert declaration_of(Topic.of(Topic("readings", Seen), as_=Seen)).topic == "readings"


def test_what_is_read_must_be_there() -> None:
    """A field that the event does not have is refused with the nearest one; and so is another event class."""
    misspelt = make_dataclass("Misspelt", [("costumer_id", str)])
    with pytest.raises(DefinitionError, match=r"'costumer_id', which Shop.Placed v2 does not have(.|\n)*customer_id"):
        Topic.of(Placed, as_=misspelt)
    with pytest.raises(DefinitionError, match=r"is not a class to read Shop\.Placed as"):
        Topic.of(Placed, as_=Placed)
    with pytest.raises(DefinitionError, match="is not a class to read"):
        Topic.of(Placed, as_="Seen")  # type: ignore[arg-type]


def test_what_is_read_of_an_event_is_published_by_nobody() -> None:
    """The other fields would be missing, whoever tries."""
    with pytest.raises(DefinitionError, match=r"it is what is read of Shop\.Placed"):
        check_publication(declaration_of(Topic.of(Placed, as_=Seen)), "shop")
