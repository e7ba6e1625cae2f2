"""Services of different ages: what one writes, the others read, each as the type that it knows."""

import json
from dataclasses import dataclass

import pydantic
import pytest

from mainstem import Context, IntegrationEvent, Retry, Service, Topic
from mainstem.errors import DecodingFailed, DefinitionError, StartRefused, VersionUnknown
from mainstem.events import Plain
from mainstem.schemas.upcasting import rename
from mainstem.service import read_catalogue
from mainstem.testing import simulate, simulated


class PlacedFirst(IntegrationEvent, topic="orders", key="order_id", name="Shop.OrderPlaced"):
    order_id: str
    client_id: str
    total: int


class Placed(IntegrationEvent, topic="orders", key="order_id", name="Shop.OrderPlaced", version=3):
    order_id: str
    customer_id: str
    total: dict[str, int | str]


Placed.upcast(1, rename("client_id", "customer_id"))


@Placed.upcast(2)
def with_currency(data: Plain) -> Plain:
    """An amount without a currency was in euros."""
    return {**data, "total": {"amount": data["total"], "currency": "EUR"}}


@dataclass
class Seen:
    """All that the mailer needs."""

    order_id: str
    customer_id: str


class Row(pydantic.BaseModel):
    """What another system writes."""

    number: int


seen = Topic.of(Placed, as_=Seen)
rows = Topic("rows", Row, key="number", type_name="erp.row")


def shop(*kinds: type[IntegrationEvent]) -> Service:
    """A producer of some versions."""
    return Service("shop", publishes=kinds)


def mailer(got: list[object], retry: Retry | None = None) -> Service:
    """Reads what it needs."""
    service = Service("mailer")

    @service.on(seen, retry=retry or Retry())
    async def mail(event: Seen, context: Context) -> None:
        got.append((event, context.envelope.version))

    return service


@simulated
async def test_everybody_reads_what_an_old_and_a_new_producer_write() -> None:
    """A producer may write both versions for a while; a reader sees the type that it asks for, whichever came."""
    bills, mails = list[object](), list[object]()
    billing = Service("billing")

    @billing.on(Placed)
    async def bill(event: Placed) -> None:
        bills.append(event)

    async with simulate(shop(PlacedFirst, Placed), billing, mailer(mails)) as world:
        await world.publish(PlacedFirst("o-1", "c-1", 7), Placed("o-2", "c-2", {"amount": 9, "currency": "CHF"}))
        await world.settle()
        assert sorted(bills, key=str) == [
            Placed("o-1", "c-1", {"amount": 7, "currency": "EUR"}),
            Placed("o-2", "c-2", {"amount": 9, "currency": "CHF"}),
        ]
        assert sorted(mails, key=str) == [(Seen("o-1", "c-1"), 1), (Seen("o-2", "c-2"), 3)]
        assert {each.order_id for each in world.published(Placed)} == {"o-1", "o-2"}


@simulated
async def test_a_later_version_is_a_dead_letter_with_that_reason() -> None:
    """A reader that is deployed too late loses nothing, and says so."""
    service = Service("late")
    got = list[object]()

    @service.on(PlacedFirst)
    async def take(event: PlacedFirst) -> None:
        got.append(event)

    async with simulate(shop(Placed), service) as world:
        await world.publish(Placed("o-1", "c-1", {}))
        await world.settle()
        [letter] = world.dead_letters()
        assert "Shop.OrderPlaced v3, and only v1 is known here" in letter.error
        assert got == []


@pytest.mark.parametrize(
    ("retry", "after"),
    [
        (Retry(), 5),
        (Retry.on(Exception).later("1m"), 5),
        (Retry.on(TimeoutError).inline(3).within(attempts=2), 2),
        (Retry.on(VersionUnknown).dead_letter(), 1),
        (Retry.on(DecodingFailed).later("1m"), 2),
    ],
    ids=str,
)
@simulated
async def test_a_service_waits_for_later_versions(retry: Retry, after: int) -> None:
    """Each of its handlers does, but those whose own policy says something of them."""
    service = Service("late", later_versions=("1h", "1h", "1h", "1h"))

    @service.on(PlacedFirst, retry=retry)
    async def take(event: PlacedFirst) -> None: ...

    async with simulate(shop(Placed), service) as world:
        await world.publish(Placed("o-1", "c-1", {}))
        await world.advance("1s")
        assert len(world.dead_letters()) == (after == 1)
        await world.settle()
        [letter] = world.dead_letters()
        assert letter.entry.failure.failures == after


async def test_times_for_later_versions_are_durations() -> None:
    """A word in their place is told where it is written, and so are times that no try lives to see."""
    with pytest.raises(DefinitionError, match="7d"):
        Service("late", later_versions=("5d", "5d"))
    with pytest.raises(DefinitionError, match="later_versions"):
        Service("late", later_versions="1h")  # type: ignore[arg-type]


async def test_a_contract_can_be_asked_of_the_running_system() -> None:
    """It names the fields that a reader takes, and the versions; not those that it passes over."""
    service = mailer([], Retry.on(VersionUnknown).later("1h"))
    async with service.running(broker="sqlite:///:memory:", dev=True) as process:
        entries = {entry.service: entry for entry in await read_catalogue(process.broker)}
    [read] = entries["mailer"].subscriptions[0].reads
    assert (read.name, read.oldest, read.version) == ("Shop.OrderPlaced", 1, 3)
    assert list(json.loads(read.schema)["properties"]) == ["order_id", "customer_id"]
    assert [each.name for each in entries["mailer"].publishes] == []


@simulated
async def test_a_model_goes_the_same_way_as_any_event() -> None:
    """It is keyed, published, handled and found again; what is no such model is a dead letter with its path."""
    service = Service("erp", publishes=(rows,))
    got = list[object]()

    @service.on(rows)
    async def take(row: Row) -> None:
        got.append(row)

    async with simulate(service) as world:
        await world.publish(Row(number=7))
        await world.publish(Row.model_construct(number=8))
        await world.settle()
        assert got == [Row(number=7), Row(number=8)]
        assert [each.key for each in world.published(Row).facts] == [b"7", b"8"]


async def test_a_gap_stops_the_start() -> None:
    """The start is refused with the version from which no step leads on."""

    class Lost(IntegrationEvent, topic="orders", version=2):
        order_id: str

    service = Service("lost")

    @service.on(Lost)
    async def take(_: Lost) -> None: ...

    with pytest.raises(StartRefused, match="nobody says how Lost v1 becomes the next version"):
        async with service.running(broker="sqlite:///:memory:", dev=True):
            pass


async def test_what_is_read_of_an_event_is_no_output() -> None:
    """A service that names it among what it publishes does not start."""
    with pytest.raises((DefinitionError, StartRefused), match="cannot be published"):
        async with Service("shop", publishes=(seen,)).running(broker="sqlite:///:memory:", dev=True):
            pass


async def test_two_types_of_one_event_are_for_two_groups() -> None:
    """An event is decoded once for all handlers of a group, as one type."""
    service = Service("both")

    @service.on(seen)
    async def small(_: Seen) -> None: ...

    @service.on(Placed)
    async def large(_: Placed) -> None: ...

    with pytest.raises(StartRefused, match="would be two types"):
        async with service.running(broker="sqlite:///:memory:", dev=True):
            pass
    apart = Service("apart")

    @apart.on(Placed, name="large")
    async def whole(_: Placed) -> None: ...

    @apart.group("mail").on(seen, name="small")
    async def part(_: Seen) -> None: ...

    async with apart.running(broker="sqlite:///:memory:", dev=True):
        pass
