"""What a person sees of records that name a schema of a registry."""

import json
from io import BytesIO

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from fastavro import parse_schema, schemaless_writer

from mainstem.broker import Record
from mainstem.schemas.framing import guid_header, id_prefix
from tests.rooms.ops.conftest import Shell
from tests.rooms.ops.test_events import append, tail, topics
from tests.rooms.registry.http.live import listening

__all__ = ["topics"]

PAID = {
    "type": "record",
    "name": "Paid",
    "fields": [{"name": "order", "type": "string"}, {"name": "at", "type": {"type": "int", "logicalType": "date"}}],
}
# In a context of its own, where it has the id that PAID has in the registry's own.
RUNG = {"type": "record", "name": "Rung", "fields": [{"name": "till", "type": "string"}]}
LANDED = """syntax = "proto3"; package fly;
message Noise {}
message Landed { message Gate { string name = 1; } Gate gate = 1; }"""


def avro(order: str, day: int) -> bytes:
    """A payload of the first schema."""
    file = BytesIO()
    schemaless_writer(file, parse_schema(PAID), {"order": order, "at": day})
    return file.getvalue()


@pytest.mark.usefixtures("topics")
def test_payloads_behind_a_schema_are_shown_as_what_they_say(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """In all formats and framings, in the context of a domain event; what no registry knows is shown as bytes."""
    with listening() as address, SchemaRegistryClient({"url": f"http://{address}"}) as registry:
        monkeypatch.setenv("MAINSTEM_REGISTRY", f"http://{address}")
        paid = registry.register_schema_full_response("paid", Schema(json.dumps(PAID), "AVRO"))
        noted = registry.register_schema("noted", Schema('{"type": "object"}', "JSON"))
        landed = registry.register_schema("landed", Schema(LANDED, "PROTOBUF"))
        private = registry.register_schema(":.till:Rung", Schema(json.dumps(RUNG), "AVRO"))
        assert private == paid.schema_id
        append(
            shell,
            "gold",
            Record(b"k", id_prefix(paid.schema_id) + avro("o-1", 0), 1),
            Record(b"k", avro("o-2", 1), 2, own={"__value_schema_id": guid_header(paid.guid)}),
            Record(b"k", id_prefix(noted) + b'{"text": "hm"}', 3),
            Record(b"k", id_prefix(landed, (1, 0)) + b"\x0a\x02A1", 4),
            Record(b"k", id_prefix(landed, (1,)) + b"\x0a\x04\x0a\x02A2", 5),
            Record(b"k", id_prefix(private) + b"\x04T7", 6, own={"ce_kind": b"domain", "ce_source": b"/till"}),
            Record(b"k", id_prefix(99) + b"?", 7),
            Record(b"k", id_prefix(paid.schema_id) + b"?", 8),
            Record(b"k", b'{"plain": 1}', 9),
        )
        lines = tail(shell, "gold")
        assert [line.get("data") for line in lines] == [
            {"order": "o-1", "at": "1970-01-01"},
            {"order": "o-2", "at": "1970-01-02"},
            {"text": "hm"},
            {"name": "A1"},
            {"gate": {"name": "A2"}},
            {"till": "T7"},
            None,
            None,
            {"plain": 1},
        ]
        assert [line["offset"] for line in lines if "data_base64" in line] == [6, 7]
        assert '{"order":"o-1","at":"1970-01-01"}' in shell("tail", "gold", "--from", "earliest").stdout


@pytest.mark.usefixtures("topics")
def test_a_registry_that_is_away_is_told_once(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The records are shown as bytes, and nobody waits for each of them."""
    with listening() as address:
        pass
    monkeypatch.setenv("MAINSTEM_REGISTRY", f"http://{address}")
    append(shell, "gold", *(Record(b"k", id_prefix(each) + b"?", each) for each in range(1, 4)))
    shown = shell("tail", "gold", "--from", "earliest", "--json")
    assert shown.exit_code == 0
    assert shown.stderr.count("shown as they are") == 1
    assert shown.stdout.count("data_base64") == 3
