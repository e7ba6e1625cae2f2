"""Events that others publish in structured mode: one JSON document each."""

from pathlib import Path

from mainstem import Context, IntegrationEvent, Service, running
from mainstem.broker import Record, TopicPartition
from mainstem.delivery import decode_entry
from tests.journeys.conditions import until


class Shipped(IntegrationEvent, topic="shipments", key="order_id"):
    """Published by somebody else, in another language."""

    order_id: str


STRUCTURED = {"content-type": b"application/cloudevents+json"}
DOCUMENT = (
    b'{"specversion":"1.0","id":"e-1","source":"/erp","type":"Shipped","erpsite":"north","data":{"order_id":"o-1"}}'
)


async def test_a_structured_event_is_handled_like_any_other(tmp_path: Path) -> None:
    """Its attributes stand where those of a binary one stand, also unknown ones; a broken one parks with its bytes."""
    warehouse = Service("warehouse")
    warehouse.topic("shipments", partitions=1)
    seen: list[tuple[str, str, bytes]] = []

    @warehouse.on(Shipped)
    async def ship(event: Shipped, context: Context) -> None:
        seen.append((event.order_id, context.event_id, context.headers["ce_erpsite"]))

    at = TopicPartition("shipments", 0)
    async with running(warehouse, broker=f"sqlite:///{tmp_path}/log.db", dev=True) as process:
        broken = Record(b"o-2", b'{"specversion":"1.0"', 1, own=STRUCTURED)
        await process.broker.log.append(at, [Record(b"o-1", DOCUMENT, 1, own=STRUCTURED), broken])
        await until(lambda: seen == [("o-1", "e-1", b"north")])
        audit = process.broker.log.reader({TopicPartition("warehouse.dead-letters", 0): 0})
        found = audit.take()
        while found is None:
            await audit.wait()
            found = audit.take()
        letter = decode_entry(found.values[0] or b"").letter
        assert (letter.key, letter.value) == (b"o-2", broken.value)
