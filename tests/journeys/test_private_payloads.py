"""What an event holds may be private: an error names its type, and never what is in it."""

import pytest

from mainstem import Context, IntegrationEvent, Retry, Service, running
from mainstem.errors import EventRefused
from tests.journeys.conditions import until

SECRET = "4111-1111-1111-1111"


class CardAdded(IntegrationEvent, topic="cards", key="customer_id"):
    customer_id: str
    number: str


class CardSeen(IntegrationEvent, topic="seen", key="number"):
    number: str


async def refusal(handled: str) -> tuple[str, str]:
    """What a handler is told when it publishes what it may not, and the name of the type."""
    shop = Service("shop", publishes=(CardAdded,))
    told: list[EventRefused] = []

    @shop.on(CardAdded, retry=Retry.never())
    async def handle(card: CardAdded, context: Context) -> None:
        try:
            if handled == "from outside":
                await shop.publish(card)
            else:
                context.publish(CardSeen(card.number))
        except EventRefused as error:
            told.append(error)

    async with running(shop, broker="sqlite:///:memory:", dev=True):
        await shop.publish(CardAdded("c-1", SECRET))
        await until(lambda: bool(told))
    return str(told[0]), f"{__name__}.{'CardAdded' if handled == 'from outside' else 'CardSeen'}"


@pytest.mark.parametrize("handled", ["from outside", "undeclared"])
async def test_a_refused_event_is_named_by_its_type(handled: str) -> None:
    """Neither a publish that would escape the commit nor an undeclared type shows the payload."""
    said, named = await refusal(handled)
    assert SECRET not in said
    assert f"where: {named}" in said


@pytest.mark.parametrize(("given", "said"), [(CardAdded, "CardAdded is"), ([CardAdded("c-1", SECRET)], "a list is")])
async def test_what_is_no_event_is_told_as_such(given: object, said: str) -> None:
    """A class and a list are easily written in the place of an event, and declaring them would not help."""
    shop = Service("shop", publishes=(CardAdded,))
    async with running(shop, broker="sqlite:///:memory:", dev=True):
        with pytest.raises(EventRefused) as refused:
            await shop.publish(given)
    assert f"{said} not an event" in refused.value.what
    assert SECRET not in str(refused.value)


async def test_an_event_that_the_service_does_not_declare_is_named_by_its_type() -> None:
    """Publishing from outside says which type was refused, and nothing that is in it."""
    shop = Service("shop", publishes=(CardAdded,))
    async with running(shop, broker="sqlite:///:memory:", dev=True):
        with pytest.raises(EventRefused) as refused:
            await shop.publish(CardSeen(SECRET))
    assert SECRET not in str(refused.value)
    assert f"where: {__name__}.CardSeen" in str(refused.value)
