"""Where we register a schema, the serializers of Confluent's client look for it, and the other way round."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
from confluent_kafka.schema_registry import (
    Schema,
    SchemaRegistryClient,
    record_subject_name_strategy,
    topic_record_subject_name_strategy,
    topic_subject_name_strategy,
)
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf.message_factory import GetMessageClass
from msgspec import Struct
from msgspec.structs import replace

from mainstem import DomainEvent, IntegrationEvent
from mainstem.errors import RegistryRefused
from mainstem.events import Declarable, EventFormat, SubjectStrategy, Topic, declaration_of
from mainstem.schemas import FieldNumber, codec_for, schema_of
from mainstem.schemas.framing import unframed
from mainstem.schemas.protobuf.files import linked
from mainstem.schemas.registries import RemoteRegistry, SchemaRegistry
from mainstem.service.promises import Stated, registered, stands, stated_by
from mainstem.web.client import Client
from tests.rooms.registry.http.live import listening

STRATEGIES: dict[SubjectStrategy, Any] = {
    "record": record_subject_name_strategy,
    "topic": topic_subject_name_strategy,
    "topic-record": topic_record_subject_name_strategy,
}
SUBJECTS = {"record": "shop.Paid", "topic": "payments-value", "topic-record": "payments-shop.Paid"}
VALUE = SerializationContext("payments", MessageField.VALUE)
THEIRS = {"auto.register.schemas": False, "use.latest.version": True}


class Paid(Struct):
    order: Annotated[str, FieldNumber(1)]
    cents: Annotated[int, FieldNumber(2)] = 0


class Refunded(IntegrationEvent, topic="payments"):
    order: str


class PaidFirst(IntegrationEvent, topic="payments", name="Shop.Paid"):
    order: str


class PaidAnew(IntegrationEvent, topic="payments", name="Shop.Paid", version=2):
    order: dict[str, str]


class Noted(DomainEvent, topic="notes", service="till"):
    text: str


class Both:
    """One registry, and two ways to it."""

    def __init__(self, ours: SchemaRegistry, theirs: SchemaRegistryClient) -> None:
        self.ours = ours
        self.theirs = theirs

    async def register(self, *declared: Declarable, service: str = "till") -> list[int]:
        """Register what a service that publishes these would; the ids."""
        return [(await registered(each, self.ours)).id for each in stated(*declared, service=service)]


def stated(*declared: Declarable, service: str = "till") -> list[Stated]:
    """What a service that publishes these says."""
    return list(stated_by(service, [declaration_of(each) for each in declared]))


def payments(form: EventFormat, strategy: SubjectStrategy) -> Topic[Paid]:
    """A topic of one type."""
    return Topic("payments", Paid, type_name="shop.Paid", format=form, schema_id="prefix", subject=strategy)


@asynccontextmanager
async def opened() -> AsyncIterator[Both]:
    """An empty registry."""
    with listening() as address, SchemaRegistryClient({"url": f"http://{address}", "max.retries": 0}) as theirs:
        async with Client([f"http://{address}"]) as client:
            yield Both(RemoteRegistry(client), theirs)


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_they_find_what_we_register(strategy: SubjectStrategy) -> None:
    """By the strategy of the same name, in formats whose serializers need no more than the name."""
    async with opened() as both:
        named = {"subject.name.strategy": STRATEGIES[strategy]}
        topic = payments("avro", strategy)
        (number,) = await both.register(topic)
        # By the record's name they look with the schema that they have; by the topic's they need none.
        text = None if strategy == "topic" else schema_of(topic.declaration).text
        write: Any = AvroSerializer(both.theirs, text, conf={**THEIRS, **named})
        framed = unframed(write({"order": "o-1", "cents": 3}, VALUE), {})
        assert framed.id == number
        assert codec_for(topic.declaration).decode(framed.payload) == Paid("o-1", 3)
        written = b"\0" + number.to_bytes(4) + codec_for(topic.declaration).encode(Paid("o-2", 4))
        assert AvroDeserializer(both.theirs)(written, VALUE) == {"order": "o-2", "cents": 4}


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_they_find_documents_too(strategy: SubjectStrategy) -> None:
    """The title of a JSON Schema is the record's name."""
    async with opened() as both:
        named = {"subject.name.strategy": STRATEGIES[strategy]}
        topic = payments("json", strategy)
        (number,) = await both.register(topic)
        text = schema_of(topic.declaration).text
        write: Any = JSONSerializer(text, both.theirs, conf={**THEIRS, **named})
        framed = unframed(write({"order": "o-1", "cents": 3}, VALUE), {})
        assert framed.id == number
        assert codec_for(topic.declaration).decode(framed.payload) == Paid("o-1", 3)
        written = b"\0" + number.to_bytes(4) + codec_for(topic.declaration).encode(Paid("o-2", 4))
        read: Any = JSONDeserializer(None, schema_registry_client=both.theirs)
        assert read(written, VALUE) == {"order": "o-2", "cents": 4}


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_they_find_messages_too(strategy: SubjectStrategy) -> None:
    """The name of a message is the record's name; what they register, as a descriptor, is ours in normal form."""
    async with opened() as both:
        topic = payments("protobuf", strategy)
        pool = linked(schema_of(topic.declaration), {}).pool
        kind = GetMessageClass(pool.FindMessageTypeByName("shop.Paid"))
        message: Any = kind.FromString(codec_for(topic.declaration).encode(Paid("o-1", 3)))
        named = {"subject.name.strategy": STRATEGIES[strategy]}
        ProtobufSerializer(kind, both.theirs, named)(message, VALUE)
        (mine,) = stated(topic)
        assert both.theirs.get_subjects() == [mine.subject]
        assert await stands(mine, await both.ours.version(mine.subject, "latest"), both.ours)
        (number,) = await both.register(topic)
        both.theirs.clear_caches()
        framed = unframed(ProtobufSerializer(kind, both.theirs, {**THEIRS, **named})(message, VALUE), {}, indexed=True)
        assert (framed.id, framed.indexes) == (number, (0,))
        assert codec_for(topic.declaration).decode(framed.payload) == Paid("o-1", 3)


@pytest.mark.parametrize("form", ["json", "avro", "protobuf"])
@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_we_find_what_they_register(form: EventFormat, strategy: SubjectStrategy) -> None:
    """In their spelling, without an owner; and what is another schema is not found there."""
    async with opened() as both:
        (mine,) = stated(payments(form, strategy))
        name = STRATEGIES[strategy](VALUE, "shop.Paid")
        assert mine.subject == name == SUBJECTS[strategy]
        text = mine.schema.text
        spelt = json.dumps(json.loads(text), indent=2) if form != "protobuf" else f"// Payments.\n{text}"
        both.theirs.register_schema(name, Schema(spelt, mine.schema.format))
        assert await stands(mine, await both.ours.version(mine.subject, "latest"), both.ours)
        elsewhere = replace(mine, subject="elsewhere")
        assert not await stands(elsewhere, await both.ours.version("elsewhere", "latest"), both.ours)


@pytest.mark.parametrize("form", ["json", "avro", "protobuf"])
async def test_a_type_that_is_alone_is_found_by_its_topic(form: EventFormat) -> None:
    """It has the subject of its name; the usual strategy of other clients leads there as well."""
    async with opened() as both:
        topic = payments(form, "record")
        (number,) = await both.register(topic)
        assert both.theirs.get_subjects() == ["shop.Paid"]
        found = both.theirs.get_latest_version("payments-value")
        assert (found.subject, found.schema_id) == ("shop.Paid", number)
        if form == "avro":
            write: Any = AvroSerializer(both.theirs, conf=THEIRS)
            assert unframed(write({"order": "o-1", "cents": 3}, VALUE), {}).id == number
        assert await both.register(topic) == [number]


async def test_a_topic_of_several_types_names_none() -> None:
    """From when another type comes to the topic; a later major of the same one is no other type."""
    async with opened() as both:
        await both.register(PaidFirst)
        assert both.theirs.get_latest_version("payments-value").subject == "Shop.Paid"
        for declared in ([PaidFirst, PaidAnew], [PaidAnew]):
            await both.register(*declared)
            meant = await both.ours.version("payments-value", "latest")
            assert meant is not None
            assert meant.subject == "Shop.Paid.v2"
        await both.register(Refunded, PaidAnew)
        assert await both.ours.version("payments-value", "latest") is None


async def test_a_subject_of_the_name_of_a_topic_stays() -> None:
    """Whoever has registered something there meant it; and what is another service's is not taken away."""
    async with opened() as both:
        theirs = both.theirs.register_schema("payments-value", Schema('"string"', "AVRO"))
        await both.register(PaidFirst)
        assert both.theirs.get_latest_version("payments-value").schema_id == theirs
        await both.register(Refunded, Noted, service="till")
        assert both.theirs.get_latest_version("payments-value").schema_id == theirs
        assert both.theirs.get_latest_version(":.till:notes-value").subject == ":.till:Noted"
        assert await both.ours.version("notes-value", "latest") is None


async def test_a_name_that_may_not_be_set_stops_nobody() -> None:
    """What matters is registered; it is not found by its topic, and the log says so."""
    async with opened() as both:
        both.theirs.update_mode("payments-value", "READONLY")
        assert await both.register(PaidFirst) == [1]
        assert await both.ours.version("payments-value", "latest") is None


async def test_an_owner_counts_by_every_name() -> None:
    """Also where the topic names the subject, and two services publish on it."""
    async with opened() as both:
        await both.register(payments("avro", "topic"))
        with pytest.raises(RegistryRefused, match="belongs to the service 'till'"):
            await both.register(payments("avro", "topic"), service="bank")
