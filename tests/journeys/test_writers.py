"""Payloads behind the id of their schema, as other clients write them: read, or waiting, or dead letters."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
from confluent_kafka.schema_registry import Schema as TheirSchema
from confluent_kafka.schema_registry import SchemaRegistryClient, header_schema_id_serializer
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from mainstem import Service, Topic
from mainstem.broker import TopicPartition
from mainstem.clock import SystemClock
from mainstem.delivery import decode_entry, is_notice
from mainstem.identifiers import Identifiers
from mainstem.registry import LocalRegistry
from mainstem.registry.contents import InMemory
from mainstem.registry.http import Api, Exposure
from mainstem.schemas import FieldNumber
from mainstem.schemas.documents import Schema
from mainstem.schemas.framing import id_prefix
from mainstem.schemas.protobuf.files import linked
from mainstem.service import Running, connected
from mainstem.service.plain import Producer
from mainstem.service.registry import registry_access, schema_registry
from mainstem.service.replay import Replayed, Span, Wanted, replay
from mainstem.settings import Settings
from mainstem.web import Address
from mainstem.web.server import everything, serving
from tests.journeys.conditions import caught_up, until
from tests.rooms.registry.http.live import listening


@dataclass
class Order:
    """What another system writes."""

    id: Annotated[str, FieldNumber(1)]
    total: Annotated[int, FieldNumber(2)] = 0


OLDER = {"type": "record", "name": "Order", "fields": [{"name": "id", "type": "string"}]}
NEWER = {
    "type": "record",
    "name": "Order",
    "fields": [
        {"name": "plant", "type": {"type": "enum", "name": "Plant", "symbols": ["NORTH"]}},
        {"name": "total", "type": "int"},
        {"name": "id", "type": "string"},
    ],
}
STRANGER = {"type": "record", "name": "Invoice", "fields": [{"name": "id", "type": "string"}]}

AVRO = Topic("orders", Order, envelope=None, format="avro", schema_id="prefix", type_name="Order")
PROTOBUF = Topic("orders", Order, envelope=None, format="protobuf", schema_id="prefix", type_name="shop.Order")
JSON = Topic("orders", Order, envelope=None, schema_id="prefix", type_name="Order")


class Reader:
    """A service that reads one topic, and what has become of what stood there."""

    def __init__(self, topic: Topic[Order]) -> None:
        self.orders: list[Order] = []
        self.service = Service("reader", tasks=1)
        self.service.topic("orders", partitions=1)

        @self.service.on(topic, name="read")
        async def read(order: Order) -> None:
            self.orders.append(order)

    @asynccontextmanager
    async def running(self, registry: str | None, broker: str = "sqlite:///:memory:") -> AsyncIterator[Running]:
        """Run it, with this registry to be asked."""
        settings = Settings(registry=registry)
        async with self.service.running(broker=broker, dev=True, settings=settings) as process:
            yield process


async def told(process: Running) -> list[str]:
    """The errors of all dead letters, in order."""
    reader = process.broker.log.reader({TopicPartition("reader.dead-letters", 0): 0})
    found: list[str] = []
    while (batch := reader.take()) is not None:
        for key, value in zip(batch.keys, batch.values, strict=True):
            if value is not None and not is_notice(key) and (entry := decode_entry(value)).status == "dead-lettered":
                found.append(entry.failure.error)
    reader.close()
    return found


async def sent(process: Running, *values: bytes, **headers: bytes) -> None:
    """Let records stand in the topic, without keys."""
    async with Producer(process.broker) as producer:
        for value in values:
            await producer.send("orders", value, headers=headers)


def value_of(subject: str) -> SerializationContext:
    """The context of a value that their serializers write; they take the name of the topic for that of the subject."""
    return SerializationContext(subject, MessageField.VALUE, [])


def in_headers(context: SerializationContext) -> list[tuple[str, str | bytes | None]]:
    """What a serializer has put there."""
    headers = context.headers
    assert isinstance(headers, list)
    return headers


async def test_avro_of_other_versions_is_read() -> None:
    """What an older and a newer producer write, by their own client: fields are missing, in another order, too many."""
    reader, first, second = Reader(AVRO), value_of("first"), value_of("second")
    with listening() as address, SchemaRegistryClient({"url": f"http://{address}"}) as client:
        async with reader.running(f"http://{address}") as process:
            old = await asyncio.to_thread(AvroSerializer(client, json.dumps(OLDER)), {"id": "o-1"}, first)
            write = AvroSerializer(
                client, json.dumps(NEWER), conf={"schema.id.serializer": header_schema_id_serializer}
            )
            new = await asyncio.to_thread(write, {"plant": "NORTH", "total": 7, "id": "o-2"}, second)
            assert isinstance(old, bytes)
            assert isinstance(new, bytes)
            await sent(process, old)
            await sent(process, new, **{name: value for name, value in in_headers(second) if isinstance(value, bytes)})
            await sent(process, old)
            await caught_up(process)
            assert await told(process) == []
    assert reader.orders == [Order("o-1"), Order("o-2", 7), Order("o-1")]


async def test_json_and_protobuf_of_other_clients_are_read() -> None:
    """JSON needs nobody's schema; of Protobuf the message must be one of the name that is read."""
    with listening() as address, SchemaRegistryClient({"url": f"http://{address}"}) as client:
        reader = Reader(JSON)
        async with reader.running(f"http://{address}") as process:
            write = JSONSerializer('{"title": "Order", "type": "object"}', client)
            await sent(process, await asyncio.to_thread(write, {"id": "o-1", "total": 2}, value_of("json")))
            await caught_up(process)
        text = 'syntax = "proto3"; package shop; message Invoice { string id = 1; } message Order { string id = 1; }'
        number = await asyncio.to_thread(client.register_schema, "proto", TheirSchema(text, "PROTOBUF"))
        other = Reader(PROTOBUF)
        async with other.running(f"http://{address}") as process:
            order = b"\x0a\x03o-2"
            await sent(process, *(id_prefix(number, indexes) + order for indexes in [(1,), (0,), (2,), (1, 0)]))
            message = GetMessageClass(linked(Schema(text, "PROTOBUF"), {}).pool.FindMessageTypeByName("shop.Order"))
            await sent(process, await asyncio.to_thread(serialized, client, message(id="o-3")))
            await caught_up(process)
            errors = await told(process)
    assert reader.orders == [Order("o-1", 2)]
    assert other.orders == [Order("o-2"), Order("o-3")]
    assert ["[0] is Invoice" in errors[0], "no message at [2]" in errors[1], "no message at [1, 0]" in errors[2]] == [
        True
    ] * 3


def serialized(client: SchemaRegistryClient, message: Message) -> bytes:
    """What their serializer makes of a message, and registers as a descriptor."""
    value = ProtobufSerializer(type(message), client)(message, value_of("theirs"))
    assert isinstance(value, bytes)
    assert value[5:7] == b"\x02\x02"
    return value


async def test_what_cannot_be_read_is_a_dead_letter_and_stops_nobody() -> None:
    """A wrong first byte, a framing or a payload that was cut off, another type, and an id that nobody has given."""
    reader = Reader(AVRO)
    with listening() as address, SchemaRegistryClient({"url": f"http://{address}"}) as client:
        async with reader.running(f"http://{address}") as process:
            good = (
                await asyncio.to_thread(client.register_schema, "order", TheirSchema(json.dumps(OLDER), "AVRO")),
                await asyncio.to_thread(client.register_schema, "invoice", TheirSchema(json.dumps(STRANGER), "AVRO")),
            )
            order, invoice = map(id_prefix, good)
            bad = [b"\x07", b"\0\0\0", b"\1\0", order + b"\x0ao", invoice + b"\x02i", id_prefix(77) + b"\x02o", b""]
            await sent(process, *bad, id_prefix(2**32 - 1) + b"\x02o", order + b"\x06o-9")
            await caught_up(process)
            errors = await told(process)
            assert process.runners["reader"].tasks[0].paused == {}
    assert reader.orders == [Order("o-9")]
    for said, expected in zip(
        errors,
        [
            "the bytes begin with 7",
            "the framing ends after 3 bytes",
            "the framing ends after 2 bytes",
            "these bytes are not what the schema says",
            "Invoice",
            "the schema with id 77 is not known",
            "the framing ends after 0 bytes",
            "the schema with id 4294967295 is not known",
        ],
        strict=True,
    ):
        assert expected in said


async def test_a_partition_waits_for_a_registry_that_is_away(caplog: pytest.LogCaptureFixture) -> None:
    """It says so in the log and in its health, makes no dead letter of it, and goes on when the registry answers."""
    reader, contents = Reader(AVRO), InMemory(SystemClock())
    with listening() as address:
        nowhere = address
    api = Api(contents, SystemClock(), Exposure(Address("127.0.0.1", 0)), audit=lambda _deed: None)
    with caplog.at_level(logging.WARNING):
        async with reader.running(f"http://{nowhere}") as process:
            [number] = [await registered(contents)]
            await sent(process, id_prefix(number) + b"\x06o-1", id_prefix(number) + b"\x06o-2")

            async def waits() -> bool:
                health = await process.health()
                return any(
                    "orders[0] waits for the schema" in why
                    for group in health.groups
                    for each in group.tasks
                    for why in each.paused
                )

            await until(waits)
            assert reader.orders == []
            assert await told(process) == []
            async with serving([everything(api.answer)], nowhere, None):
                await caught_up(process)
            assert process.runners["reader"].tasks[0].paused == {}
            assert await told(process) == []
    assert reader.orders == [Order("o-1"), Order("o-2")]
    assert "no registry of schemas answers, and orders[0] waits for the schema" in caplog.text
    assert "the registry of schemas answers again" in caplog.text


async def registered(contents: InMemory) -> int:
    """Register the schema of an order; its id."""
    return (await LocalRegistry(contents).register("order", Schema(json.dumps(OLDER)))).id


async def test_the_registry_of_the_broker_is_asked() -> None:
    """It needs no server; and what has been registered after the first question is found all the same."""
    reader, keeper = Reader(AVRO), schema_registry()
    async with keeper.running(broker="sqlite:///:memory:", dev=True) as kept:
        settings = Settings(registry="broker")
        async with registry_access(keeper) as access:
            registry = LocalRegistry(access)
            first = await registry.register("first", Schema(json.dumps(OLDER)))
            async with reader.service.running(broker=kept.broker, dev=True, settings=settings) as process:
                await sent(process, id_prefix(first.id) + b"\x06o-1")
                await caught_up(process)
                second = await registry.register("second", Schema(json.dumps(NEWER)))
                await sent(process, id_prefix(second.id) + b"\0\x0e\x06o-2")
                await caught_up(process)
                assert await told(process) == []
    assert reader.orders == [Order("o-1"), Order("o-2", 7)]


async def test_a_replay_reads_with_the_same_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It registers nothing; and what the registry does not tell now stops it, with that reason."""
    reader, contents, url = Reader(AVRO), InMemory(SystemClock()), f"sqlite:///{tmp_path}/log.db"
    api = Api(contents, SystemClock(), Exposure(Address("127.0.0.1", 0)), audit=lambda _deed: None)
    number = await registered(contents)
    async with serving([everything(api.answer)], Address("127.0.0.1", 0), None) as address:
        monkeypatch.setenv("MAINSTEM_REGISTRY", f"http://{address}")
        async with reader.running(f"http://{address}", url) as process:
            await sent(process, id_prefix(number) + b"\x06o-1", id_prefix(0) + b"\x06o-2\x0e", b"\x07")
            await caught_up(process)
        told = await replayed(reader.service, url)
        assert (told.events, told.handlers[0].handled, told.stopped) == (3, 2, None)
    told = await replayed(reader.service, url)
    assert "orders[0] waits for the schema" in (told.stopped or "")
    assert reader.orders == [Order("o-1"), Order("o-2", 7)] * 2


async def replayed(service: Service, url: str) -> Replayed:
    """Replay all of the topic."""
    clock = SystemClock()
    live, own = (connected(each, clock, Identifiers(clock)) for each in (url, "sqlite:///:memory:"))
    async with live as broker, own as scratch:
        at = TopicPartition("orders", 0)
        spans = {at: Span(*await broker.log.bounds(at))}
        return await replay(service, broker, scratch, spans, Wanted(end_ms=clock.now_ms()))
