"""Our client, our commands and a start, against Apicurio Registry."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from mainstem import DomainEvent, IntegrationEvent, Service
from mainstem.errors import RegistryRefused, StartRefused
from mainstem.schemas.documents import Format, Reference, Schema
from mainstem.schemas.registries import LOCK_NAME, LockFile, Remembering, RemoteRegistry
from mainstem.settings import Settings
from mainstem.web.client import Client
from tests.rooms.ops.conftest import Shell

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

HERE = "tests.foreign.test_apicurio"
NOTED = '{{"type":"record","name":"Noted","fields":[{{"name":"text","type":"string"}}{more}]}}'
TEXTS: dict[Format, tuple[str, str]] = {
    "AVRO": (NOTED.format(more=""), NOTED.format(more=',{"name":"by","type":"int"}')),
    "PROTOBUF": ('syntax = "proto3"; message A { string a = 1; }', 'syntax = "proto3"; message A { int32 a = 1; }'),
}


class Paid(IntegrationEvent, topic="payments", key="order", namespace="Shop"):
    order: str
    cents: int = 0


class PaidAndMore(IntegrationEvent, topic="payments", key="order", name="Shop.Paid"):
    order: str
    cents: int = 0
    currency: str = "EUR"


class PaidOtherwise(IntegrationEvent, topic="payments", key="order", name="Shop.Paid"):
    order: int


class Landed(IntegrationEvent, topic="landings", key="flight", format="avro", schema_id="prefix"):
    flight: str


class LandedAndMore(IntegrationEvent, topic="landings", key="flight", format="avro", name="Landed"):
    flight: str
    late: int = 0


class LandedOtherwise(IntegrationEvent, topic="landings", key="flight", format="avro", name="Landed"):
    flight: int


class Counted(DomainEvent, topic="counts", service="till"):
    cents: int


till = Service("till", publishes=(Paid, Landed, Counted))
grown = Service("till", publishes=(PaidAndMore, LandedAndMore))
broken = Service("till", publishes=(PaidOtherwise, LandedOtherwise))
for each in (till, grown, broken):
    each.topic("payments", partitions=1)
    each.topic("landings", partitions=1)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A command line in an empty folder; the environment names the broker."""
    monkeypatch.chdir(tmp_path)
    broker = f"sqlite:///{tmp_path}/shop.db"
    monkeypatch.setenv("MAINSTEM_BROKER", broker)
    return Shell(tmp_path, broker)


async def start(shell: Shell, service: Service, registry: str) -> Sequence[str]:
    """As in production; what stands in the way."""
    try:
        async with service.running(broker=shell.broker, settings=Settings(registry=registry), consume=False):
            return ()
    except StartRefused as refused:
        return [each.what for each in refused.faults]


async def test_events_are_registered_checked_and_enforced(shell: Shell, apicurio: str) -> None:
    """New fields may come in JSON too, which Apicurio would not compare; what breaks readers goes nowhere."""
    async with shell.running(till):
        pass
    assert await start(shell, till, apicurio) != ()
    at = ("--registry", apicurio)
    assert (await shell.beside("schema", "register", f"{HERE}:till", *at)).exit_code == 0
    lock = LockFile.read(shell.folder / LOCK_NAME)
    assert {each.subject for each in lock.schemas} == {":.till:Counted", "Landed", "Shop.Paid"}
    assert await start(shell, till, apicurio) == ()
    assert len(await start(shell, grown, apicurio)) == 2
    assert (await shell.beside("schema", "check", f"{HERE}:grown", *at)).exit_code == 0
    assert (await shell.beside("schema", "register", f"{HERE}:grown", *at)).exit_code == 0
    assert await start(shell, till, apicurio) == ()
    assert await start(shell, grown, apicurio) == ()
    checked = await shell.beside("schema", "check", f"{HERE}:broken", *at)
    assert checked.exit_code == 3
    assert "Shop.Paid: breaks" in checked.stdout
    assert "Landed: breaks" in checked.stdout
    assert (await shell.beside("schema", "register", f"{HERE}:broken", *at)).exit_code == 1
    assert [each for each in await start(shell, broken, apicurio) if "may not follow" not in each] == []
    listed = await shell.beside("schema", "list", *at)
    assert "Landed" in listed.stdout
    assert ":.till:Counted" not in listed.stdout
    shown = await shell.beside("schema", "show", "Shop.Paid", *at)
    assert '"currency"' in shown.stdout


@pytest.mark.parametrize("kind", ["AVRO", "PROTOBUF"])
async def test_a_registry_is_asked_in_one_way(kind: Format, apicurio: str) -> None:
    """Versions, ids, levels and refusals, as against ours."""
    first, other = (Schema(text, kind) for text in TEXTS[kind])
    name = f"notes.{kind}"
    async with Client([apicurio]) as client:
        registry = Remembering(RemoteRegistry(client))
        assert await registry.version(name, "latest") is None
        assert list(await registry.versions(name)) == []
        assert await registry.lookup(name, first) is None
        assert await registry.level(name) == "NONE"
        assert list(await registry.problems(name, first)) == []
        await registry.set_level(name, "FULL_TRANSITIVE", "LENIENT")
        assert await registry.level(name) == "FULL_TRANSITIVE"
        registered = await registry.register(name, first)
        assert await registry.lookup(name, first) == registered
        assert await registry.by_id(registered.id) == first
        assert list(await registry.versions(name)) == [1]
        assert list(await registry.problems(name, other)) != []
        with pytest.raises(RegistryRefused, match="409"):
            await registry.register(name, other)
        assert name in await registry.subjects("notes.")


async def test_references_and_names_reach_it(apicurio: str) -> None:
    """A slash in a name, and a schema that stands on another one."""
    part = Schema('{"type":"record","name":"Part","fields":[]}')
    whole = Schema(
        '{"type":"record","name":"Whole","fields":[{"name":"part","type":"Part"}]}',
        references=(Reference("Part", "shop/Part", 1),),
    )
    async with Client([apicurio]) as client:
        registry = RemoteRegistry(client)
        assert (await registry.register("shop/Part", part)).version == 1
        registered = await registry.register("shop/Whole", whole)
        assert (await registry.by_id(registered.id)).references == whole.references
        assert await registry.subjects("shop/") == ["shop/Part", "shop/Whole"]
