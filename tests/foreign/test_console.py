"""A console for Kafka on a real broker, with our registry, and what a service of ours publishes there."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient

from mainstem.registry.http import Password
from tests.foreign.console import Console
from tests.foreign.shop import Card, Cash, Channel, Line, Placed, shop
from tests.rooms.ops.processes import Spawned
from tests.rooms.ops.test_registry import address_of

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

SHOP = "tests.foreign.shop:shop"
ACCOUNTS = """
[[account]]
name = "shop"
password = "{password}"
allow = [{{ subjects = "", operations = ["read", "register", "configure"] }}]

[[account]]
name = "console"
password = "{password}"
allow = [{{ subjects = "", operations = ["read"] }}]
"""
EVENTS = (
    Placed("o-1", datetime(2026, 1, 2, 3, 4, 5, 600_000, tzinfo=UTC), [Line("tea", Decimal("4.20"))], Card("4711")),
    Placed("o-2", datetime(2026, 1, 2, tzinfo=UTC), [], Cash(), Channel.OTHER, "grüße"),
)
WHOLES = {
    "AVRO": (
        '{"type":"record","name":"Part","fields":[{"name":"sku","type":"string"}]}',
        '{"type":"record","name":"Whole","fields":[{"name":"part","type":"Part"}]}',
        b"\x06tea",
    ),
    "JSON": (
        '{"type":"object","properties":{"sku":{"type":"string"}}}',
        '{"title":"Whole","type":"object","properties":{"part":{"$ref":"Part"}}}',
        b'{"part":{"sku":"tea"}}',
    ),
    "PROTOBUF": (
        'syntax = "proto3"; message Part { string sku = 1; }',
        'syntax = "proto3"; import "Part"; message Other {} message Whole { Part part = 1; }',
        b"\x02\x02\n\x05\n\x03tea",
    ),
}
INTERNAL = {
    *("mainstem.catalogue", "mainstem.groups"),
    *(f"shop.{each}" for each in ("answers", "changelog", "dead-letters", "inbox")),
    *(f"schema-registry.{each}" for each in ("answers", "changelog", "dead-letters", "inbox", "requests", "rows")),
}


class Town:
    """A registry with accounts and a service, in processes of their own, as in production."""

    def __init__(self, kafka: str, folder: Path, stack: ExitStack) -> None:
        """Start them in the current folder; the service has handled two orders."""
        names = ("registry", "command", "service")
        server, command, service = (stack.enter_context(Spawned(folder / f"{each}.log")) for each in names)
        password = Password.hashed("geheim", b"salt")
        (folder / "accounts.toml").write_text(ACCOUNTS.format(password=password))
        server.start("registry", "serve", "--http", "127.0.0.1:0", "--accounts", "accounts.toml")
        self.kafka, self.registry = kafka, address_of(server)
        self.console = Console(kafka, self.registry, folder)
        by_shop = ("--registry", f"http://shop:geheim@{self.registry}")
        for arguments in (("topics", "apply", SHOP), ("schema", "register", SHOP, *by_shop)):
            command.start(*arguments)
            assert command.ended() == 0, command.said()
        asyncio.run(_publish(kafka))
        service.start("run", SHOP)
        service.wait_for("thanked", len(EVENTS))


async def _publish(kafka: str) -> None:
    async with shop.running(broker=f"kafka://{kafka}", consume=False):
        await shop.publish(*EVENTS)


@pytest.fixture(scope="module")
def town(cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """One for all tests."""
    folder = tmp_path_factory.mktemp("town")
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.chdir(folder)
        patch.setenv("MAINSTEM_BROKER", f"kafka://{cluster}")
        yield Town(cluster, folder, stack)


@pytest.mark.parametrize(
    ("topic", "schema", "contents"),
    [
        (
            "orders",
            ("AVRO", "Shop.Placed"),
            [
                {
                    "order": "o-1",
                    "placed_at": "2026-01-02 03:04:05.600000+00:00",
                    "lines": [{"sku": "tea", "price": "4.20"}],
                    "payment": {"digits": "4711"},
                    "channel": "web",
                    "note": None,
                },
                {
                    "order": "o-2",
                    "placed_at": "2026-01-02 00:00:00+00:00",
                    "lines": [],
                    "payment": {},
                    "channel": "other",
                    "note": "grüße",
                },
            ],
        ),
        (
            "confirmations",
            ("JSON", "Shop.Confirmed"),
            [
                {
                    "order": "o-1",
                    "confirmed_at": "2026-01-02T03:04:05.600000Z",
                    "lines": [{"sku": "tea", "price": "4.20"}],
                    "payment": {"type": "Card", "digits": "4711"},
                    "channel": "web",
                    "note": None,
                },
                {
                    "order": "o-2",
                    "confirmed_at": "2026-01-02T00:00:00Z",
                    "lines": [],
                    "payment": {"type": "Cash"},
                    "channel": "other",
                    "note": "grüße",
                },
            ],
        ),
        (
            "shipments",
            ("PROTOBUF", "Shop.Shipped"),
            [
                {
                    "order": "o-1",
                    "shippedAt": "2026-01-02T03:04:05.600Z",
                    "lines": [{"sku": "tea", "price": "4.20"}],
                    "paymentCard": {"digits": "4711"},
                    "channel": "CHANNEL_WEB",
                },
                {
                    "order": "o-2",
                    "shippedAt": "2026-01-02T00:00:00Z",
                    "lines": [],
                    "paymentCash": {},
                    "channel": "CHANNEL_OTHER",
                    "note": "grüße",
                },
            ],
        ),
    ],
    ids=["Avro", "JSON", "Protobuf"],
)
def test_events_are_read_by_the_schemas_of_the_registry(
    topic: str, schema: tuple[str, str], contents: Sequence[Mapping[str, object]], town: Town
) -> None:
    """In every format with the id before the payload: all fields, the type, its version, and what stands in headers."""
    [seen] = town.console.records(topic)
    copied = {str(each.key.content): each for each in seen.copied}
    assert [copied[key].value.content for key in ("o-1", "o-2")] == contents
    for each in seen.copied:
        assert each.value.schema is not None
        assert (each.value.schema["type"], each.value.schema["subject"], each.value.schema["version"]) == (*schema, 1)
        assert {"key": "ce_type", "value": schema[1]} in each.headers
        assert not [header for header in each.headers if "error" in header]
    shown = {key: value for key, value, *_ in seen.rows}
    assert "'4.20'" in shown["o-1"]
    assert "'grüße'" in shown["o-2"]
    for screen in seen.screens:
        assert f"{schema[1]} v1" in screen
        assert f"REGISTRY · {schema[0]}" in screen
        assert '"order": "o-' in screen
    assert seen.said == []


def test_without_an_id_before_it_a_payload_is_shown_as_bytes(town: Town) -> None:
    """Kaskade looks for the id nowhere else: what has it in a header is not read. It says so, and goes on."""
    for seen in town.console.records("payments", "thanks"):
        errors = [each.value.error for each in seen.copied]
        assert ["" if each is None else each["message"][:21] for each in errors] == ["Unexpected magic byte"] * 2
        assert seen.said == []


def test_json_without_an_id_is_read_as_json(town: Town) -> None:
    """As our events are unless they say otherwise: no registry is needed."""
    [read] = town.console.records("thanks", values=["json"])
    orders = sorted((each.value.content for each in read.copied), key=str)
    assert orders == [{"order": "o-1", "times": 1}, {"order": "o-2", "times": 1}]


def test_a_schema_that_refers_to_another_is_put_together(town: Town) -> None:
    """What others have written: the console fetches what a schema stands on, and of Protobuf the descriptors."""
    with SchemaRegistryClient({"url": f"http://{town.registry}", "basic.auth.user.info": "shop:geheim"}) as client:
        for kind, (part, whole, payload) in WHOLES.items():
            client.register_schema(f"Part/{kind}", Schema(part, kind))
            refers = Schema(whole, kind, [SchemaReference("Part", f"Part/{kind}", 1)])
            id = client.register_schema(f"wholes.{kind}-value", refers)
            _produce(town.kafka, f"wholes.{kind}", b"\0" + id.to_bytes(4) + payload)
    for kind, seen in zip(WHOLES, town.console.records(*(f"wholes.{kind}" for kind in WHOLES)), strict=True):
        [read] = seen.copied
        assert (read.value.error, read.value.content) == (None, {"part": {"sku": "tea"}})
        assert read.value.schema is not None
        assert read.value.schema["subject"] == f"wholes.{kind}-value"


def _produce(kafka: str, topic: str, value: bytes) -> None:
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.create_topics([NewTopic(topic, 1)])[topic].result()
    producer = Producer({"bootstrap.servers": kafka})
    producer.produce(topic, value, "k")
    assert producer.flush(30) == 0


def test_topics_and_groups_are_listed(town: Town) -> None:
    """Ours like any others: who reads what, that nothing is left to be read, and who is a member."""
    seen = town.console.topics()
    assert seen.said == []
    names = [name for name, *_ in seen.rows]
    assert {"orders", "confirmations", "shipments", "payments", "thanks"} | INTERNAL <= set(names)
    assert not [row for row in seen.rows if "unavailable" in str(row).lower()]
    for topic in ("orders", "confirmations", "shipments", "payments"):
        assert seen.topics[topic]["group-offsets-table"] == [["shop", "0", "2", "2", "0"], ["shop", "1", "2", "2", "0"]]
    for service in ("shop", "schema-registry"):
        [[group, _, state, *_]] = seen.topics[f"{service}.inbox"]["groups-table"]
        assert (group, state) == (service, "stable")
        [[group, client, *_]] = seen.topics[f"{service}.inbox"]["group-members-table"]
        assert (group, client) == (service, "mainstem")


def test_topics_of_our_own_can_be_looked_into(town: Town) -> None:
    """They are no secret, and nothing in them stops a console that is told to read them by the registry."""
    topics = sorted(INTERNAL)
    for topic, seen in zip(topics, town.console.records(*topics), strict=True):
        assert seen.said == [], topic
        assert len(seen.copied) == min(len(seen.rows), 2)
