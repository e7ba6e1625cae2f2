"""Events with the ids of their schemas on a real Kafka."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from msgspec.structs import replace

from mainstem import Consumer, Service, Topic
from mainstem.broker import TopicSpec
from mainstem.clock import SystemClock
from mainstem.errors import DecodingFailed
from mainstem.identifiers import Identifiers
from mainstem.registry import LocalRegistry
from mainstem.schemas.documents import Schema
from mainstem.schemas.framing import id_prefix
from mainstem.service import connected
from mainstem.service.plain import Producer
from mainstem.service.registry import registry_access, schema_registry
from tests.journeys.conditions import until
from tests.journeys.test_registered_ids import Kinds, there_and_back
from tests.kafka.waiter import SETTINGS
from tests.rooms.registry.http.live import listening


@dataclass
class Order:
    """What is read of all that is written."""

    id: str


async def test_ids_go_from_service_to_service_and_to_other_clients(
    kafka: str, unique: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same as on the embedded broker: Avro, Protobuf and JSON, ids before the payload and in a header."""
    url = f"kafka://{kafka}?state_folder={tmp_path}/state"
    await there_and_back(url, Kinds(unique("ids")), tmp_path, monkeypatch)


async def test_the_registry_of_the_cluster_is_asked(kafka: str, unique: Callable[[str], str], tmp_path: Path) -> None:
    """A service reads its rows while it runs, also those that were written after its first question."""
    topic, keeper, given = unique("orders"), schema_registry(), list[str]()
    service = Service(unique("reader"), tasks=1)
    service.topic(topic, partitions=1)

    @service.on(Topic(topic, Order, envelope=None, format="avro", schema_id="prefix", type_name="Order"))
    async def read(order: Order) -> None:
        given.append(order.id)

    urls = [f"kafka://{kafka}?state_folder={tmp_path}/{number}" for number in range(2)]
    async with (
        keeper.running(broker=urls[0], dev=True, settings=SETTINGS),
        registry_access(keeper) as access,
        service.running(broker=urls[1], dev=True, settings=replace(SETTINGS, registry="broker")),
        Producer(urls[1]) as producer,
    ):
        registry = LocalRegistry(access)
        for number, more in enumerate(("", ',{"name":"more","type":"string"}'), 1):
            text = f'{{"type":"record","name":"Order","fields":[{{"name":"id","type":"string"}}{more}]}}'
            found = await registry.register(unique("order"), Schema(text))
            await producer.send(topic, id_prefix(found.id) + b"\x02%d" % number + b"\x02x" * bool(more))
            await until(partial(_are, given, number))
    assert given == ["1", "2"]


async def test_a_plain_consumer_reads_what_confluents_serializer_wrote(
    kafka: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    """What it names is read, and an id that nobody has given is an error of its record alone."""
    url, topic = f"kafka://{kafka}?state_folder={tmp_path}/state", unique("orders")
    orders = Topic(topic, Order, envelope=None, format="avro", schema_id="prefix", type_name="Order")
    record = {"type": "record", "name": "Order"}
    fields = [{"name": name, "type": "string"} for name in ("more", "id")]
    clock = SystemClock()
    async with connected(url, clock, Identifiers(clock)) as broker:
        await broker.admin.create(TopicSpec(topic, 1))
    with listening() as address, SchemaRegistryClient({"url": f"http://{address}"}) as client:
        write = AvroSerializer(client, json.dumps({**record, "fields": fields}))
        context = SerializationContext(topic, MessageField.VALUE)
        value = await asyncio.to_thread(write, {"more": "x", "id": "o-1"}, context)
        async with Producer(url) as producer:
            await producer.send(topic, id_prefix(77) + b"\x06o-0")
            await producer.send(topic, value)
        settings = replace(SETTINGS, registry=f"http://{address}")
        named = Consumer(topic, group=unique("reports"), broker=url, reads=(orders,), settings=settings)
        async with named as consumer, asyncio.timeout(60):
            with pytest.raises(DecodingFailed, match="the schema with id 77 is not known"):
                (await anext(consumer)).event(orders)
            assert (await anext(consumer)).event(orders) == Order("o-1")


def _are(given: list[str], so_many: int) -> bool:
    return len(given) == so_many
