"""A plain consumer and payloads behind the id of their schema: read, or waiting, or an error of one record."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient, header_schema_id_serializer
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from msgspec.structs import replace

from mainstem import Consumer, IntegrationEvent, Message, Producer, Topic
from mainstem.broker import TopicPartition, TopicSpec
from mainstem.clock import SystemClock
from mainstem.errors import DecodingFailed, DefinitionError
from mainstem.events import to_structured
from mainstem.identifiers import Identifiers
from mainstem.registry import LocalRegistry
from mainstem.registry.contents import InMemory
from mainstem.registry.http import Api, Exposure
from mainstem.schemas.documents import Schema
from mainstem.schemas.framing import id_prefix
from mainstem.schemas.upcasting import rename
from mainstem.service import Backend, connected
from mainstem.service.registry import registry_access, schema_registry
from mainstem.settings import Settings
from mainstem.web import Address
from mainstem.web.server import everything, serving
from tests.journeys.conditions import until
from tests.journeys.test_writers import AVRO, JSON, NEWER, OLDER, PROTOBUF, Order, in_headers, registered, value_of
from tests.rooms.registry.http.live import listening

SEVEN = {"id": "o-2", "total": 7}
QUICK = Settings(session_timeout_seconds=1, grace_seconds=5)


@asynccontextmanager
async def a_broker(url: str = "sqlite:///:memory:", partitions: int = 1) -> AsyncIterator[Backend]:
    """A broker with the topic."""
    clock = SystemClock()
    async with connected(url, clock, Identifiers(clock)) as broker:
        await broker.admin.create(TopicSpec("orders", partitions))
        yield broker


def consumer(broker: Backend, registry: str, *reads: Topic[Order] | type[IntegrationEvent]) -> Consumer:
    """One that reads the topic, and asks this registry."""
    return Consumer(
        "orders", group="reports", broker=broker, reads=reads or (AVRO,), settings=replace(QUICK, registry=registry)
    )


async def some(reader: Consumer, count: int) -> list[Message]:
    """The next so many records."""
    async with asyncio.timeout(20):
        return [await anext(reader) for _ in range(count)]


def refusal(message: Message) -> DecodingFailed:
    """Why there is no order in it."""
    with pytest.raises(DecodingFailed) as failed:
        message.event(AVRO)
    return failed.value


async def test_what_confluents_serializers_wrote_is_read() -> None:
    """Avro of an older and a newer producer, and JSON, with their ids before the payload and in headers."""
    in_header = {"schema.id.serializer": header_schema_id_serializer}
    document = '{"title": "Order", "type": "object"}'
    with listening() as address, SchemaRegistryClient({"url": f"http://{address}"}) as client:
        async with a_broker() as broker, Producer(broker) as producer:
            for subject, write, fields in (
                ("first", AvroSerializer(client, json.dumps(OLDER)), {"id": "o-1"}),
                ("second", AvroSerializer(client, json.dumps(NEWER), conf=in_header), {"plant": "NORTH", **SEVEN}),
                ("third", JSONSerializer(document, client), {"id": "o-1"}),
                ("third", JSONSerializer(document, client, conf=in_header), SEVEN),
            ):
                context = value_of(subject)
                value = await asyncio.to_thread(write, fields, context)
                headers = {name: value for name, value in in_headers(context) if isinstance(value, bytes)}
                await producer.send("orders", value, headers=headers)
            async with consumer(broker, f"http://{address}", AVRO, JSON) as reader:
                found = [
                    each.event(kind) for each, kind in zip(await some(reader, 4), [AVRO, AVRO, JSON, JSON], strict=True)
                ]
    assert found == [Order("o-1"), Order("o-2", 7)] * 2


async def test_a_message_of_protobuf_is_found_by_its_place() -> None:
    """The second one of its writer's file, where it has the name of the type; the first is another type."""
    text = 'syntax = "proto3"; package shop; message Invoice { string id = 1; } message Order { string id = 1; }'
    contents = InMemory(SystemClock())
    number = (await LocalRegistry(contents).register("orders", Schema(text, "PROTOBUF"))).id
    async with a_registry(contents) as address, a_broker() as broker, Producer(broker) as producer:
        for indexes in ((1,), (0,)):
            await producer.send("orders", id_prefix(number, indexes) + b"\x0a\x03o-1")
        async with consumer(broker, f"http://{address}", PROTOBUF) as reader:
            order, invoice = await some(reader, 2)
    assert order.event(PROTOBUF) == Order("o-1")
    with pytest.raises(DecodingFailed, match=r"\[0\] is Invoice"):
        invoice.event(PROTOBUF)


async def test_what_cannot_be_read_is_an_error_of_its_record_alone() -> None:
    """An id that nobody has given, another type, a wrong first byte: each says what, where, why and what next."""
    contents = InMemory(SystemClock())
    stranger = {**OLDER, "name": "Invoice"}
    async with a_registry(contents) as address, a_broker() as broker, Producer(broker) as producer:
        order = await registered(contents)
        invoice = (await LocalRegistry(contents).register("invoice", Schema(json.dumps(stranger)))).id
        for value in (id_prefix(77), id_prefix(invoice), b"\x07", id_prefix(order)):
            await producer.send("orders", value + b"\x06o-1")
        async with consumer(broker, f"http://{address}") as reader:
            messages = await some(reader, 4)
            unknown, other, broken = (refusal(each) for each in messages[:3])
            assert messages[3].event(AVRO) == Order("o-1")
    assert unknown.what == "the schema with id 77 is not known"
    assert unknown.where == "Order v1 on orders, in orders[0] offset 0"
    assert "40403" in unknown.why or "not found" in unknown.why
    assert "register the schema there" in unknown.remedy
    assert "Invoice" in other.what
    assert "the bytes begin with 7" in broken.what


async def test_a_partition_waits_for_a_registry_that_is_away(caplog: pytest.LogCaptureFixture) -> None:
    """It is told once, the other partition goes on, and all is read when the registry answers."""
    contents = InMemory(SystemClock())
    with listening() as address:
        nowhere = address
    api = Api(contents, SystemClock(), Exposure(Address("127.0.0.1", 0)), audit=lambda _deed: None)
    order = id_prefix(await registered(contents)) + b"\x06o-1"
    async with a_broker(partitions=2) as broker, Producer(broker) as producer:
        await producer.send("orders", order)
        with caplog.at_level(logging.WARNING):
            async with consumer(broker, f"http://{nowhere}") as reader:
                ahead = asyncio.create_task(anext(reader))
                await until(lambda: "reports.inbox[1]: no registry of schemas answers, and orders[1]" in caplog.text)
                await producer.send("orders", id_prefix(0) + b"\x06o-2\x00")
                other = await asyncio.wait_for(ahead, 20)
                assert (other.partition, other.event(AVRO)) == (0, Order("o-2"))
                async with serving([everything(api.answer)], nowhere, None):
                    [message] = await some(reader, 1)
                    assert (message.partition, message.event(AVRO)) == (1, Order("o-1"))
    assert caplog.text.count("no registry of schemas answers") == 1
    assert "the registry of schemas answers again" in caplog.text


async def test_what_waited_when_a_consumer_left_is_read_by_the_next(caplog: pytest.LogCaptureFixture) -> None:
    """Leaving does not wait for the registry, and nothing is committed that was never given."""
    contents = InMemory(SystemClock())
    with listening() as address:
        nowhere = address
    async with a_broker() as broker, Producer(broker) as producer:
        await producer.send("orders", id_prefix(await registered(contents)) + b"\x06o-1")
        with caplog.at_level(logging.WARNING):
            async with consumer(broker, f"http://{nowhere}"):
                await until(lambda: "no registry of schemas answers" in caplog.text)
        found = (await broker.admin.groups(["reports"]))["reports"]
        assert found.positions[TopicPartition("orders", 0)] == 0
        async with a_registry(contents) as address, consumer(broker, f"http://{address}") as reader:
            assert [each.event(AVRO) for each in await some(reader, 1)] == [Order("o-1")]


@asynccontextmanager
async def a_registry(contents: InMemory) -> AsyncIterator[Address]:
    """What is in it, behind HTTP."""
    api = Api(contents, SystemClock(), Exposure(Address("127.0.0.1", 0)), audit=lambda _deed: None)
    async with serving([everything(api.answer)], Address("127.0.0.1", 0), None) as address:
        yield address


async def test_the_registry_of_the_broker_is_asked() -> None:
    """Without settings that name one it is the one that services ask, and it needs no server."""
    keeper = schema_registry()
    async with keeper.running(broker="sqlite:///:memory:", dev=True) as kept, registry_access(keeper) as access:
        await kept.broker.admin.create(TopicSpec("orders", 1))
        found = await LocalRegistry(access).register("first", Schema(json.dumps(OLDER)))
        async with Producer(kept.broker) as producer:
            await producer.send("orders", id_prefix(found.id) + b"\x06o-1")
        named = Consumer("orders", group="reports", broker=kept.broker, reads=(AVRO,), settings=QUICK)
        async with named as reader:
            assert [each.event(AVRO) for each in await some(reader, 1)] == [Order("o-1")]


class Placed(
    IntegrationEvent, topic="orders", key="id", name="Shop.Placed", version=2, format="avro", schema_id="prefix"
):
    id: str
    customer: str = "nobody"


Placed.upcast(1, rename("client", "customer"))


async def test_an_older_version_is_upcast_by_what_its_writer_says() -> None:
    """In binary and in structured mode; the steps are given fields that the newest form does not have."""
    contents, text = InMemory(SystemClock()), {"type": "record", "name": "Placed", "namespace": "Shop"}
    fields = [[{"name": name, "type": "string"} for name in names] for names in (("client", "id"), ("id", "client"))]
    headers = {
        f"ce_{name}": value
        for name, value in {"id": b"1", "source": b"/shop", "specversion": b"1.0", "type": b"Shop.Placed"}.items()
    }
    async with a_registry(contents) as address, a_broker() as broker, Producer(broker) as producer:
        schemas = [Schema(json.dumps({**text, "fields": each})) for each in fields]
        ids = [
            (await LocalRegistry(contents).register(f"Shop.{number}", each)).id for number, each in enumerate(schemas)
        ]
        await producer.send("orders", id_prefix(ids[0]) + b"\x06ann\x06o-1", headers=headers)
        structured = to_structured({**headers, "content-type": b"avro/binary"}, id_prefix(ids[1]) + b"\x06o-2\x06bob")
        await producer.send("orders", structured[1], headers=structured[0])
        async with consumer(broker, f"http://{address}", Placed) as reader:
            found = [each.event(Placed) for each in await some(reader, 2)]
    assert found == [Placed("o-1", "ann"), Placed("o-2", "bob")]


async def test_a_type_that_is_not_named_is_read_as_before() -> None:
    """By what the record itself says; what needs another's schema is refused, and the error says what to write."""
    async with a_broker() as broker, Producer(broker) as producer:
        await producer.send("orders", id_prefix(7) + b"\x06o-1")
        async with Consumer("orders", group="reports", broker=broker, settings=QUICK) as reader:
            [message] = await some(reader, 1)
    assert "a Consumer for the types in its reads=(...)" in refusal(message).why


def test_types_that_nobody_reads_there_are_refused() -> None:
    """A type of another topic, one that is not declared, and one without its comma."""
    with pytest.raises(DefinitionError, match="a consumer of 'ordres' does not read Order v1 on orders"):
        Consumer("ordres", group="reports", reads=(AVRO,))
    with pytest.raises(DefinitionError, match="not declared"):
        Consumer("orders", group="reports", reads=(Order,))
    with pytest.raises(DefinitionError, match="is not a tuple"):
        Consumer("orders", group="reports", reads=PROTOBUF)  # type: ignore[arg-type]
