"""Under which subject a type stands, and in which format its schema is."""

import pytest

from mainstem import DomainEvent, IntegrationEvent
from mainstem.events import declaration_of
from mainstem.schemas import SubjectStrategy, schema_of, subject_of


class Placed(IntegrationEvent, topic="orders", key="number", namespace="Shop", version=2):
    number: str


class Kept(DomainEvent, topic="kept", service="shop"):
    what: str


class Sent(IntegrationEvent, topic="sent", format="avro", schema_id="prefix"):
    what: str


@pytest.mark.parametrize(
    ("strategy", "subject"),
    [
        ("record", "Shop.Placed.v2"),
        ("topic", "orders-value"),
        ("topic-record", "orders-Shop.Placed.v2"),
    ],
)
def test_a_subject_is_named_after_the_type(strategy: SubjectStrategy, subject: str) -> None:
    """Or as other clients do it; a major version has a subject of its own."""
    assert subject_of(declaration_of(Placed), strategy) == subject
    assert subject_of(declaration_of(Kept)) == "Kept"


def test_a_schema_is_in_the_format_of_the_payload() -> None:
    """Whichever it is, one function gives it."""
    assert schema_of(declaration_of(Kept)).format == "JSON"
