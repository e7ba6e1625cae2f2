"""Events in other formats than JSON: the same service, with other bytes."""

from dataclasses import dataclass
from typing import Annotated

import pytest

from mainstem import Context, IntegrationEvent, Service, Topic
from mainstem.errors import StartRefused
from mainstem.events import Plain
from mainstem.schemas import FieldNumber
from mainstem.testing import World, simulate, simulated


class Landed(IntegrationEvent, topic="landings", key="flight", format="avro"):
    flight: str
    minutes_late: int = 0


class Parked(IntegrationEvent, topic="parkings", key="flight", format="protobuf", schema_id="prefix", version=2):
    flight: Annotated[str, FieldNumber(1)]
    stand: Annotated[str, FieldNumber(2)] = ""


@Parked.upcast(1)
def on_the_apron(data: Plain) -> Plain:
    """The first version knew no stands."""
    return {**data, "stand": "apron"}


class ParkedFirst(
    IntegrationEvent, topic="parkings", key="flight", format="protobuf", name="Parked", schema_id="prefix"
):
    flight: Annotated[str, FieldNumber(1)]


class Cleared(IntegrationEvent, topic="clearances", key="flight", schema_id="prefix"):
    flight: str


def apron(seen: list[object]) -> Service:
    """Takes the one, and publishes the other."""
    service = Service("apron", publishes=(Landed, ParkedFirst))

    @service.on(Landed)
    async def park(event: Landed) -> Parked:
        return Parked(event.flight, f"A{event.minutes_late}")

    @service.on(Parked)
    async def note(event: Parked, context: Context) -> None:
        seen.append((event, context.envelope.content_type, context.envelope.version))

    return service


def payloads(world: World, kind: type) -> list[bytes | None]:
    """The bytes of all events of a type."""
    return [row.value for row in world.records.rows({Landed: "landings", Parked: "parkings"}[kind])]


@simulated
async def test_avro_in_and_protobuf_out() -> None:
    """Handlers see no difference; the content type says it to everybody else, and the id stands before the payload."""
    seen = list[object]()
    async with simulate(apron(seen)) as world:
        await world.publish(Landed("UA1", 3))
        await world.settle()
        assert seen == [(Parked("UA1", "A3"), "application/protobuf", 2)]
        assert payloads(world, Landed) == [b"\x06UA1\x06"]
        assert payloads(world, Parked) == [b"\0\0\0\0\0\0\n\x03UA1\x12\x02A3"]
        assert world.published(Parked).one() == Parked("UA1", "A3")


@simulated
async def test_an_older_message_goes_through_its_steps() -> None:
    """A field keeps its number from one version to the next, so the message is read by those of the newest."""
    seen = list[object]()
    async with simulate(apron(seen)) as world:
        await world.publish(ParkedFirst("UA2"))
        await world.settle()
        assert seen == [(Parked("UA2", "apron"), "application/protobuf", 1)]


class Boarded(IntegrationEvent, topic="boardings", key="flight", format="avro"):
    seat: int
    flight: str


class BoardedById(IntegrationEvent, topic="boardings.ids", key="flight", format="avro", schema_id="prefix"):
    seat: int
    flight: str


@dataclass
class Seen:
    """All that a reader wants of either."""

    flight: str


@simulated
async def test_some_fields_are_read_of_all_that_was_written() -> None:
    """Avro has no names in its bytes: they are those of the whole type."""
    seen = list[object]()
    gate = Service("gate", publishes=(Boarded, BoardedById))

    @gate.on(Topic.of(Boarded, as_=Seen), Topic.of(BoardedById, as_=Seen))
    async def look(event: Seen) -> None:
        seen.append(event)

    async with simulate(gate) as world:
        await world.publish(Boarded(7, "UA1"), BoardedById(8, "UA1"))
        await world.settle()
        assert world.dead_letters() == []
    assert seen == [Seen("UA1"), Seen("UA1")]


async def test_an_id_that_was_never_given_stops_the_start() -> None:
    """Outside play the lock file must know the schema; nothing is written with an id that means nothing."""
    service = Service("tower", publishes=(Cleared,))
    with pytest.raises(StartRefused, match="Cleared is to carry the id of its schema, and nobody knows that"):
        async with service.running(broker="sqlite:///:memory:"):
            pass
