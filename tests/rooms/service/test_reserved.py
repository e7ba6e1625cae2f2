"""Topics that the runtime has for itself: no service has them for its events, and their records may be read."""

from dataclasses import dataclass

import pytest

from mainstem import IntegrationEvent, Service, Topic, running
from mainstem.delivery import Entry
from mainstem.errors import DefinitionError, StartRefused
from mainstem.service import topics_of
from mainstem.settings import Settings
from tests.rooms.service.events import OrderPaid

MEMORY = "sqlite:///:memory:"
OWN = [*(f"shop.{end}" for end in ("inbox", "dead-letters", "answers", "changelog")), "mainstem.catalogue"]
OWN.append("mainstem.groups")


@dataclass
class Ordered:
    order_no: str


@dataclass
class Paid:
    order_no: str


async def refusal(*services: Service) -> str:
    """The one fault with which these services do not start."""
    with pytest.raises(StartRefused) as error:
        async with running(*services, broker=MEMORY, dev=True, settings=Settings()):
            pass
    [fault] = error.value.faults
    assert isinstance(fault, DefinitionError)
    with pytest.raises(DefinitionError, match="which Mainstem has for itself"):
        topics_of(services)
    return str(fault)


@pytest.mark.parametrize("name", OWN)
async def test_no_handler_takes_its_events_from_there(name: str) -> None:
    """Its group would take them for commands, or a tool for what the group tells, and nobody would handle them."""
    shop = Service("shop")

    @shop.on(Topic(name, Ordered, key="order_no"))
    async def book(order: Ordered) -> None: ...

    assert f"Ordered names the topic '{name}', which Mainstem has for itself" in await refusal(shop)


@pytest.mark.parametrize("name", OWN)
async def test_nobody_publishes_there(name: str) -> None:
    """What others write there would be taken for the runtime's own word, with an envelope or without one."""
    told = await refusal(Service("office", publishes=(Topic(name, Ordered, envelope=None),)))
    assert f"Ordered names the topic '{name}'" in told


async def test_what_a_handler_publishes_counts_as_well() -> None:
    """An event class is as little excepted as a Topic, wherever it is named; the fault says whose the topic is."""

    class Misplaced(IntegrationEvent, topic="till.inbox", key="number"):
        number: str

    shop = Service("shop")

    @shop.on(OrderPaid)
    async def book(order: OrderPaid) -> Misplaced | None: ...

    told = await refusal(shop)
    assert "Misplaced names the topic 'till.inbox'" in told
    assert "commands to the group 'till' arrive there" in told


async def test_nobody_describes_one() -> None:
    """An inbox with other partitions than its group has tasks would be no inbox."""
    shop = Service("shop", publishes=(OrderPaid,))
    shop.topic("shop.inbox", partitions=3)
    assert "service.topic(...) names the topic 'shop.inbox'" in await refusal(shop)


async def test_records_of_another_group_may_be_read_as_they_are() -> None:
    """Who wants to hear of the dead letters of a group takes its audit topic without an envelope, as ever."""
    shop, alarm = Service("shop"), Service("alarm")

    @shop.on(OrderPaid)
    async def book(order: OrderPaid) -> None: ...

    @alarm.on(Topic("shop.dead-letters", Entry, envelope=None))
    async def ring(entry: Entry) -> None: ...

    async with running(shop, alarm, broker=MEMORY, dev=True, settings=Settings()):
        pass


async def test_no_group_reads_its_own_inbox() -> None:
    """It does so already, and would be given each record twice."""
    shop = Service("shop")

    @shop.on(Topic("shop.inbox", Ordered, envelope=None))
    async def book(order: Ordered) -> None: ...

    assert "no group reads its own inbox" in await refusal(shop)


async def test_other_names_with_dots_are_anybodys() -> None:
    """Only the last part of a name counts."""
    shop = Service("shop")

    @shop.on(Topic("inbox", Ordered, key="order_no"), Topic("inbox.orders", Paid))
    async def book(order: Ordered | Paid) -> None: ...

    async with running(shop, broker=MEMORY, dev=True, settings=Settings()):
        pass
