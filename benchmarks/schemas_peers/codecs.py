"""The peers, in an environment of their own: reads ``case count`` line by line, prints wall and CPU seconds for each.

Imports nothing of Mainstem. Each makes bytes and headers of a typed event, or a typed event of them, as its
documentation shows it; the registry of the serializers is theirs in memory, and asked once.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from cloudevents.core.bindings.kafka import from_binary, to_binary
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory


@dataclass
class Payment:
    """The event."""

    order_id: str
    customer_id: str
    amount_cents: int
    currency: str
    note: str


EVENT = Payment("o-1234567", "c-4711", 4_200, "EUR", "n" * 100)
TEXTS = ("order_id", "customer_id", "currency", "note")
AVRO = """{"type":"record","name":"Payment","fields":[
 {"name":"order_id","type":"string"},{"name":"customer_id","type":"string"},{"name":"amount_cents","type":"long"},
 {"name":"currency","type":"string"},{"name":"note","type":"string"}]}"""
JSON = """{"title":"Payment","type":"object","properties":{"order_id":{"type":"string"},"customer_id":{"type":"string"},
 "amount_cents":{"type":"integer"},"currency":{"type":"string"},"note":{"type":"string"}},
 "required":["order_id","customer_id","amount_cents","currency","note"]}"""


def message_class() -> type:
    """The event as a Protobuf message."""
    file = descriptor_pb2.FileDescriptorProto(name="payment.proto", syntax="proto3")
    message = file.message_type.add(name="Payment")
    for number, name in enumerate(("order_id", "customer_id", "amount_cents", "currency", "note"), 1):
        kind = (
            descriptor_pb2.FieldDescriptorProto.TYPE_STRING
            if name in TEXTS
            else descriptor_pb2.FieldDescriptorProto.TYPE_INT64
        )
        message.field.add(name=name, number=number, type=kind, label=descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL)
    pool = descriptor_pool.Default()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("Payment"))


Message = message_class()
CLIENT = SchemaRegistryClient.new_client({"url": "mock://bench"})
CONTEXT = SerializationContext("payments", MessageField.VALUE)
FORMAT = JSONFormat()


def cloudevents_write(number: int) -> object:
    """A CloudEvent in binary mode; its payload is given as plain data."""
    attributes = {
        "id": str(number),
        "source": "/shop",
        "type": "Payment",
        "datacontenttype": "application/json",
        "time": datetime.now(UTC),
    }
    return to_binary(CloudEvent(attributes=attributes, data=asdict(EVENT)), FORMAT)


WRITTEN = cloudevents_write(0)


def cloudevents_read(_: int) -> object:
    """The same back, as the typed event."""
    event = from_binary(WRITTEN, FORMAT)
    return Payment(**event.get_data())


def plain(event: Payment, _: object) -> dict[str, object]:
    """What the serializers ask for."""
    return asdict(event)


def typed(data: dict[str, object], _: object) -> Payment:
    """And what the deserializers do."""
    return Payment(**data)


def both(name: str, write: Callable[[object, object], bytes], read: Callable[[bytes, object], object]) -> None:
    """The two loops of a serializer and its deserializer; the event of Protobuf is its own class."""

    def event() -> object:
        return Message(**asdict(EVENT)) if name.startswith("protobuf") else EVENT

    raw = write(event(), CONTEXT)
    read(raw, CONTEXT)
    CASES[f"{name}_write"] = lambda _: write(event(), CONTEXT)
    CASES[f"{name}_read"] = lambda _: read(raw, CONTEXT)


CASES: dict[str, Callable[[int], object]] = {
    "cloudevents_write": cloudevents_write,
    "cloudevents_read": cloudevents_read,
}
both("avro_confluent", AvroSerializer(CLIENT, AVRO, plain), AvroDeserializer(CLIENT, AVRO, typed))
both("json_confluent", JSONSerializer(JSON, CLIENT, plain), JSONDeserializer(JSON, typed, CLIENT))
both(
    "protobuf_confluent",
    ProtobufSerializer(Message, CLIENT),
    ProtobufDeserializer(Message, schema_registry_client=CLIENT),
)


def main() -> None:
    """Run what is asked for."""
    for line in sys.stdin:
        name, count = line.split()
        case = CASES[name]
        wall, cpu = time.perf_counter(), time.process_time()
        for number in range(int(count)):
            case(number)
        print(time.perf_counter() - wall, time.process_time() - cpu, flush=True)


main()
