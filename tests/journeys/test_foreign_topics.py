"""Topics that are not ours: read from, and published to, without CloudEvents attributes."""

from dataclasses import dataclass

import msgspec

from mainstem import Context, IntegrationEvent, Service, Topic, running
from mainstem.broker import Record, TopicPartition, TopicSpec
from mainstem.broker.sqlite import SqliteBroker
from mainstem.identifiers import derive
from tests.journeys.conditions import Collected, until


@dataclass
class ErpOrder:
    """An order as another system writes it."""

    order_no: str
    total: float


class Label(msgspec.Struct):
    """What a label printer takes."""

    text: str


class OrderPlaced(IntegrationEvent, topic="orders", key="order_no"):
    order_no: str


ERP_ORDERS = Topic("erp.orders", ErpOrder, key="order_no", envelope=None)
LABELS = Topic("printer.labels", Label, envelope=None)


async def test_a_foreign_topic_is_read_and_written() -> None:
    """Its events get an id from their place in the log, and what they cause refers to it."""
    bridge = Service("bridge")
    ids: list[str] = []

    @bridge.on(ERP_ORDERS, publishes=(LABELS,))
    async def translate(order: ErpOrder, context: Context) -> OrderPlaced:
        ids.append(context.event_id)
        context.publish(Label(f"{order.order_no}: {order.total:.2f}"))
        return OrderPlaced(order.order_no)

    placed: list[tuple[str, str, str | None]] = []
    reader = Service("reader")

    @reader.on(OrderPlaced)
    async def see(order: OrderPlaced, context: Context) -> None:
        placed.append((order.order_no, context.correlation_id, context.causation_id))

    printer = Collected("printer", LABELS)
    broker = SqliteBroker(None)
    await broker.open()
    await broker.admin.create(TopicSpec("erp.orders", 2))
    async with running(bridge, reader, printer.service, broker=broker, dev=True):
        record = Record(b"o-1", b'{"order_no":"o-1","total":3.5,"plant":"X"}', 0, own={"sap-id": b"77"})
        await broker.log.append(TopicPartition("erp.orders", 1), [record])
        await until(lambda: bool(placed and printer.events))
    assert ids == [derive("erp.orders", "1", "0")]
    assert placed == [("o-1", ids[0], ids[0])]
    assert printer.events == [Label("o-1: 3.50")]
    await broker.close()
