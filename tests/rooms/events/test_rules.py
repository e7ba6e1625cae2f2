"""The rules of the kinds, as a service asks for them at start."""

import pytest

from mainstem.errors import DefinitionError
from mainstem.events import (
    DomainEvent,
    IntegrationEvent,
    NotificationEvent,
    Topic,
    check_publication,
    check_subscription,
    declaration_of,
)


class RoomBooked(DomainEvent, topic="rooms", service="booking"):
    """Private to booking."""

    room: int


class RoomOffered(IntegrationEvent, topic="offers", service="booking"):
    """Public."""

    room: int


class Reminder(NotificationEvent, topic="reminders"):
    """For a person."""

    text: str


def test_the_owner_may_do_both_with_its_domain_events() -> None:
    """Its own service publishes a domain event, and may subscribe to it."""
    check_subscription(declaration_of(RoomBooked), "booking")
    check_publication(declaration_of(RoomBooked), "booking")


def test_another_service_may_not_subscribe_to_a_domain_event() -> None:
    """The error says who owns it, why it is private, and to translate it."""
    with pytest.raises(DefinitionError, match="'billing' may not subscribe to RoomBooked") as caught:
        check_subscription(declaration_of(RoomBooked), "billing")
    assert "private" in caught.value.why
    assert "IntegrationEvent" in caught.value.remedy


def test_another_service_may_not_publish_a_domain_event() -> None:
    """Only its owner knows that the state has changed."""
    with pytest.raises(DefinitionError, match="'billing' may not publish RoomBooked"):
        check_publication(declaration_of(RoomBooked), "billing")


@pytest.mark.parametrize("declared", [Reminder, Topic("erp.rooms", dict)])
def test_public_events_are_for_everybody(declared: type[object] | Topic[object]) -> None:
    """Integration and notification events and foreign topics may be used by any service."""
    check_subscription(declaration_of(declared), "billing")
    check_publication(declaration_of(declared), "billing")


def test_an_owner_that_is_named_is_the_only_one_who_publishes() -> None:
    """A contract is read by everybody, and written by the service that its class line names."""
    check_subscription(declaration_of(RoomOffered), "billing")
    check_publication(declaration_of(RoomOffered), "booking")
    with pytest.raises(DefinitionError, match="'billing' may not publish RoomOffered, which belongs to 'booking'"):
        check_publication(declaration_of(RoomOffered), "billing")
