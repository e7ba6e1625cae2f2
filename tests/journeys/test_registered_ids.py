"""Events with the ids that their schemas are registered as: from service to service, and to clients of a registry."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf.message_factory import GetMessageClass

from mainstem import IntegrationEvent, Retry, Service
from mainstem.errors import VersionUnknown
from mainstem.events import Plain, declaration_of
from mainstem.schemas import FieldNumber, schema_of
from mainstem.schemas.protobuf.files import linked
from mainstem.schemas.registries import LOCK_NAME, LockFile, RemoteRegistry
from mainstem.service import Running
from mainstem.service.plain import Consumer
from mainstem.service.promises import registered, stated_by
from mainstem.settings import Settings
from mainstem.web.client import Client
from tests.journeys.conditions import until
from tests.rooms.registry.http.live import listening


class Kinds:
    """Event types on topics that nothing else has on its broker, and what a service has been given of them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.given: list[object] = []
        self.kept: list[object] = []

        class PlacedFirst(
            IntegrationEvent, topic=f"{name}-orders", key="order", name="Placed", format="avro", schema_id="prefix"
        ):
            order: str
            client: str

        class Placed(
            IntegrationEvent, topic=f"{name}-orders", key="order", version=2, format="avro", schema_id="prefix"
        ):
            order: str
            customer: str
            parcels: int = 1

        class PlacedLater(
            IntegrationEvent,
            topic=f"{name}-orders",
            key="order",
            name="Placed",
            version=3,
            oldest=3,
            format="avro",
            schema_id="prefix",
        ):
            order: str

        class Landed(IntegrationEvent, topic=f"{name}-landings", key="flight", format="protobuf", schema_id="prefix"):
            flight: Annotated[str, FieldNumber(1)]
            late: Annotated[int, FieldNumber(2)] = 0

        class Sent(IntegrationEvent, topic=f"{name}-sent", key="to", format="avro", schema_id="header"):
            to: str

        class Noted(IntegrationEvent, topic=f"{name}-notes", key="text", schema_id="prefix"):
            text: str

        @Placed.upcast(1)
        def customers(data: Plain) -> Plain:
            return {"order": data["order"], "customer": data["client"]}

        self.first, self.placed, self.later, self.landed, self.sent, self.noted = (
            PlacedFirst,
            Placed,
            PlacedLater,
            Landed,
            Sent,
            Noted,
        )
        self.published = (PlacedFirst, Placed, PlacedLater, Landed, Sent, Noted)
        self.topics = [f"{name}-{each}" for each in ("orders", "landings", "sent", "notes")]

    def producer(self) -> Service:
        """Publishes all of them, and handles two itself."""
        service = self._with_topics(Service(f"{self.name}-producer", tasks=1, publishes=self.published))

        @service.on(self.sent, self.landed)
        async def keep(event: object) -> None:
            self.kept.append(event)

        return service

    def reader(self) -> Service:
        """Knows the second version, and has been given what it can read."""
        service = self._with_topics(Service(f"{self.name}-reader", tasks=1))

        @service.on(self.placed, self.landed, self.sent, self.noted, retry=Retry.on(VersionUnknown).dead_letter())
        async def read(event: object) -> None:
            self.given.append(event)

        return service

    def _with_topics(self, service: Service) -> Service:
        for each in self.topics:
            service.topic(each, partitions=1)
        return service

    def events(self) -> list[object]:
        """One of each, and an older and a later version of one of them."""
        return [
            self.first("o-1", "ann"),
            self.placed("o-2", "bob", 3),
            self.later("o-3"),
            self.landed("UA1", 20),
            self.sent("ann-marie"),
            self.noted("x"),
        ]


async def lock(kinds: Kinds, address: str, folder: Path) -> None:
    """Register what is published, as ``mainstem schema register`` does, and write the lock file."""
    async with Client([address]) as client:
        registry = RemoteRegistry(client)
        stated = stated_by(f"{kinds.name}-producer", [declaration_of(each) for each in kinds.published])
        found = [await registered(each, registry) for each in stated]
    LockFile().with_registered(found).write(folder / LOCK_NAME)


@asynccontextmanager
async def in_production(service: Service, url: str, registry: str) -> AsyncIterator[Running]:
    """Run a service with its topics made before."""
    settings = Settings(registry=registry)
    async with service.running(broker=url, settings=settings) as process:
        yield process


async def there_and_back(url: str, kinds: Kinds, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Published with the registry away, by the lock file; read elsewhere, by the registry; and read by its clients."""
    producer, reader = kinds.producer(), kinds.reader()
    (folder / "producer").mkdir()
    (folder / "reader").mkdir()
    for each in (producer, reader):
        async with each.running(broker=url, dev=True):
            pass
    with listening() as address:
        registry = f"http://{address}"
        await lock(kinds, registry, folder / "producer")
        patch.chdir(folder / "producer")
        async with in_production(producer, url, "http://127.0.0.1:9"):
            await producer.publish(*kinds.events())
            await until(lambda: len(kinds.kept) == 2)
        patch.chdir(folder / "reader")
        async with in_production(reader, url, registry) as process:
            await until(lambda: len(kinds.given) == 5)

            async def one_is_later() -> bool:
                counters = [each.counters.dead_lettered for each in await process.statistics()]
                return sum(counters) == 1

            await until(one_is_later)
        assert sorted(map(repr, kinds.given)) == sorted(
            map(
                repr,
                [
                    kinds.placed("o-1", "ann"),
                    kinds.placed("o-2", "bob", 3),
                    kinds.landed("UA1", 20),
                    kinds.sent("ann-marie"),
                    kinds.noted("x"),
                ],
            )
        )
        assert sorted(map(repr, await read_plainly(url, kinds, registry))) == sorted(map(repr, kinds.given))
        values = await records(url, kinds)
        with SchemaRegistryClient({"url": registry}) as client:
            assert await asyncio.to_thread(theirs, client, kinds, values) == [
                {"order": "o-1", "client": "ann"},
                {"order": "o-2", "customer": "bob", "parcels": 3},
                {"order": "o-3"},
                b"\n\x03UA1\x10\x14",
                {"to": "ann-marie"},
                {"text": "x"},
            ]


async def read_plainly(url: str, kinds: Kinds, registry: str) -> list[object]:
    """What a consumer without handlers makes of all that was published; the later version is none of it."""
    types = (kinds.placed, kinds.landed, kinds.sent, kinds.noted)
    by_topic = {declaration_of(each).topic: each for each in types}
    events: list[object] = []
    later: list[VersionUnknown] = []
    group, settings = f"{kinds.name}-plain", Settings(registry=registry)
    async with Consumer(*kinds.topics, group=group, broker=url, reads=types, settings=settings) as consumer:
        async for message in consumer:
            try:
                events.append(message.event(by_topic[message.topic]))
            except VersionUnknown as error:
                later.append(error)
            if len(events) + len(later) == len(kinds.events()):
                break
    assert [each.what for each in later] == ["the event is Placed v3, and only v2 is known here"]
    return events


@dataclasses.dataclass(frozen=True)
class Found:
    """A record as it stands in the log."""

    topic: str
    value: bytes
    headers: Mapping[str, bytes]


async def records(url: str, kinds: Kinds) -> list[Found]:
    """All that was published, topic by topic."""
    found: list[Found] = []
    for topic, count in zip(kinds.topics, (3, 1, 1, 1), strict=True):
        async with Consumer(topic, group=f"{kinds.name}-look-{topic}", broker=url) as consumer:
            async for message in consumer:
                assert message.value is not None
                found.append(Found(message.topic, message.value, message.headers))
                if len([each for each in found if each.topic == topic]) == count:
                    break
    return found


def theirs(client: SchemaRegistryClient, kinds: Kinds, values: list[Found]) -> list[object]:
    """What Confluent's deserializers make of them; of Protobuf the bytes of the message."""
    pool = linked(schema_of(declaration_of(kinds.landed)), {}).pool
    message = GetMessageClass(pool.FindMessageTypeByName("Landed"))
    read = {
        f"{kinds.name}-orders": AvroDeserializer(client),
        f"{kinds.name}-landings": ProtobufDeserializer(message, schema_registry_client=client),
        f"{kinds.name}-sent": AvroDeserializer(client),
        f"{kinds.name}-notes": JSONDeserializer(None, schema_registry_client=client),
    }
    found: list[object] = []
    for each in values:
        context = SerializationContext(each.topic, MessageField.VALUE, list(each.headers.items()))
        event = read[each.topic](each.value, context)
        found.append(event.SerializeToString() if hasattr(event, "SerializeToString") else event)
    return found


async def test_ids_go_from_service_to_service_and_to_other_clients(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the embedded broker."""
    await there_and_back(f"sqlite:///{tmp_path}/log.db", Kinds("shop"), tmp_path, monkeypatch)
