"""What handlers have said that they read is the same on both brokers, whichever library has written it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from mainstem import IntegrationEvent, Service, Topic, running
from mainstem.broker import Record, TopicPartition, TopicSpec
from mainstem.clock import SystemClock
from mainstem.identifiers import Identifiers
from mainstem.schemas.upcasting import default
from mainstem.service import CATALOGUE, connected, forget_group, read_catalogue
from mainstem.service.contracts import say_seen
from mainstem.settings import Settings
from tests.kafka.test_both_brokers import Shifted
from tests.rooms.ops.conftest import Shell

HERE = "tests.kafka.test_contracts"
HOUR_MS = 3_600_000

OLD_KEY = b"old-billing/old-billing/a5707552-cb08-81e8-822f-6d463109a538"
OLD_ENTRY = (
    b'{"service":"old-billing","group":"old-billing","fingerprint":"a5707552-cb08-81e8-822f-6d463109a538",'
    b'"definition":3,"library":"0.1.0","at_ms":1795337006214,"tasks":1,"lanes":64,'
    b'"publishes":[{"name":"Billed","topic":"bills","version":1,"kind":"integration","key":["order"],"owner":null}],'
    b'"subscriptions":[{"handler":"bill","wants":[{"name":"OldSold","topic":"old-sales","version":1,'
    b'"kind":"integration","key":["order"],"owner":null}],"publishes":[{"name":"Billed","topic":"bills","version":1,'
    b'"kind":"integration","key":["order"],"owner":null}],"timer":null,"batch":false}],'
    b'"stores":[{"name":"totals","scope":"key","version":1}]}'
)
"""As the library wrote it before it told of calendars, alerts, environments and contracts."""


class OldSold(IntegrationEvent, topic="old-sales", key="order"):
    order: str


@dataclass
class Order:
    """What is read of it."""

    order: str


shop = Service("old-shop", publishes=(OldSold,))


@pytest.fixture(params=["file", "kafka"])
def shell(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A command line in an empty folder, whose broker is named, once each."""
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{tmp_path}/shop.db"
    if request.param == "kafka":
        url = f"kafka://{request.getfixturevalue('kafka')}?state_folder={tmp_path}/state"
    monkeypatch.setenv("MAINSTEM_BROKER", url)
    return Shell(tmp_path, url)


async def test_an_entry_of_an_older_library_is_a_reader_that_has_not_said_what_it_reads(shell: Shell) -> None:
    """It is read as a whole, with what has come since as it is for who says nothing of it."""
    clock = SystemClock()
    async with connected(shell.broker, clock, Identifiers(clock)) as broker:
        await broker.admin.create(TopicSpec(CATALOGUE, 1, compact=True))
        await broker.log.append(TopicPartition(CATALOGUE, 0), [Record(OLD_KEY, OLD_ENTRY, 1_795_337_006_214)])
        [entry] = [each for each in await read_catalogue(broker) if each.service == "old-billing"]
        [handler] = entry.subscriptions
        assert (entry.definition, entry.environment, entry.gives_way_ms, entry.alerts) == (3, "default", None, {})
        assert (handler.handler, handler.schedule, handler.reads) == ("bill", None, ())
        about = (f"{HERE}:shop", "--registry", "folder:schemas")
        assert (await shell.beside("schema", "register", *about)).exit_code == 0
        told = await shell.beside("schema", "check", *about)
        assert told.exit_code == 0, told.output
        assert "unknown old-billing.bill (definition 3)  has not said what it reads" in told.stdout
        await forget_group(broker, "old-billing", clock.now_ms())


async def test_a_contract_says_who_reads_what_and_where_and_when_it_was_seen(
    shell: Shell, unique: Callable[[str], str]
) -> None:
    """Its environment, versions and schema stand in the catalogue, and an hour later that its group still runs."""
    name, place = unique("reader"), unique("staging")
    reader = Service(name, definition=2)
    reader.topic(f"{name}-orders", partitions=1)
    orders = Topic(f"{name}-orders", Order, type_name="Order", version=3, oldest=2)
    orders.upcast(2, default("order", ""))

    @reader.on(orders)
    async def read(order: Order) -> None:
        """Read the order."""

    async def listed() -> list[dict[str, object]]:
        done = await shell.beside("schema", "contracts", "list", "--environment", place, "--json")
        assert done.exit_code == 0, done.output
        found: list[dict[str, object]] = msgspec.json.decode(done.stdout)
        return found

    settings = Settings(environment=place, session_timeout_seconds=3)
    began = SystemClock().now_ms()
    async with running(reader, broker=shell.broker, dev=True, settings=settings) as process:
        [contract] = [each for each in await read_catalogue(process.broker) if each.group == name]
        [first] = await listed()
        await say_seen(process.broker, [name], Shifted(HOUR_MS), every_seconds=3_600)
        [later] = await listed()
    [handler] = contract.subscriptions
    [said] = handler.reads
    assert (contract.environment, said.topic, said.oldest, said.version) == (place, f"{name}-orders", 2, 3)
    assert list(msgspec.json.decode(said.schema)["properties"]) == ["order"]
    told = (first["service"], first["group"], first["handler"], first["definition"], first["environment"])
    assert told == (name, name, "read", 2, place)
    assert [first[each] for each in ("event", "oldest", "version", "format")] == ["Order", 2, 3, "json"]
    assert (first["stale"], first["retired"]) == (False, None)
    assert isinstance(first["seen_ms"], int)
    assert isinstance(later["seen_ms"], int)
    assert began <= first["seen_ms"] < began + HOUR_MS <= later["seen_ms"]
