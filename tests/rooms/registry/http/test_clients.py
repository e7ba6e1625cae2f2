"""The real client of Confluent's registry, and its serializers, against ours."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.schema_registry import (
    RegisteredSchema,
    Schema,
    SchemaReference,
    SchemaRegistryClient,
    SchemaRegistryError,
    ServerConfig,
)
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.common.schema_registry_client import (
    ConfigCompatibilityLevel,
    Metadata,
    MetadataProperties,
    MetadataTags,
    Rule,
    RuleKind,
    RuleMode,
    RuleParams,
    RuleSet,
)
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from grpc_tools import protoc

from tests.rooms.registry.http.live import listening

ORDER = {"type": "record", "name": "Order", "fields": [{"name": "id", "type": "string"}]}
LARGER = {**ORDER, "fields": [*ORDER["fields"], {"name": "total", "type": "long", "default": 0}]}
BROKEN = {**ORDER, "fields": [{"name": "id", "type": "long"}]}
VALUE = SerializationContext("orders", MessageField.VALUE)
ODD = 'a/b "{}" é #?%2F'


@pytest.fixture
def client() -> Iterator[SchemaRegistryClient]:
    """A client of an empty registry."""
    with listening() as address, SchemaRegistryClient({"url": f"http://{address}", "max.retries": 0}) as made:
        yield made


def avro(text: object, **more: Any) -> Schema:
    """An Avro schema."""
    return Schema(json.dumps(text), "AVRO", **more)


def refused(call: Any, *arguments: Any, **named: Any) -> tuple[int, int]:
    """The status and the code of what the client raises."""
    with pytest.raises(SchemaRegistryError) as error:
        call(*arguments, **named)
    return error.value.http_status_code, error.value.error_code


def in_full(found: RegisteredSchema) -> tuple[object, ...]:
    """What a registered schema says of itself."""
    assert found.guid is not None
    assert len(found.guid) == 36
    return found.schema_id, found.subject, found.version, json.loads(found.schema.schema_str or "")


def test_registering_and_reading(client: SchemaRegistryClient) -> None:
    """Twice the same is one; by id, by GUID, by version, by the schema itself, and by what has it."""
    assert client.get_schema_types() == ["AVRO", "JSON", "PROTOBUF"]
    assert client.register_schema("orders", avro(ORDER)) == 1
    client.clear_caches()
    again = client.register_schema_full_response("orders", avro(ORDER), normalize_schemas=True)
    assert (again.schema_id, again.subject, again.version) == (1, "orders", 1)
    assert client.register_schema(ODD, avro(ORDER)) == 1
    assert client.register_schema("orders", avro(LARGER)) == 2
    client.clear_caches()
    assert json.loads(client.get_schema(2).schema_str or "") == LARGER
    assert json.loads(client.get_schema_by_guid(again.guid or "").schema_str or "") == ORDER
    assert in_full(client.get_version("orders", 1)) == (1, "orders", 1, ORDER)
    assert in_full(client.get_version(ODD, "latest")) == (1, ODD, 1, ORDER)
    assert in_full(client.get_latest_version("orders")) == (2, "orders", 2, LARGER)
    assert in_full(client.lookup_schema(ODD, avro(ORDER))) == (1, ODD, 1, ORDER)
    assert client.get_subjects_by_schema_id(1) == sorted([ODD, "orders"])
    assert [(each.subject, each.version) for each in client.get_schema_versions(1)] == [(ODD, 1), ("orders", 1)]
    assert client.get_versions("orders") == [1, 2]
    assert client.get_subjects() == [ODD, "orders"]
    assert client.get_subjects(subject_prefix="ord") == ["orders"]
    assert client.get_subjects(offset=1, limit=1) == ["orders"]


def test_what_is_not_there(client: SchemaRegistryClient) -> None:
    """Each kind of nothing has its code."""
    client.register_schema("orders", avro(ORDER))
    assert refused(client.get_schema, 9) == (404, 40403)
    assert refused(client.get_schema_by_guid, "none") == (404, 40403)
    assert refused(client.get_subjects_by_schema_id, 9) == (404, 40403)
    assert refused(client.get_schema_versions, 9) == (404, 40403)
    assert refused(client.get_latest_version, "none") == (404, 40401)
    assert refused(client.get_version, "orders", 9) == (404, 40402)
    assert refused(client.get_version, "orders", "x") == (422, 42202)
    assert refused(client.lookup_schema, "none", avro(ORDER)) == (404, 40401)
    assert refused(client.lookup_schema, "orders", avro(LARGER)) == (404, 40403)
    assert refused(client.get_versions, "none") == (404, 40401)
    assert refused(client.get_referenced_by, "orders", 9) == (404, 40402)
    assert refused(client.register_schema, "orders", avro({"type": "record"})) == (422, 42201)
    assert refused(client.register_schema, "orders", Schema("<a/>", "XML")) == (422, 42201)
    assert refused(client.register_schema, "orders", avro(BROKEN)) == (409, 409)
    assert refused(client.get_associations_by_resource_name, "orders", "-", "topic", ["value"]) == (404, 40410)


def test_deleting(client: SchemaRegistryClient) -> None:
    """Out of sight and then for good, a version or all of them."""
    for schema in (ORDER, LARGER):
        client.register_schema("orders", avro(schema))
    assert client.delete_version("orders", 1) == 1
    assert (client.get_versions("orders"), client.get_versions("orders", deleted=True)) == ([2], [1, 2])
    assert client.get_versions("orders", deleted_only=True) == [1]
    assert client.get_version("orders", 1, deleted=True).version == 1
    assert refused(client.delete_version, "orders", 1) == (404, 40406)
    assert refused(client.delete_version, "orders", 2, permanent=True) == (404, 40407)
    assert client.delete_version("orders", 1, permanent=True) == 1
    assert client.delete_subject("orders") == [2]
    assert (client.get_subjects(), client.get_subjects(deleted=True)) == ([], ["orders"])
    assert client.get_subjects(deleted_only=True) == ["orders"]
    assert refused(client.delete_subject, "orders") == (404, 40404)
    assert client.delete_subject("orders", permanent=True) == [2]
    assert client.get_subjects(deleted=True) == []


def test_compatibility_and_configuration(client: SchemaRegistryClient) -> None:
    """Levels and everything else that is configured, of a subject and of all."""
    client.register_schema("orders", avro(ORDER))
    assert client.test_compatibility("orders", avro(LARGER)) is True
    assert client.test_compatibility("orders", avro(BROKEN), version=1, normalize=True, verbose=True) is False
    assert client.test_compatibility_all_versions("orders", avro(BROKEN), verbose=True) is False
    assert client.get_compatibility() == "BACKWARD"
    told: Any = [client.set_compatibility(level="full"), client.set_compatibility("orders", "NONE")]
    assert told == [{"compatibility": "FULL"}, {"compatibility": "NONE"}]
    assert (client.get_compatibility("orders"), client.get_compatibility()) == ("NONE", "FULL")
    properties = Metadata(MetadataTags({}), MetadataProperties({"team": "shop"}), [])
    config = ServerConfig(compatibility_group="major", default_metadata=properties)
    set_to: Any = client.set_config("orders", config)
    assert (set_to["compatibility"], set_to["compatibilityGroup"]) == ("NONE", "major")
    found = client.get_config("orders")
    assert (found.compatibility_level, found.compatibility_group) == (ConfigCompatibilityLevel.NONE, "major")
    assert found.default_metadata is not None
    assert found.default_metadata.properties == properties.properties
    assert client.delete_config("orders").compatibility_group == "major"
    assert refused(client.get_config, "orders") == (404, 40408)
    assert client.delete_config().compatibility_level == ConfigCompatibilityLevel.FULL
    assert client.get_config().compatibility_level == ConfigCompatibilityLevel.BACKWARD
    assert refused(client.set_compatibility, "orders", "SOME") == (422, 42203)


def test_modes_and_contexts(client: SchemaRegistryClient) -> None:
    """Read only, import, and what keeps ids apart."""
    assert client.get_global_mode() == "READWRITE"
    assert client.update_mode("orders", "READONLY") == "READONLY"
    assert refused(client.register_schema, "orders", avro(ORDER)) == (422, 42205)
    assert (client.get_mode("orders"), client.delete_mode("orders")) == ("READONLY", "READONLY")
    assert refused(client.get_mode, "orders") == (404, 40409)
    client.register_schema("orders", avro(ORDER))
    assert refused(client.update_global_mode, "IMPORT") == (422, 42205)
    assert client.update_global_mode("IMPORT", force=True) == "IMPORT"
    assert client.update_global_mode("READWRITE") == "READWRITE"
    assert client.register_schema(":.west:orders", avro(LARGER)) == 1
    assert client.get_contexts() == [".", ".west"]
    assert in_full(client.get_latest_version(":.west:orders"))[1:] == (":.west:orders", 1, LARGER)
    assert json.loads(client.get_schema(1, ":.west:orders").schema_str or "") == LARGER


def test_metadata_rules_and_references(client: SchemaRegistryClient) -> None:
    """What comes with a schema comes back as it was, and makes it another one."""
    rule = Rule(
        "up",
        "a doc",
        RuleKind.TRANSFORM,
        RuleMode.UPGRADE,
        "JSONATA",
        ["PII"],
        RuleParams({"a": "b"}),
        "$",
        None,
        "ERROR",
        False,
    )
    metadata = Metadata(MetadataTags({"Order.id": ["PII"]}), MetadataProperties({"owner": "shop"}), ["secret"])
    told = avro(ORDER, metadata=metadata, rule_set=RuleSet(None, [rule], None))
    assert [client.register_schema("orders", each) for each in (avro(ORDER), told)] == [1, 2]
    client.clear_caches()
    found = client.get_latest_with_metadata("orders", {"owner": "shop"})
    assert (found.version, found.schema.metadata) == (2, metadata)
    assert found.schema.rule_set is not None
    assert found.schema.rule_set.migration_rules or found.schema.rule_set.domain_rules == [rule]
    assert refused(client.get_latest_with_metadata, "orders", {"owner": "bank"}) == (404, 40402)
    uses = {"type": "record", "name": "Basket", "fields": [{"name": "order", "type": "Order"}]}
    client.register_schema("baskets", avro(uses, references=[SchemaReference("Order", "orders", 1)]))
    assert client.get_referenced_by("orders", 1) == [3]
    assert client.get_version("baskets", 1).schema.references == [SchemaReference("Order", "orders", 1)]
    assert refused(client.delete_version, "orders", 1) == (422, 42206)
    client.clear_caches()
    inlined = json.loads(client.get_version("baskets", 1, fmt="resolved").schema.schema_str or "")
    assert inlined["fields"][0]["type"]["fields"] == ORDER["fields"]


# -- serializers


def test_avro_goes_round(client: SchemaRegistryClient) -> None:
    """Written with one version, read with the next; with a reference, and with the latest as it is there."""
    write = AvroSerializer(client, json.dumps(ORDER))
    written = write({"id": "o-1"}, VALUE)
    assert written is not None
    assert (written[:5], client.get_subjects()) == (b"\0\0\0\0\1", ["orders-value"])
    read = AvroDeserializer(client, json.dumps(LARGER))
    assert read(written, VALUE) == {"id": "o-1", "total": 0}
    client.register_schema("orders-value", avro(LARGER))
    latest = AvroSerializer(client, conf={"auto.register.schemas": False, "use.latest.version": True})
    assert AvroDeserializer(client)(latest({"id": "o-2", "total": 5}, VALUE), VALUE) == {"id": "o-2", "total": 5}


def test_avro_refers(client: SchemaRegistryClient) -> None:
    """A record in a subject of its own."""
    client.register_schema("order", avro(ORDER))
    basket = {"type": "record", "name": "Basket", "fields": [{"name": "order", "type": "Order"}]}
    schema = avro(basket, references=[SchemaReference("Order", "order", 1)])
    written = AvroSerializer(client, schema)({"order": {"id": "o-1"}}, VALUE)
    client.clear_caches()
    assert AvroDeserializer(client)(written, VALUE) == {"order": {"id": "o-1"}}


def test_json_goes_round(client: SchemaRegistryClient) -> None:
    """Checked against its schema both ways, with a reference to another."""
    address = {"$id": "address.json", "type": "object", "properties": {"city": {"type": "string"}}}
    person = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Person",
        "type": "object",
        "properties": {"name": {"type": "string"}, "home": {"$ref": "address.json"}},
    }
    client.register_schema("address", Schema(json.dumps(address), "JSON"))
    schema = Schema(json.dumps(person), "JSON", [SchemaReference("address.json", "address", 1)])
    value = {"name": "Ann", "home": {"city": "Bern"}}
    written = JSONSerializer(schema, client)(value, VALUE)
    client.clear_caches()
    assert JSONDeserializer(None, schema_registry_client=client)(written, VALUE) == value


PROTO = {
    "bought/money.proto": 'syntax = "proto3"; package shop; message Money { int64 cents = 1; }',
    "bought/order.proto": """syntax = "proto3"; package shop;
import "bought/money.proto"; import "google/protobuf/timestamp.proto";
message Order { string id = 1; Money total = 2; google.protobuf.Timestamp at = 3; message Line { string sku = 1; } }
""",
}


@pytest.fixture
def order_pb2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module that protoc makes of these files."""
    for name, text in PROTO.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    well_known = str(Path(protoc.__file__).parent / "_proto")
    arguments = ["protoc", f"-I{tmp_path}", f"-I{well_known}", f"--python_out={tmp_path}", *PROTO]
    assert protoc.main(arguments) == 0
    monkeypatch.syspath_prepend(tmp_path)
    from bought import order_pb2 as made  # type: ignore[import-not-found]  # noqa: PLC0415 - it is made by now

    yield made
    for name in [each for each in sys.modules if each.partition(".")[0] == "bought"]:
        del sys.modules[name]


def test_protobuf_goes_round(client: SchemaRegistryClient, order_pb2: Any) -> None:
    """Its imports are registered and referred to, its schema is sent and fetched as a descriptor."""
    order = order_pb2.Order(id="o-1", total=order_pb2.Order().total.__class__(cents=5))
    written = ProtobufSerializer(order_pb2.Order, client)(order, VALUE)
    assert sorted(client.get_subjects()) == ["bought/money.proto", "orders-value"]
    assert ProtobufDeserializer(order_pb2.Order, schema_registry_client=client)(written, VALUE) == order
    client.clear_caches()
    assert ProtobufDeserializer(order_pb2.Order, schema_registry_client=client)(written, VALUE) == order
    assert "message Order" in (client.get_latest_version("orders-value").schema.schema_str or "")
    client.clear_caches()  # it keeps the text, and takes it for the descriptor that it asks for next
    latest = ProtobufSerializer(order_pb2.Order, client, {"auto.register.schemas": False, "use.latest.version": True})
    assert latest(order, VALUE) == written
    line = order_pb2.Order.Line(sku="s")
    nested = ProtobufSerializer(order_pb2.Order.Line, client)(line, VALUE)
    assert ProtobufDeserializer(order_pb2.Order.Line, schema_registry_client=client)(nested, VALUE) == line


def test_ids_in_headers(client: SchemaRegistryClient) -> None:
    """The GUID instead of the id, in a header, and found by it."""
    from confluent_kafka.schema_registry import header_schema_id_serializer  # noqa: PLC0415 - newer than the others

    headers: list[tuple[str, str | bytes | None]] = []
    context = SerializationContext("orders", MessageField.VALUE, headers)
    write = AvroSerializer(client, json.dumps(ORDER), conf={"schema.id.serializer": header_schema_id_serializer})
    written = write({"id": "order-1"}, context)
    assert (written, [name for name, _ in headers]) == (b"\x0eorder-1", ["__value_schema_id"])
    client.clear_caches()
    assert AvroDeserializer(client)(written, context) == {"id": "order-1"}
