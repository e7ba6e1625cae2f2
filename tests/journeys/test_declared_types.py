"""Dataclasses, structs and pydantic models, declared by a topic, from publishing to a handler, in every format."""

import datetime as dt
import enum
import uuid
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pydantic
import pytest

from mainstem import Context, Service, Topic
from mainstem.errors import EventRefused
from mainstem.events import EventFormat, SchemaId
from mainstem.events.declaration import EnvelopeForm
from mainstem.schemas import FieldNumber, fallback, numbered
from mainstem.testing import simulate, simulated
from tests.journeys.conditions import until

NOON = dt.datetime(2026, 11, 22, 12, 30, 1, 250_000, dt.UTC)


@fallback("OTHER")
@numbered(WEB=1, OTHER=2)
class Channel(enum.StrEnum):
    """Where it was ordered."""

    WEB = "web"
    OTHER = "other"


@dataclass
class Line:
    sku: Annotated[str, FieldNumber(1)]
    count: Annotated[int, FieldNumber(2)] = 1


@dataclass
class OrderRecord:
    number: Annotated[str, FieldNumber(1)]
    lines: Annotated[list[Line], FieldNumber(2)]
    placed: Annotated[dt.datetime, FieldNumber(3)]
    id: Annotated[uuid.UUID, FieldNumber(5)]
    channel: Annotated[Channel, FieldNumber(7)] = Channel.WEB
    note: Annotated[str | None, FieldNumber(8)] = None
    labels: Annotated[dict[str, str], FieldNumber(9)] = field(default_factory=dict)


class OrderStruct(msgspec.Struct):
    number: Annotated[str, FieldNumber(1)]
    lines: Annotated[list[Line], FieldNumber(2)]
    placed: Annotated[dt.datetime, FieldNumber(3)]
    id: Annotated[uuid.UUID, FieldNumber(5)]
    channel: Annotated[Channel, FieldNumber(7)] = Channel.WEB
    note: Annotated[str | None, FieldNumber(8)] = None
    labels: Annotated[dict[str, str], FieldNumber(9)] = {}


class LineModel(pydantic.BaseModel):
    sku: Annotated[str, FieldNumber(1)]
    count: Annotated[pydantic.PositiveInt, FieldNumber(2)] = 1


class OrderModel(pydantic.BaseModel):
    number: Annotated[str, FieldNumber(1)] = pydantic.Field(alias="orderNo")
    lines: Annotated[list[LineModel], FieldNumber(2)]
    placed: Annotated[dt.datetime, FieldNumber(3)]
    id: Annotated[uuid.UUID, FieldNumber(5)]
    channel: Annotated[Channel, FieldNumber(7)] = Channel.WEB
    note: Annotated[str | None, FieldNumber(8)] = None
    labels: Annotated[dict[str, str], FieldNumber(9)] = {}


@pydantic.dataclasses.dataclass
class OrderChecked:
    number: Annotated[str, FieldNumber(1)]
    lines: Annotated[list[LineModel], FieldNumber(2)]
    placed: Annotated[dt.datetime, FieldNumber(3)]
    id: Annotated[uuid.UUID, FieldNumber(5)]
    channel: Annotated[Channel, FieldNumber(7)] = Channel.WEB
    note: Annotated[str | None, FieldNumber(8)] = None
    labels: Annotated[dict[str, str], FieldNumber(9)] = pydantic.Field(default_factory=dict)


ID = uuid.UUID(int=7)
MORE: dict[str, Any] = {"placed": NOON, "id": ID}
EVENTS: dict[str, list[Any]] = {
    "dataclass": [
        OrderRecord("o-1", [Line("a", 3), Line("b")], **MORE),
        OrderRecord("o-2", [], NOON, ID, Channel.OTHER, "fragile", {"a": "b"}),
    ],
    "struct": [
        OrderStruct("o-1", [Line("a", 3), Line("b")], **MORE),
        OrderStruct("o-2", [], NOON, ID, Channel.OTHER, "fragile", {"a": "b"}),
    ],
    "model": [
        OrderModel(orderNo="o-1", lines=[LineModel(sku="a", count=3), LineModel(sku="b")], **MORE),
        OrderModel(orderNo="o-2", lines=[], channel=Channel.OTHER, note="fragile", labels={"a": "b"}, **MORE),
    ],
    "checked dataclass": [
        OrderChecked("o-1", [LineModel(sku="a", count=3)], **MORE),
        OrderChecked("o-2", [], NOON, ID, Channel.OTHER, "fragile", {"a": "b"}),
    ],
}
KINDS: dict[str, type[Any]] = {name: type(events[0]) for name, events in EVENTS.items()}


FORMS: list[tuple[EventFormat, SchemaId | None, EnvelopeForm]] = [
    ("json", None, "structured"),
    ("json", "prefix", "cloudevents"),
    ("json", "header", None),
    ("avro", None, "cloudevents"),
    ("avro", "prefix", "structured"),
    ("avro", "header", "cloudevents"),
    ("avro", None, None),
    ("protobuf", "prefix", "cloudevents"),
    ("protobuf", "header", "structured"),
    ("protobuf", None, None),
]


@pytest.mark.parametrize(("form", "schema_id", "envelope"), FORMS)
@pytest.mark.parametrize("kind", KINDS)
@simulated
async def test_an_event_arrives_as_it_was(
    kind: str, form: EventFormat, schema_id: SchemaId | None, envelope: EnvelopeForm
) -> None:
    """Whatever its type is, in which bytes it travels, and with which attributes."""
    topic = Topic("orders", KINDS[kind], key="number", format=form, schema_id=schema_id, envelope=envelope)
    service, seen = Service("desk", publishes=(topic,)), list[Any]()

    @service.on(topic)
    async def see(event: object) -> None:
        seen.append(event)

    async with simulate(service) as world:
        await world.publish(*EVENTS[kind])
        await world.settle()
        assert world.dead_letters() == []
    assert sorted(seen, key=attrgetter("number")) == EVENTS[kind]


RECORDS = Topic("records", OrderRecord, key="number", format="avro")
MODELS = Topic("models", OrderModel, key="number", format="protobuf", schema_id="prefix")
STRUCTS = Topic("structs", OrderStruct, key="number", subject="topic")


async def test_handlers_hand_on_what_is_declared(tmp_path: Path) -> None:
    """By what they return and by what they publish, from one format to the next, on a file."""
    service, seen = Service("mill", publishes=(RECORDS,)), list[tuple[str, object]]()

    @service.on(RECORDS, publishes=(MODELS,))
    async def check(order: OrderRecord) -> OrderModel:
        lines = [LineModel(sku=each.sku, count=each.count) for each in order.lines]
        return OrderModel(orderNo=order.number, lines=lines, placed=order.placed, id=order.id)

    @service.on(MODELS, publishes=(STRUCTS,))
    async def pack(order: OrderModel, context: Context) -> None:
        lines = [Line(each.sku, each.count) for each in order.lines]
        context.publish(OrderStruct(order.number, lines, order.placed, order.id))

    @service.on(STRUCTS)
    async def see(order: OrderStruct, context: Context) -> None:
        seen.append((context.envelope.type, order))

    async with service.running(broker=f"sqlite:///{tmp_path}/mill.db", dev=True):
        await service.publish(EVENTS["dataclass"][0])
        await until(lambda: bool(seen))
    assert seen == [("OrderStruct", EVENTS["struct"][0])]


@pytest.mark.parametrize("form", ["json", "avro", "protobuf"])
async def test_what_is_no_such_event_is_refused_where_it_is_published(form: EventFormat) -> None:
    """A field that holds something else than it says: in play the publisher is told, before anything is sent."""
    topic = Topic("orders", OrderRecord, key="number", format=form)
    service = Service("desk", publishes=(topic,))
    async with service.running(broker="sqlite:///:memory:", dev=True):
        with pytest.raises(EventRefused):
            await service.publish(OrderRecord("o-1", [Line("a", "three")], NOON, ID))  # type: ignore[arg-type]
