"""Confluent's serializer and deserializer for Protobuf, beside our schema, our bytes and our framing."""

import warnings
from collections.abc import Iterator
from functools import cache

import pytest
from confluent_kafka.schema_registry import Schema as TheirSchema
from confluent_kafka.schema_registry import SchemaRegistryClient, topic_subject_name_strategy
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from mainstem.events import declaration_of
from mainstem.schemas.documents import Schema
from mainstem.schemas.formats import schema_of
from mainstem.schemas.framing import id_prefix, unframed
from mainstem.schemas.protobuf import GRAMMAR, codec_of, differences
from mainstem.schemas.protobuf.files import linked
from tests.rooms.schemas.protobuf.orders import FULL, OrderPaid

DECLARATION = declaration_of(OrderPaid)
CONTEXT = SerializationContext("orders", MessageField.VALUE)


@pytest.fixture
def client() -> Iterator[SchemaRegistryClient]:
    """Their client, with a registry of its own in memory."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made: SchemaRegistryClient = SchemaRegistryClient.new_client({"url": "mock://"})
        yield made


@cache
def message_class(name: str = "Shop.Orders.OrderPaid") -> type[Message]:
    """A class of messages made of our schema, as their users have them from protoc."""
    found: type[Message] = GetMessageClass(linked(schema_of(DECLARATION), {}).pool.FindMessageTypeByName(name))
    return found


def written(client: SchemaRegistryClient, message: Message) -> bytes:
    """The value that their serializer makes of a message; it registers the schema."""
    settings = {"auto.register.schemas": True, "subject.name.strategy": topic_subject_name_strategy}
    value = ProtobufSerializer(type(message), client, settings)(message, CONTEXT)
    assert isinstance(value, bytes)
    return value


def test_what_they_write_is_read(client: SchemaRegistryClient) -> None:
    """Their framing leads to the first message of the file, and their bytes are the event."""
    codec = codec_of(DECLARATION)
    value = written(client, message_class().FromString(codec.encode(FULL)))
    framed = unframed(value, {}, indexed=True)
    assert framed.indexes == (0,)
    assert codec.decode(framed.payload) == FULL


def test_what_is_written_is_read_by_them(client: SchemaRegistryClient) -> None:
    """Our schema is registered as text, our bytes have its id and the index of the message."""
    codec = codec_of(DECLARATION)
    schema_id = client.register_schema("orders-value", TheirSchema(schema_of(DECLARATION).text, "PROTOBUF"))
    settings = {"use.deprecated.format": False, "subject.name.strategy": topic_subject_name_strategy}
    deserializer = ProtobufDeserializer(message_class(), settings)
    message = deserializer(id_prefix(schema_id, (0,)) + codec.encode(FULL), CONTEXT)
    assert codec.decode(message.SerializeToString()) == FULL


def test_what_they_register_is_a_schema(client: SchemaRegistryClient) -> None:
    """It is a descriptor in base64, of the same normal form as our text, and reads what we write."""
    written(client, message_class()())
    theirs = Schema(str(client.get_latest_version("orders-value").schema.schema_str), "PROTOBUF")
    GRAMMAR.check(theirs, {})
    assert GRAMMAR.normal(theirs, {}) == GRAMMAR.normal(schema_of(DECLARATION), {})
    assert differences(schema_of(DECLARATION), theirs, ({}, {}), "STRICT").compatible


def test_a_message_within_another_is_found(client: SchemaRegistryClient) -> None:
    """Their indexes count nested messages, and entries of maps, as our normal form keeps them."""
    line = message_class("Shop.Orders.OrderPaid.Line")
    value = written(client, line(sku="a"))
    framed = unframed(value, {}, indexed=True)
    for text in (schema_of(DECLARATION).text, GRAMMAR.normal(schema_of(DECLARATION), {})):
        outer, *inner = framed.indexes
        message = linked(Schema(text, "PROTOBUF"), {}).file.message_type[outer]
        for index in inner:
            message = message.nested_type[index]
        assert message.name == "Line"
    assert line.FromString(framed.payload) == line(sku="a")
