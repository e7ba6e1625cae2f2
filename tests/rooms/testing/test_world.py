"""What a world can be asked."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from mainstem import Context, IntegrationEvent, Service, Topic
from mainstem.errors import DefinitionError, EventRefused, NotFound
from mainstem.testing import crash, simulate, simulated


class Clicked(IntegrationEvent, topic="clicks", key="user"):
    user: str
    page: str


@dataclass
class Ticket:
    number: int
    text: str


tickets = Topic("erp.tickets", Ticket, key="number", envelope=None)
clicks = Service("clicks", lanes=1)
clicks.topic("clicks", partitions=2)
clicks.topic("erp.tickets", partitions=2)
pages = clicks.store("pages", int, scope="partition")
users = clicks.store("users", int)
other = Service("other").store("users", int)


@clicks.on(Clicked)
async def count(click: Clicked, context: Context) -> None:
    """Per user, and per page in each task."""
    context.put(pages, context.get(pages, 0, key=click.page) + 1, key=click.page)
    context.put(users, context.get(users, 0) + 1)


@clicks.on(tickets)
async def complain(ticket: Ticket) -> Clicked:
    """Every ticket is a click on the help page."""
    return Clicked(str(ticket.number), "help")


@simulated
async def test_a_store_per_task_is_asked_task_by_task() -> None:
    """Two tasks keep a count for the same page; asked for both at once, the world says which to ask."""
    async with simulate(clicks) as world:
        for user in range(8):
            await world.publish(Clicked(f"u{user}", "home"))
        await world.settle()
        assert sum(world.values(pages, task=task)[b"home"] for task in range(2)) == 8
        with pytest.raises(DefinitionError, match="several tasks keep a value for b'home'"):
            world.values(pages)
        assert world.values(users) == {f"u{user}".encode(): 1 for user in range(8)}


@simulated
async def test_a_test_states_attributes_as_a_publisher_does() -> None:
    """Subject, time, correlation and others are in the envelope; a topic without one has no place for them."""
    at = datetime(2013, 1, 1, 5, 17, tzinfo=UTC)
    async with simulate(clicks) as world:
        await world.publish(
            Clicked("u1", "home"), subject="s", time=at, extensions={"tenantid": "t"}, correlation_id="c-1"
        )
        [fact] = world.published(Clicked).facts
        stated = {name: fact.headers[f"ce_{name}"] for name in ("subject", "time", "tenantid", "correlationid")}
        assert stated == {
            "subject": b"s",
            "time": b"2013-01-01T05:17:00Z",
            "tenantid": b"t",
            "correlationid": b"c-1",
        }
        with pytest.raises(EventRefused, match="its topic has no envelope"):
            await world.publish(Ticket(1, "help"), subject="s")


@simulated
async def test_a_store_of_somebody_else_is_not_there() -> None:
    """A store is found by the object that declared it, not by its name."""
    async with simulate(clicks) as world:
        with pytest.raises(NotFound, match="keep the store 'users'"):
            world.value(other, "u1")


@simulated
async def test_topics_that_are_not_ours_are_published_and_read_back() -> None:
    """Without an envelope an event has the id of its place."""
    async with simulate(clicks) as world:
        await world.publish(Ticket(7, "it is broken"))
        await world.settle()
        fact = world.published(Ticket).facts[0]
        assert fact.event == Ticket(7, "it is broken")
        assert (fact.topic, fact.key, fact.headers) == ("erp.tickets", b"7", {})
        assert len(fact.id) == 36
        assert world.published(Clicked).one() == Clicked("7", "help")
        assert world.published(Clicked).where(lambda click: click.page == "home").all() == []


@simulated
async def test_the_trace_counts_as_timers_do() -> None:
    """A timer of a day and an hour fires so much later in the trace, also where the time in between was skipped."""
    service = Service("patient")

    @service.on(Clicked)
    async def begin(click: Clicked, context: Context) -> None:
        context.wake("later", after="1d1h")

    @service.on_timer("later")
    async def later(context: Context) -> None: ...

    async with simulate(service) as world:
        began_ms = world.clock.now_ms()
        await world.publish(Clicked("u1", "home"))
        await world.settle()
        first, last = (
            next(step for step in world.trace.steps if step.what == "handler ends" and name in step.about)
            for name in ("begin", "later")
        )
        assert last.seconds - first.seconds == pytest.approx(25 * 3_600, abs=1)
        assert last.seconds == pytest.approx((world.clock.now_ms() - began_ms) / 1_000, abs=5)
        assert "1 day, 1:00:00" in str(last)


@simulated
async def test_the_trace_says_when_where_and_what() -> None:
    """Steps are data, and read as a report."""
    async with simulate(clicks, faults=[crash("handler.end")]) as world:
        await world.publish(Clicked("u1", "home"))
        await world.settle()
        crashed = next(step for step in world.trace.steps if step.what == "crash")
        assert crashed.process == "worker 0"
        assert crashed.about == "worker 0 at handler.end"
        assert 0 < crashed.seconds < 1
        assert str(crashed) in str(world.trace).splitlines()
    before = len(world.trace.steps)
    world.trace.note("too late")
    assert len(world.trace.steps) == before
