"""The class line of an event: what it declares, and every mistake found when the class is made."""

import gc
import types
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Literal, NewType
from uuid import UUID

import msgspec
import pytest

from mainstem.errors import DefinitionError
from mainstem.events import (
    Declaration,
    DomainEvent,
    Event,
    IntegrationEvent,
    NotificationEvent,
    declaration_of,
    key_function,
)

CustomerId = NewType("CustomerId", str)


class Colour(StrEnum):
    """An enum of texts."""

    RED = "red"


class Rank(IntEnum):
    """An enum of whole numbers."""

    FIRST = 1


class Opaque(Enum):
    """An enum that is neither."""

    A = "a"


class OrderPaid(IntegrationEvent, topic="orders", key="customer_id"):
    """A contract between services."""

    customer_id: str
    amount_cents: int
    currency: str = "EUR"
    lines: list[str] = []  # noqa: RUF012 - a msgspec struct makes an empty list for each


class RoomBooked(
    DomainEvent,
    topic="rooms",
    key=("hotel", "room"),
    version=3,
    was=("Booking.RoomTaken",),
    namespace="Booking",
    service="booking",
):
    """A change inside one service, with everything stated."""

    hotel: str
    room: int


def event(base: type[Event], annotations: dict[str, object], **line: object) -> type[object]:
    """An event class made at run time, where a type checker does not see its mistakes."""
    return types.new_class("Made", (base,), line, lambda body: body.update(__annotations__=annotations))


def test_the_class_line_becomes_the_declaration() -> None:
    """Route, key, names, version, kind and owner are read from the class line."""
    assert declaration_of(RoomBooked) == Declaration(
        type=RoomBooked,
        wire_name="Booking.RoomBooked",
        topic="rooms",
        key=("hotel", "room"),
        version=3,
        was=("Booking.RoomTaken",),
        kind="domain",
        service="booking",
    )


def test_what_is_not_stated_has_a_default() -> None:
    """Version 1, the class name on the wire, no former names, no owner, an envelope."""
    assert declaration_of(OrderPaid) == Declaration(
        type=OrderPaid, wire_name="OrderPaid", topic="orders", key=("customer_id",), kind="integration"
    )


def test_a_stated_name_is_the_whole_name_on_the_wire() -> None:
    """name= is taken word for word, also where there is a namespace."""

    class Placed(IntegrationEvent, topic="orders", name="shop.order.placed", namespace="Shop"):
        pass

    assert declaration_of(Placed).wire_name == "shop.order.placed"


def test_every_kind_says_which_it_is() -> None:
    """Each of the three base classes gives its kind to what extends it."""

    class Reminder(NotificationEvent, topic="reminders"):
        pass

    kinds = [declaration_of(each).kind for each in (RoomBooked, OrderPaid, Reminder)]
    assert kinds == ["domain", "integration", "notification"]


def test_an_event_is_frozen_compared_by_value_and_not_tracked() -> None:
    """Fields cannot be assigned, equal fields make equal events, and the cycle collector is spared."""
    paid = OrderPaid("c-9", 4200)
    with pytest.raises(AttributeError):
        setattr(paid, "amount_cents", 1)  # noqa: B010 - a type checker refuses the plain assignment
    assert paid == OrderPaid("c-9", amount_cents=4200)
    assert not gc.is_tracked(paid)


def test_an_empty_collection_as_default_is_fresh_for_each_event() -> None:
    """Two events never share the list that a field defaults to."""
    assert OrderPaid("a", 1).lines is not OrderPaid("a", 1).lines


def test_a_class_without_topic_lends_fields_key_namespace_and_service() -> None:
    """An abstract class in between hands these on; a subclass may state them anew."""

    class HotelEvent(DomainEvent, key="hotel", namespace="Booking", service="booking"):
        hotel: str

    class Closed(HotelEvent, topic="hotels"):
        pass

    class Audited(HotelEvent, topic="audits", key=None, namespace=None):
        auditor: str

    closed, audited = declaration_of(Closed), declaration_of(Audited)
    assert (closed.key, closed.wire_name, closed.service) == (("hotel",), "Booking.Closed", "booking")
    assert (audited.key, audited.wire_name, audited.service) == ((), "Audited", "booking")
    assert Audited("h-1", "ann").hotel == "h-1"


def test_a_class_without_topic_is_no_event_type() -> None:
    """Asking for its declaration is refused, with the way out."""

    class Shared(IntegrationEvent):
        customer_id: str

    for abstract in (Shared, DomainEvent, IntegrationEvent, NotificationEvent, Event):
        with pytest.raises(DefinitionError, match="has no topic") as caught:
            declaration_of(abstract)
        assert "topic=" in caught.value.remedy


def test_types_of_a_function_work_as_annotations() -> None:
    """An annotation that is a type, not a string, may name something defined in a function."""

    class Line(msgspec.Struct):
        sku: str

    class Shipped(IntegrationEvent, topic="shipments"):
        lines: list[Line]

    assert msgspec.json.decode(b'{"lines":[{"sku":"a"}]}', type=Shipped).lines[0].sku == "a"


@pytest.mark.parametrize(
    ("annotation", "value", "key"),
    [
        (str, "a", b"a"),
        ("str", "a", b"a"),
        (int, 7, b"7"),
        (UUID, UUID(int=1), b"00000000-0000-0000-0000-000000000001"),
        (CustomerId, "c", b"c"),
        (Annotated[str, msgspec.Meta(max_length=9)], "c", b"c"),
        (Literal["EWR", "JFK"], "JFK", b"JFK"),
        (Literal[1, 2], 2, b"2"),
        (Colour, Colour.RED, b"red"),
        (Rank, Rank.FIRST, b"1"),
    ],
)
def test_what_can_be_a_key(annotation: object, value: object, key: bytes) -> None:
    """Text, whole numbers and UUIDs, also behind an alias, an annotation, a literal or an enum."""
    made = event(IntegrationEvent, {"field": annotation}, topic="t", key="field")
    assert key_function(declaration_of(made))(msgspec.convert({"field": value}, made)) == key


@pytest.mark.parametrize(
    "annotation", [float, bool, bytes, Opaque, str | None, list[str], Literal["a", 1], "str | None"]
)
def test_what_cannot_be_a_key(annotation: object) -> None:
    """A type with several spellings, or that may be absent, is refused when the class is made."""
    with pytest.raises(DefinitionError, match="cannot be a key") as caught:
        event(IntegrationEvent, {"field": annotation}, topic="t", key="field")
    assert caught.value.where.endswith("Made.field")


@pytest.mark.parametrize(
    ("line", "words", "remedy"),
    [
        ({"topc": "orders"}, "no keyword 'topc'", "did you mean 'topic'"),
        ({"frozen": False}, "no keyword 'frozen'", "choose from"),
        ({"topic": "no spaces"}, "not a topic name", "letters"),
        ({"topic": ""}, "not a topic name", "letters"),
        ({"topic": ".."}, "not a topic name", "letters"),
        ({"topic": "x" * 250}, "not a topic name", "249"),
        ({"topic": 3}, "not a topic name", "letters"),
        ({"topic": "t", "key": "fild"}, "'fild', which is not a field", "did you mean 'field'"),
        ({"topic": "t", "key": ("field", "field")}, "twice", "once"),
        ({"topic": "t", "key": ()}, "does not name fields", "key="),
        ({"topic": "t", "key": ["field"]}, "does not name fields", "key="),
        ({"topic": "t", "version": 0}, "not a major version", "from 1"),
        ({"topic": "t", "version": "2"}, "not a major version", "from 1"),
        ({"topic": "t", "version": True}, "not a major version", "from 1"),
        ({"topic": "t", "name": ""}, "name of an event type", "letter"),
        ({"topic": "t", "name": "two words"}, "name of an event type", "letter"),
        ({"topic": "t", "was": "Older"}, "not a tuple", "was="),
        ({"topic": "t", "was": ("Made",)}, "repeats a name", "current name"),
        ({"topic": "t", "was": ("Older", "Older")}, "repeats a name", "twice"),
        ({"topic": "t", "was": ("",)}, "name of an event type", "letter"),
        ({"topic": "t", "namespace": "a b"}, "not a namespace", "dots"),
        ({"topic": "t", "service": ""}, "not the name of a service", "service="),
        ({"topic": "t", "envelope": "avro"}, "envelope='avro' is not known", '"structured"'),
        ({"topic": "t", "envelope": None}, "an event class always has an envelope", '"structured"'),
        ({"envelope": "structured"}, "states envelope= but no topic=", "topic="),
        ({"version": 2}, "states version= but no topic=", "topic="),
        ({"name": "Other"}, "states name= but no topic=", "topic="),
    ],
)
def test_a_mistake_in_the_class_line_is_found_at_once(line: dict[str, object], words: str, remedy: str) -> None:
    """Making the class fails, and the error says what to do."""
    with pytest.raises(DefinitionError, match=words) as caught:
        event(IntegrationEvent, {"field": str}, **line)
    assert remedy in caught.value.remedy
    assert caught.value.where


def test_a_domain_event_needs_an_owner() -> None:
    """Private means private to somebody."""
    with pytest.raises(DefinitionError, match="has no owner"):
        event(DomainEvent, {}, topic="t")


def test_an_event_of_no_kind_is_refused() -> None:
    """Event itself says a topic, but not what rules hold."""
    with pytest.raises(DefinitionError, match="what kind"):
        event(Event, {}, topic="t")


def test_a_declared_event_has_no_subclasses() -> None:
    """A subscription to it would not see them."""
    with pytest.raises(DefinitionError, match="extends OrderPaid"):
        event(OrderPaid, {}, topic="t")


def test_a_mutable_default_is_refused() -> None:
    """A list with something in it would be shared by all events."""
    with pytest.raises(DefinitionError, match="mutable") as caught:
        types.new_class(
            "Made", (IntegrationEvent,), {"topic": "t"}, lambda body: body.update(__annotations__={"a": list}, a=[1])
        )
    assert "default_factory" in caught.value.remedy


def test_a_required_field_behind_an_optional_one_is_refused() -> None:
    """Fields with defaults come last."""
    with pytest.raises(DefinitionError, match="Required field"):
        types.new_class(
            "Made",
            (IntegrationEvent,),
            {"topic": "t"},
            lambda body: body.update(__annotations__={"a": int, "b": int}, a=1),
        )


def test_a_string_that_names_a_local_type_says_to_move_it() -> None:
    """A string annotation is looked up in the module, where a function's types are not."""
    with pytest.raises(DefinitionError, match="'Nowhere'") as caught:
        event(IntegrationEvent, {"field": "Nowhere"}, topic="t", key="field")
    assert "move Nowhere to module level" in caught.value.remedy
