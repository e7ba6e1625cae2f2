"""What is said about an event beside its payload: by who publishes it, and to who handles it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from mainstem import Context, Envelope, IntegrationEvent, Retry, Service, Topic
from mainstem.errors import EventRefused
from mainstem.service import PublishTransaction
from mainstem.testing import simulate, simulated
from tests.journeys.conditions import until
from tests.rooms.service.events import embedded

HAPPENED = datetime(2013, 1, 1, 5, 17, tzinfo=UTC)


class Departed(IntegrationEvent, topic="departures", key="flight"):
    flight: str


class Delayed(IntegrationEvent, topic="delays", key="flight"):
    flight: str


@dataclass(frozen=True)
class Ticket:
    """A record of another system."""

    number: str


TICKETS = Topic("erp.tickets", Ticket, key="number", envelope=None)


def tower(seen: list[Envelope]) -> Service:
    """A service that passes on what it is told, with attributes of its own, and keeps what it sees."""
    service = Service("tower", publishes=(Departed,))

    @service.on(Departed)
    async def depart(event: Departed, context: Context) -> Delayed:
        seen.append(context.envelope)
        found = context.envelope
        context.publish(
            Delayed(event.flight), subject=event.flight, time=found.time, extensions={"gate": "7", **found.extensions}
        )
        return Delayed(event.flight)

    @service.on(Delayed)
    async def delay(_: Delayed, context: Context) -> None:
        seen.append(context.envelope)

    return service


@pytest.mark.parametrize("form", ["call", "transaction"])
async def test_what_is_stated_reaches_the_handler_and_goes_on(form: str) -> None:
    """Subject, time, correlation and unknown attributes, from outside and from a handler; a plain output has none."""
    seen: list[Envelope] = []
    service = tower(seen)
    async with embedded() as broker, service.running(broker=broker, dev=True):
        if form == "call":
            await service.publish(
                Departed("UA1"), subject="EWR", time=HAPPENED, extensions={"tenantid": "t"}, correlation_id="trip-1"
            )
        else:
            async with service.transaction() as transaction:
                transaction.publish(
                    Departed("UA1"), subject="EWR", time=HAPPENED, extensions={"tenantid": "t"}, correlation_id="trip-1"
                )
        await until(lambda: len(seen) == 3)
    first, told, plain = seen
    for each in seen:
        each.check()
        assert (each.source, each.correlation_id) == ("/tower", "trip-1")
    assert (first.type, first.subject, first.time, first.extensions) == ("Departed", "EWR", HAPPENED, {"tenantid": "t"})
    assert (first.causation_id, told.causation_id) == (None, first.id)
    assert (told.type, told.subject, told.time) == ("Delayed", "UA1", HAPPENED)
    assert told.extensions == {"gate": "7", "tenantid": "t"}
    assert (plain.subject, plain.extensions, plain.causation_id) == (None, {}, first.id)
    assert plain.time - HAPPENED > timedelta(days=365)


async def test_what_is_stated_counts_for_every_event_of_the_call() -> None:
    """Also for those of another type; what is published afterwards has none of it."""
    seen: list[Envelope] = []
    service = tower(seen)
    async with embedded() as broker, service.running(broker=broker, dev=True, consume=True):
        async with service.transaction() as transaction:
            transaction.publish(Departed("UA1"), Departed("UA2"), subject="EWR")
            transaction.publish(Departed("UA3"))
        await until(lambda: len(seen) == 9)
    found = {each.origin.key: each.subject for each in seen if each.type == "Departed"}
    assert found == {b"UA1": "EWR", b"UA2": "EWR", b"UA3": None}


def refusals() -> list[tuple[Callable[[Service, PublishTransaction], object], str]]:
    """What cannot be stated, and how it is refused."""
    return [
        (lambda it, _: it.publish(Departed("UA1"), subject=""), "the attribute subject is empty"),
        (lambda it, _: it.publish(Departed("UA1"), time=HAPPENED.replace(tzinfo=None)), "no time zone"),
        (lambda it, _: it.publish(Departed("UA1"), extensions={"tenant_id": "t"}), "cannot name an extension"),
        (lambda it, _: it.publish(Departed("UA1"), correlation_id=cast("str", 7)), "correlation_id is a int"),
        (lambda it, _: it.publish(Ticket("1"), subject="EWR"), "its topic has no envelope"),
        (lambda _, it: it.publish(Ticket("1"), correlation_id="c-1"), "its topic has no envelope"),
        (lambda _, it: it.publish(Departed("UA1"), extensions={"id": "x"}), "cannot name an extension"),
    ]


@pytest.mark.parametrize(("publish", "what"), refusals())
async def test_what_cannot_be_stated_is_refused(
    publish: Callable[[Service, PublishTransaction], object], what: str
) -> None:
    """At the call, before anything is on its way; also where a record has no place for attributes."""
    service = Service("tower", publishes=(Departed, TICKETS))
    async with embedded() as broker, service.running(broker=broker, dev=True, consume=False):
        with pytest.raises(EventRefused, match=what):
            publish(service, service.transaction())
        topics = await broker.admin.topics(["departures", "erp.tickets"])
        assert [sum(each.ends) for each in topics.values()] == [0, 0]


@simulated
async def test_a_handler_states_nothing_where_there_is_no_place() -> None:
    """It fails at the call; what it had published before falls with it."""
    service = Service("tower")

    @service.on(Departed, publishes=(Delayed, TICKETS), retry=Retry.never())
    async def depart(event: Departed, context: Context) -> None:
        context.publish(Delayed(event.flight))
        context.publish(Ticket("t-1"), subject="EWR")

    async with simulate(service) as world:
        await world.publish(Departed("UA1"))
        await world.settle()
        [letter] = world.dead_letters()
        assert "its topic has no envelope" in letter.error
        assert (len(world.published(Delayed)), len(world.published(Ticket))) == (0, 0)


@simulated
async def test_an_envelope_that_a_record_does_not_have_comes_from_its_place() -> None:
    """For a topic of others, source, type and id are those of the topic, and the id is the one the context names."""
    seen: list[tuple[Envelope, str]] = []
    service = Service("tickets")

    @service.on(TICKETS)
    async def take(_: Ticket, context: Context) -> None:
        seen.append((context.envelope, context.event_id))

    async with simulate(service) as world:
        await world.publish(Ticket("t-1"))
        await world.settle()
    [(found, event_id)] = seen
    found.check()
    assert (found.source, found.type, found.id) == ("erp.tickets", "Ticket", event_id)
    assert (found.origin.key, found.subject, found.extensions) == (b"t-1", None, {})


@simulated
async def test_a_timer_has_an_id_and_a_time() -> None:
    """It has been published by nobody: its envelope knows when it was due, and which firing it is."""
    seen: list[tuple[Envelope, str, int]] = []
    service = Service("tower")

    @service.on(Departed)
    async def depart(_: Departed, context: Context) -> None:
        context.wake("land", after="1h")

    @service.on_timer("land")
    async def land(context: Context) -> None:
        seen.append((context.envelope, context.event_id, context.timestamp_ms))

    async with simulate(service) as world:
        await world.publish(Departed("UA1"))
        await world.settle()
    [(found, event_id, due_ms)] = seen
    assert (found.id, found.subject) == (event_id, None)
    assert found.time == datetime.fromtimestamp(due_ms / 1000, UTC)
