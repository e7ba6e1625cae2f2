"""``mainstem schema``, and what becomes of a service whose schemas are not registered."""

import asyncio
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest

from mainstem import Consumer, Context, DomainEvent, IntegrationEvent, NotificationEvent, Service, Topic
from mainstem.errors import StartRefused
from mainstem.ops.schema.opening import read_registry
from mainstem.schemas import Personal
from mainstem.schemas.registries import LOCK_NAME, LockFile
from mainstem.service.promises import stated_by
from mainstem.settings import Settings
from mainstem.web import Address
from mainstem.web.server import Request, Response, Route, serving
from tests.rooms.ops.conftest import Shell

HERE = "tests.rooms.ops.test_schema"
TOWER = f"{HERE}:tower"


class Paid(IntegrationEvent, topic="payments", key="order", namespace="Shop"):
    order: str
    payer: Annotated[str, Personal]
    cents: int = 0


class Counted(DomainEvent, topic="counts", service="till"):
    cents: int


class Told(NotificationEvent, topic="told"):
    who: str


class PaidOtherwise(IntegrationEvent, topic="payments", key="order", name="Shop.Paid"):
    """The same type, after a change that its readers do not survive."""

    order: str
    amount: int


class PaidAndMore(IntegrationEvent, topic="payments", key="order", name="Shop.Paid"):
    """The same type, with a field that nobody need know."""

    order: str
    payer: Annotated[str, Personal]
    cents: int = 0
    currency: str = "EUR"


class Cleared(IntegrationEvent, topic="clearances", key="flight", schema_id="prefix", subject="topic-record"):
    flight: Annotated[str, Personal]


class Crossed(DomainEvent, topic="crossings", service="tower", schema_id="header"):
    flight: str


class Everything(IntegrationEvent, topic="clearances", subject="topic"):
    flight: str


@dataclass
class Listed:
    number: int


lists = Service("lists", publishes=(Topic("lists", Listed, type_name="Lists"), Paid))
tower = Service("tower", publishes=(Cleared, Crossed))
till = Service("till", publishes=(Paid, Counted, Told))
broken = Service("till", publishes=(PaidOtherwise,))
grown = Service("till", publishes=(PaidAndMore,))
thief = Service("thief", publishes=(Paid,))
reading = Service("reading")
for each in (till, broken, grown, thief, reading):
    each.topic("payments", partitions=1)
tower.topic("clearances", partitions=1)
tower.topic("crossings", partitions=1)


@reading.on(Paid)
async def tell(paid: Paid, context: Context) -> None:
    """Read it."""


async def start(shell: Shell, service: Service, registry: str | None = None) -> None:
    """As in production: nothing is made, and what is not registered stands in the way."""
    async with service.running(broker=shell.broker, settings=Settings(registry=registry), consume=False):
        pass


async def made(shell: Shell, *services: Service) -> None:
    """The topics of services, and what they say about themselves in the catalogue."""
    async with shell.running(*services):
        pass


async def test_what_is_registered_may_start(shell: Shell) -> None:
    """And nothing else, from when something has been registered on this broker."""
    await made(shell, till)
    await start(shell, till)
    assert (await shell.beside("schema", "register", f"{HERE}:grown")).exit_code == 0
    with pytest.raises(StartRefused) as refused:
        await start(shell, till)
    (fault,) = refused.value.faults
    assert fault.what == "the schema of Shop.Paid is not registered"
    by_hand = await shell.beside("publish", f"{HERE}:till", "Paid", '{"order": "o-1", "payer": "p-1"}')
    assert (by_hand.exit_code, "the schema of Shop.Paid is not registered" in by_hand.stderr) == (1, True)
    await start(shell, till, registry="none")
    assert (await shell.beside("schema", "register", f"{HERE}:till")).exit_code == 0
    await start(shell, till)
    await start(shell, grown)
    checked = await shell.beside("schema", "check", f"{HERE}:grown")
    assert "Shop.Paid: unchanged, version 1 is registered" in checked.output


async def test_what_is_registered_stands_in_its_records(shell: Shell) -> None:
    """The lock file that was written tells the start their ids, also of private types and of personal fields."""
    await made(shell, tower)
    with pytest.raises(StartRefused, match="Cleared is to carry the id of its schema, and nobody knows that"):
        await start(shell, tower)
    said = {each["subject"]: each["id"] for each in await asyncio.to_thread(shell.json, "schema", "register", TOWER)}
    assert set(said) == {"clearances-Cleared", ":.tower:Crossed"}
    async with tower.running(broker=shell.broker, consume=False):
        await tower.publish(Cleared("UA1"))
    async with Consumer("clearances", group="looking", broker=shell.broker) as consumer:
        async for message in consumer:
            prefix = b"\0" + said["clearances-Cleared"].to_bytes(4)
            assert message.value == prefix + b'{"flight":"UA1"}'
            break


async def test_a_topic_of_two_types_names_no_subject(shell: Shell) -> None:
    """It is told at start, in play too, and not when the second one is registered."""
    with pytest.raises(StartRefused, match="it has other types too: Cleared"):
        await made(shell, Service("tower", publishes=(Cleared, Everything)))


async def test_what_breaks_its_rule_does_not_start(shell: Shell) -> None:
    """It says where and why, and what to do; and cannot be registered."""
    await made(shell, till)
    assert (await shell.beside("schema", "register", f"{HERE}:till")).exit_code == 0
    with pytest.raises(StartRefused, match="may not follow what is registered") as refused:
        await start(shell, broken)
    assert "count version= up" in str(refused.value)
    said = await shell.beside("schema", "register", f"{HERE}:broken")
    assert said.exit_code == 1
    assert said.stdout == ""
    assert "the schema of Shop.Paid may not follow what is registered: /required: " in said.stderr
    assert "count version= up" in said.stderr


async def test_what_is_not_registered_is_named(shell: Shell) -> None:
    """A topic that is not ours is left out, and who registers is told."""
    said = await shell.beside("schema", "register", f"{HERE}:lists")
    assert said.exit_code == 0
    assert "Shop.Paid" in said.stdout
    assert "Not registered: Lists; a Topic without schema_id= is taken for somebody else's." in said.stderr


async def test_a_type_has_one_owner(shell: Shell) -> None:
    """Another service that publishes the same type is told whose it is."""
    await made(shell, till)
    assert (await shell.beside("schema", "register", f"{HERE}:till")).exit_code == 0
    said = await shell.beside("schema", "register", f"{HERE}:thief")
    assert said.exit_code == 1
    assert "the subject 'Shop.Paid' belongs to the service 'till'" in said.stderr
    checked = await shell.beside("schema", "check", f"{HERE}:thief")
    assert checked.exit_code == 3
    assert "belongs to the service 'till'" in checked.stdout
    with pytest.raises(StartRefused, match="belongs to the service 'till'"):
        await start(shell, thief)


async def test_a_type_can_move_to_another_service(shell: Shell) -> None:
    """Where somebody gives it: then that one registers it and starts, and the one before is told whose it is."""
    await made(shell, till, thief)
    assert (await shell.beside("schema", "register", f"{HERE}:till")).exit_code == 0
    said = await shell.beside("schema", "give", "Shop.Paid", "thief")
    assert (said.exit_code, said.output) == (0, "Shop.Paid belongs to thief from version 2 on\n")
    assert (await shell.beside("schema", "register", f"{HERE}:thief")).exit_code == 0
    await start(shell, thief)
    with pytest.raises(StartRefused, match="belongs to the service 'thief'") as refused:
        await start(shell, till)
    assert "mainstem schema give Shop.Paid till" in str(refused.value)
    for subject, said_of_it in ((":.till:Counted", "stands in the context of its service"), ("Nobody", "no subject")):
        said = await shell.beside("schema", "give", subject, "thief")
        assert said.exit_code == 1
        assert said_of_it in said.stderr


def test_a_file_is_no_folder(shell: Shell) -> None:
    """Who mistypes the name of a folder, and names a file, is told so, and not that nothing is registered there."""
    Path("orders.py").write_text("")
    said = shell("schema", "list", "--registry", "folder:orders.py")
    assert (said.exit_code, "'orders.py' is a file, and a registry is a folder" in said.stderr) == (1, True)


async def test_a_registry_that_is_away_stops_nobody(shell: Shell, caplog: pytest.LogCaptureFixture) -> None:
    """The log says whose schemas nobody has looked at: not those that stand in the lock file."""
    await made(shell, till)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"
    await start(shell, till, registry=nobody)
    assert "nobody has looked whether the schemas of Shop.Paid are registered" in caplog.text
    caplog.clear()
    assert (await shell.beside("schema", "register", f"{HERE}:till")).exit_code == 0
    await start(shell, till, registry=nobody)
    assert "nobody has looked" not in caplog.text


@pytest.mark.parametrize("status", [401, 403])
async def test_a_registry_that_lets_nobody_ask_stops_nobody(
    shell: Shell, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    """Who is turned away has heard nothing about a schema; the log says why, and what to do."""
    await made(shell, till)

    async def turned_away(_: Request) -> Response:
        return Response(b'{"error_code": %d01, "message": "who are you"}' % status, status_code=status)

    routes = [Route("/{rest:path}", turned_away, methods=["GET", "POST"])]
    async with serving(routes, Address("127.0.0.1", 0)) as address:
        await start(shell, till, registry=f"http://{address}")
    assert "nobody has looked whether the schemas of Shop.Paid are registered" in caplog.text
    assert "name a user who may do this" in caplog.text


def test_what_is_registered_is_told(shell: Shell) -> None:
    """In a table or as JSON, and in the lock file; a second time nothing changes."""
    found = {each["subject"]: each for each in shell.json("schema", "register", f"{HERE}:till")}
    assert set(found) == {"Shop.Paid", ":.till:Counted", "Told"}
    lock = Path(LOCK_NAME).read_text()
    assert {each.subject for each in LockFile.read(Path(LOCK_NAME)).schemas} == set(found)
    again = {each["subject"]: each for each in shell.json("schema", "register", f"{HERE}:till")}
    assert again == found
    assert Path(LOCK_NAME).read_text() == lock
    listed = shell.json("schema", "list")
    assert [(each["subject"], each["version"]) for each in listed] == [("Shop.Paid", 1), ("Told", 1)]
    assert [each["subject"] for each in shell.json("schema", "list", ":.till:")] == [":.till:Counted"]
    (shown,) = shell.json("schema", "show", "Shop.Paid")
    assert shown == {**listed[0]}
    stated = {each["subject"]: each["schema"] for each in shell.json("schema", "show", f"{HERE}:till")}
    assert stated["Shop.Paid"] == shown["schema"]
    missing = shell("schema", "show", "Shop.Payd")
    assert (missing.exit_code, "there is no subject 'Shop.Payd'" in missing.stderr) == (1, True)


@pytest.mark.parametrize(("subject", "level"), [("Shop.Paid", "FULL_TRANSITIVE"), ("Told", "BACKWARD")])
async def test_a_level_comes_with_the_kind(shell: Shell, subject: str, level: str) -> None:
    """What is a contract must hold both ways; what is told once must be read later."""
    assert (await shell.beside("schema", "register", f"{HERE}:till")).exit_code == 0
    async with read_registry(None, shell.broker, dev=False) as registry:
        assert await registry.level(subject) == level
        assert await registry.level(":.till:Counted") == "BACKWARD_TRANSITIVE"
        assert await registry.level("another") == "BACKWARD"


async def test_a_check_says_whom_a_change_breaks(shell: Shell) -> None:
    """Each handler that has said what it reads; and what the registry would say."""
    assert (await shell.beside("schema", "register", f"{HERE}:till")).exit_code == 0
    await made(shell, till, reading)
    fine = await shell.beside("schema", "check", f"{HERE}:till")
    assert fine.exit_code == 0, fine.output
    assert "Shop.Paid: unchanged, version 1 is registered" in fine.output
    assert "reading.tell  reads order, payer, cents" in fine.output
    grows = await shell.beside("schema", "check", f"{HERE}:grown")
    assert grows.exit_code == 0, grows.output
    assert "Shop.Paid: may follow" in grows.output
    breaks = await shell.beside("schema", "check", f"{HERE}:broken")
    assert breaks.exit_code == 3
    assert "Shop.Paid: breaks, version 1 is registered" in breaks.output
    assert "BREAKS  reading.tell" in breaks.output
    assert "payer" in breaks.output.partition("BREAKS")[2]


def test_personal_fields_and_owner_stand_beside_the_schema() -> None:
    """Where every client of a registry finds them."""
    (paid, *_) = stated_by("till", (Paid.__declaration__,))  # type: ignore[attr-defined]
    assert paid.schema.metadata is not None
    assert paid.schema.metadata["properties"] == {"mainstem.owner": "till"}
    assert "PERSONAL" in str(paid.schema.metadata["tags"])


def test_a_folder_needs_neither_broker_nor_server(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is registered there is checked, listed and shown as anywhere; what is not there is told."""
    monkeypatch.delenv("MAINSTEM_BROKER")
    missing = shell("schema", "list", "--registry", "folder:schemas")
    assert (missing.exit_code, "nothing has been registered there" in missing.stderr) == (1, True)
    assert shell("schema", "list", "--registry", "schemas").exit_code == 1
    registered = shell.json("schema", "register", f"{HERE}:till", "--registry", "folder:schemas")
    assert {each["subject"] for each in registered} == {"Shop.Paid", ":.till:Counted", "Told"}
    assert LockFile.read(Path(LOCK_NAME)).schemas
    for named in ("schemas", "./schemas", "folder:schemas"):
        assert [each["subject"] for each in shell.json("schema", "list", "--registry", named)] == ["Shop.Paid", "Told"]
    assert shell.json("schema", "show", "Shop.Paid", "--registry", "schemas")[0]["version"] == 1
    fine = shell("schema", "check", f"{HERE}:grown", "--registry", "schemas")
    assert (fine.exit_code, "may follow" in fine.stdout, "nobody has been asked" in fine.stderr) == (0, True, True)
    assert shell("schema", "check", f"{HERE}:broken", "--registry", "schemas").exit_code == 3
    assert shell("schema", "register", f"{HERE}:broken", "--registry", "schemas").exit_code == 1
    subject = Path("schemas/subjects/Shop.Paid/subject.json")
    subject.write_text(subject.read_text().replace('"version": 1', '"version": -1'))
    damaged = shell("schema", "check", f"{HERE}:till", "--registry", "schemas")
    assert damaged.exit_code == 1
    assert "schemas/subjects/Shop.Paid/subject.json:9" in damaged.stderr


async def test_a_service_starts_from_a_folder(shell: Shell, caplog: pytest.LogCaptureFixture) -> None:
    """As from any registry: on its verdict only. One that is not there has none, and in play nothing is written."""
    await made(shell, till)
    await start(shell, till, registry="folder:schemas")
    assert "nobody has looked whether the schemas of Shop.Paid are registered" in caplog.text
    assert (await shell.beside("schema", "register", f"{HERE}:grown", "--registry", "./schemas")).exit_code == 0
    with pytest.raises(StartRefused, match=r"the schema of Shop\.Paid is not registered"):
        await start(shell, till, registry="folder:schemas")
    await start(shell, grown, registry="folder:schemas")
    async with till.running(broker=shell.broker, dev=True, settings=Settings(registry="folder:schemas")):
        pass
    listed = await shell.beside("schema", "list", ":*:", "--registry", "schemas")
    assert ":.till:Counted" not in listed.stdout
