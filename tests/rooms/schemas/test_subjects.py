"""Under which subject a type stands, and in which format its schema is."""

import pytest
from msgspec import Struct

from mainstem import DomainEvent, IntegrationEvent, Topic
from mainstem.errors import DefinitionError
from mainstem.events import Declarable, declaration_of
from mainstem.schemas import schema_of, subject_of


class Placed(IntegrationEvent, topic="orders", key="number", namespace="Shop", version=2):
    number: str


class Row(Struct):
    what: str


class Kept(DomainEvent, topic="kept", service="shop"):
    what: str


class Sent(IntegrationEvent, topic="sent", format="avro", schema_id="prefix"):
    what: str


class ByRoute(IntegrationEvent, format="avro", schema_id="prefix", subject="topic-record"):
    """What events of one topic have in common."""


class Moved(ByRoute, topic="moves", version=2):
    what: str


class Counted(ByRoute, topic="counts", format="json", subject="topic"):
    what: str


@pytest.mark.parametrize(
    ("declared", "subject"),
    [
        (Placed, "Shop.Placed.v2"),
        (Topic("orders", Row, subject="topic"), "orders-value"),
        (Topic("orders.v2", Row, subject="topic", version=2, oldest=2), "orders.v2-value"),
        (Topic("orders", Row, subject="topic-record", version=2), "orders-Row.v2"),
        (Kept, ":.shop:Kept"),
    ],
)
def test_a_subject_is_named_after_the_type(declared: Declarable, subject: str) -> None:
    """Or as other clients do it; a major version has a subject of its own, and a private type a context."""
    assert subject_of(declaration_of(declared)) == subject


def test_a_class_lends_its_form() -> None:
    """What the events of a topic, or of a service, have in common is stated once; a class line may say otherwise."""
    moved, counted = declaration_of(Moved), declaration_of(Counted)
    assert (moved.format, moved.schema_id, subject_of(moved)) == ("avro", "prefix", "moves-Moved.v2")
    assert (counted.format, counted.schema_id, subject_of(counted)) == ("json", "prefix", "counts-value")


def test_a_topic_names_the_subject_of_one_major() -> None:
    """Versions that cannot follow one another have no room there."""
    with pytest.raises(DefinitionError, match="version 2 of Row has no subject of its own"):
        Topic("orders", Row, subject="topic", version=2)
    with pytest.raises(DefinitionError, match="not a way to name the subject"):
        Topic("orders", Row, subject="topics")  # type: ignore[arg-type]


def test_a_schema_is_in_the_format_of_the_payload() -> None:
    """Whichever it is, one function gives it."""
    assert schema_of(declaration_of(Kept)).format == "JSON"
