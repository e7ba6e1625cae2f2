"""Events in structured mode: attributes and payload in one JSON document, for whoever reads no headers."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from mainstem import Context, Envelope, IntegrationEvent, Service, Topic
from mainstem.broker import Record, TopicPartition
from mainstem.broker.sqlite import SqliteBroker
from mainstem.errors import RecordTooLarge
from mainstem.testing import simulate, simulated
from tests.journeys.conditions import until
from tests.rooms.service.events import embedded

TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
HAPPENED = datetime(2013, 1, 1, 5, 17, tzinfo=UTC)


class Landed(IntegrationEvent, topic="landings", key="flight", version=2, oldest=2, envelope="structured"):
    flight: str
    minutes_late: int = 0


@dataclass(frozen=True)
class Bag:
    """What the baggage system of the airport is told."""

    tag: str
    flight: str


class Departed(IntegrationEvent, topic="departures", key="flight"):
    flight: str


BAGS = Topic("baggage", Bag, key="tag", envelope="structured", type_name="airport.bag")


def airport(seen: list[tuple[object, Envelope, str]]) -> Service:
    """A service that publishes and reads events in both modes."""
    service = Service("airport", publishes=(Departed, Landed, BAGS))
    for name in ("landings", "baggage", "departures"):
        service.topic(name, partitions=1, record_bytes_max=1_000)

    @service.on(Departed)
    async def depart(event: Departed, context: Context) -> Landed:
        context.publish(Landed(event.flight, 7), subject="runway", time=HAPPENED, extensions={"gate": "7"})
        return Landed(event.flight)

    @service.on(Landed, publishes=(BAGS,))
    async def land(event: Landed, context: Context) -> Bag:
        seen.append((event, context.envelope, context.event_id))
        return Bag(f"{event.minutes_late}", event.flight)

    @service.on(BAGS)
    async def unload(bag: Bag, context: Context) -> None:
        seen.append((bag, context.envelope, context.event_id))

    return service


async def records(broker: SqliteBroker, topic: str) -> list[tuple[dict[str, bytes], dict[str, object]]]:
    """Headers and documents of a topic, as somebody sees them who knows nothing of Mainstem."""
    at = TopicPartition(topic, 0)
    start, end = await broker.log.bounds(at)
    found: list[tuple[dict[str, bytes], dict[str, object]]] = []
    reader = broker.log.reader({at: start})
    while len(found) < end and (batch := reader.take()) is not None:
        found += [(batch.headers(n), json.loads(value or b"")) for n, value in enumerate(batch.values)]
    reader.close()
    return found


async def test_a_structured_event_is_one_document() -> None:
    """For an own class and for a topic of others: all attributes inside, and only the trace beside the content type."""
    seen: list[tuple[object, Envelope, str]] = []
    service = airport(seen)
    async with embedded() as broker, service.running(broker=broker, dev=True):
        cause = {"ce_specversion": b"1.0", "ce_type": b"Departed", "ce_source": b"/tower", "ce_id": b"e-1"}
        record = Record(b"UA1", b'{"flight":"UA1"}', 5, cause, {"traceparent": TRACE})
        await broker.log.append(TopicPartition("departures", 0), [record])
        await until(lambda: len(seen) == 4)
        [(headers, told), (_, plain)] = await records(broker, "landings")
        bags = [document for _, document in await records(broker, "baggage")]
    assert headers == {"content-type": b"application/cloudevents+json; charset=UTF-8", "traceparent": TRACE}
    assert told == {
        "specversion": "1.0",
        "id": told["id"],
        "source": "/airport",
        "type": "Landed",
        "kind": "integration",
        "eventversion": "2",
        "correlationid": "e-1",
        "causationid": "e-1",
        "subject": "runway",
        "time": "2013-01-01T05:17:00Z",
        "gate": "7",
        "datacontenttype": "application/json",
        "data": {"flight": "UA1", "minutes_late": 7},
    }
    assert "subject" not in plain
    assert sorted(str(each["causationid"]) for each in bags) == sorted([str(told["id"]), str(plain["id"])])
    assert [(each["type"], "kind" in each) for each in bags] == [("airport.bag", False)] * 2


@simulated
async def test_a_handler_sees_no_difference() -> None:
    """What was written as one document is read like any other event: payload, attributes, id and lineage."""
    seen: list[tuple[object, Envelope, str]] = []
    async with simulate(airport(seen)) as world:
        await world.publish(Departed("UA1"))
        await world.publish(Landed("UA2", 3))
        await world.settle()
        first = world.published(Departed).one()
        landed = {each.minutes_late: each for each in world.published(Landed)}
        assert sorted(each.tag for each in world.published(Bag)) == ["0", "3", "7"]
    assert landed == {7: Landed("UA1", 7), 0: Landed("UA1"), 3: Landed("UA2", 3)}
    assert first == Departed("UA1")
    [(event, envelope, event_id)] = [each for each in seen if each[0] == Landed("UA1", 7)]
    envelope.check()
    assert (event, envelope.id, envelope.version) == (Landed("UA1", 7), event_id, 2)
    assert (envelope.subject, envelope.time, envelope.extensions) == ("runway", HAPPENED, {"gate": "7"})
    assert [each.causation_id for thing, each, _ in seen if thing == Bag("7", "UA1")] == [event_id]


async def test_the_document_counts_for_the_size() -> None:
    """A payload that fits and a document that does not is refused where it is published."""
    service = airport([])
    async with embedded() as broker, service.running(broker=broker, dev=True, consume=False):
        with pytest.raises(RecordTooLarge, match="larger than its topic takes"):
            service.publish(Landed("x" * 400))
        await service.publish(Landed("x" * 300))
        assert len(await records(broker, "landings")) == 1
