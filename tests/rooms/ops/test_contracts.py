"""``mainstem schema check``: whom a change breaks, field by field, who has to be deployed first, and who is unknown."""

from dataclasses import dataclass
from typing import Annotated

import msgspec
import pytest

from mainstem import Consumer, IntegrationEvent, Service, Topic
from mainstem.delivery import ContractEntry, EventEntry, SubscriptionEntry
from mainstem.ops.schema.contracts import Contracts, steps_of
from mainstem.ops.schema.opening import stated_in
from mainstem.schemas import FieldNumber
from mainstem.schemas.upcasting import default
from mainstem.service import STALE_MS, CatalogueEntry, Standing, outlines_of, running
from mainstem.settings import Settings
from tests.rooms.ops.conftest import Shell

HERE = "tests.rooms.ops.test_contracts"


@dataclass
class Line:
    """What is sold."""

    sku: Annotated[str, FieldNumber(1)]


class Sold(IntegrationEvent, topic="sales", key="order"):
    order: Annotated[str, FieldNumber(1)]
    payer: Annotated[str, FieldNumber(2)]
    lines: Annotated[list[Line], FieldNumber(3)]


class SoldAnew(IntegrationEvent, topic="sales", key="order", name="Sold"):
    """What only who reads the payer misses."""

    order: str
    lines: list[Line]


class SoldTwice(IntegrationEvent, topic="sales", key="order", name="Sold", version=2):
    order: str
    payer: str
    lines: list[Line]


SoldTwice.upcast(1, default("payer", ""))


class Packed(IntegrationEvent, topic="packs", key="order", format="protobuf"):
    order: Annotated[str, FieldNumber(1)]
    payer: Annotated[str, FieldNumber(2)]
    lines: Annotated[list[Line], FieldNumber(3)]


class PackedAnew(IntegrationEvent, topic="packs", key="order", name="Packed", format="protobuf"):
    order: Annotated[str, FieldNumber(1)]
    payer: Annotated[int, FieldNumber(2)]
    lines: Annotated[list[Line], FieldNumber(3)]


@dataclass
class Payer:
    """What billing reads."""

    payer: Annotated[str, FieldNumber(2)]


@dataclass
class Number:
    """What the index reads."""

    order: Annotated[str, FieldNumber(1)]


shop = Service("shop", publishes=(Sold, Packed))
anew = Service("shop", publishes=(SoldAnew, PackedAnew))
packed_anew = Service("shop", publishes=(PackedAnew,))
major = Service("shop", publishes=(SoldTwice,))
billing = Service("billing", definition=3)
index = Service("index")
abreast = Service("billing", definition=4)
for each in (shop, anew, packed_anew, major, billing, index, abreast):
    each.topic("sales", partitions=1)
    each.topic("packs", partitions=1)


@billing.on(Topic.of(Sold, as_=Payer))
async def bill(sold: Payer) -> None:
    """Read the payer."""


@billing.on(Topic.of(Packed, as_=Payer))
async def stamp(packed: Payer) -> None:
    """Read the payer."""


@index.on(Topic.of(Sold, as_=Number))
async def note(sold: Number) -> None:
    """Read the order."""


@index.on(Topic.of(Packed, as_=Number))
async def put(packed: Number) -> None:
    """Read the order."""


@abreast.on(SoldTwice)
async def settle(sold: SoldTwice) -> None:
    """Read the second version."""


async def prepared(shell: Shell, environment: str = "default") -> None:
    """What is published is registered, and everybody has said what he reads."""
    assert (await shell.beside("schema", "register", f"{HERE}:shop")).exit_code == 0
    settings = Settings(environment=environment)
    async with running(shop, billing, index, broker=shell.broker, dev=True, settings=settings):
        pass


@pytest.mark.parametrize(
    ("subject", "breaks", "goes_on"),
    [("Sold", "billing.bill", "index.note"), ("Packed", "billing.stamp", "index.put")],
)
async def test_who_does_not_read_a_field_does_not_break(shell: Shell, subject: str, breaks: str, goes_on: str) -> None:
    """In JSON and in Protobuf the field is named to who reads it, and to who does not."""
    await prepared(shell)
    said = await shell.beside("schema", "check", f"{HERE}:anew", "--json")
    assert said.exit_code == 3, said.output
    found = next(each for each in msgspec.json.decode(said.stdout) if each["subject"] == subject)
    readers = {each["reader"]: each for each in found["readers"]}
    assert [each["field"] for each in readers[breaks]["breaks"]] == ["payer"]
    assert (readers[breaks]["definition"], readers[breaks]["fields"]) == (3, ["payer"])
    assert (readers[goes_on]["breaks"], readers[goes_on]["unread"]) == ([], ["payer"])
    assert (found["before"], found["first"]) == (["billing"], "readers" if subject == "Sold" else "neither")
    told = (await shell.beside("schema", "check", f"{HERE}:anew")).output
    assert "does not read payer" in told
    assert "Deploy in this order: billing, then shop." in told


async def test_what_no_order_mends_has_none(shell: Shell) -> None:
    """It is said what to do instead, and nobody is told whom to deploy first."""
    await prepared(shell)
    told = await shell.beside("schema", "check", f"{HERE}:packed_anew")
    assert told.exit_code == 3
    assert "no order helps: count version= up" in told.output
    assert "Deploy in this order" not in told.output


async def test_whoever_is_deployed_too_is_in_nobodys_way(shell: Shell) -> None:
    """A new version breaks its readers; with a form of theirs that reads it there is an order, and the code is 0."""
    await prepared(shell)
    alone = await shell.beside("schema", "check", f"{HERE}:major")
    assert alone.exit_code == 3
    assert "it reads version 1, not 2" in alone.output
    assert (await shell.beside("groups", "delete", "index", "--yes")).exit_code == 0
    both = await shell.beside("schema", "check", f"{HERE}:major", f"{HERE}:abreast")
    assert both.exit_code == 0, both.output
    assert "mended  billing.bill" in both.output
    assert "Deploy in this order: billing, then shop." in both.output


class Moved(IntegrationEvent, topic="moves", key="order"):
    order: str


class MovedTwice(IntegrationEvent, topic="moves", key="order", name="Moved", version=2):
    order: str
    by: str


MovedTwice.upcast(1, default("by", "nobody"))
mover, ahead = Service("mover", publishes=(Moved,)), Service("ahead")


@ahead.on(MovedTwice)
async def follow(moved: MovedTwice) -> None:
    """Read the second version."""


async def test_who_is_ahead_reads_the_older_version_by_its_steps(shell: Shell) -> None:
    """Its schema asks for a field that only they write: that breaks nobody."""
    assert (await shell.beside("schema", "register", f"{HERE}:mover")).exit_code == 0
    async with running(mover, ahead, broker=shell.broker, dev=True):
        pass
    said = await shell.beside("schema", "check", f"{HERE}:mover")
    assert said.exit_code == 0, said.output
    assert "ok      ahead.follow" in said.output


async def test_a_group_that_nobody_declared_is_an_unknown_reader(shell: Shell) -> None:
    """A plain consumer says of no field that it reads it."""
    await prepared(shell)
    async with running(shop, broker=shell.broker, dev=True):
        await shop.publish(Sold("o-1", "p-1", []))
    async with Consumer("sales", group="report", broker=shell.broker) as consumer:
        async for _ in consumer:
            break
    said = await shell.beside("schema", "check", f"{HERE}:shop")
    assert said.exit_code == 0, said.output
    assert "unknown report  is a group that no service has declared" in said.output


async def test_services_of_another_environment_are_not_asked(shell: Shell) -> None:
    """The setting says where a service runs, and the check may ask one environment alone."""
    await prepared(shell, "staging")
    everywhere = await shell.beside("schema", "check", f"{HERE}:anew")
    assert "billing.bill (definition 3) in staging" in everywhere.output
    elsewhere = await shell.beside("schema", "check", f"{HERE}:major", "--environment", "production")
    assert elsewhere.exit_code == 0, elsewhere.output
    assert "billing" not in elsewhere.output


async def test_contracts_of_a_service_that_is_gone_are_retired(shell: Shell) -> None:
    """It is refused while it runs; a check does not count them then, and the list says who has done it, and why."""
    await prepared(shell)
    async with running(billing, broker=shell.broker, dev=True):
        refused = await shell.beside("schema", "contracts", "retire", "billing")
        assert (refused.exit_code, "the service 'billing' is running" in refused.stderr) == (1, True)
    done = await shell.beside("schema", "contracts", "retire", "billing", "--reason", "nobody bills", "--json")
    assert done.exit_code == 0, done.output
    [retired] = msgspec.json.decode(done.stdout)
    assert (retired["group"], retired["service"], retired["reason"]) == ("billing", "billing", "nobody bills")
    listed = await shell.beside("schema", "contracts", "list", "--json")
    rows = {each["handler"]: each for each in msgspec.json.decode(listed.stdout)}
    assert rows["bill"]["retired"] == {name: retired[name] for name in ("at_ms", "by", "reason")}
    assert (rows["note"]["retired"], rows["note"]["stale"]) == (None, False)
    assert "retired" in (await shell.beside("schema", "contracts", "list")).output
    assert "billing" not in (await shell.beside("schema", "check", f"{HERE}:anew")).output
    async with running(billing, broker=shell.broker, dev=True):
        pass
    assert "BREAKS  billing.bill" in (await shell.beside("schema", "check", f"{HERE}:anew")).output
    missing = await shell.beside("schema", "contracts", "retire", "biling")
    assert "did you mean billing?" in missing.stderr


class Paid(IntegrationEvent, topic="payments", key="order"):
    order: str
    cents: str


class PaidInEuro(IntegrationEvent, topic="payments", key="order", name="Paid", version=2):
    order: str
    cents: str
    currency: str


class PaidByNumber(IntegrationEvent, topic="payments", key="order", name="Paid", version=2):
    order: str
    cents: int


PaidInEuro.upcast(1, default("currency", 978))
till = Service("till", publishes=(Paid,))
in_euro = Service("till", publishes=(PaidInEuro,))
by_number = Service("till", publishes=(PaidByNumber,))


@PaidByNumber.upcast(1)
def counted(data: dict[str, object]) -> dict[str, object]:
    """Rely on more than the schema says: that the text is empty or a number."""
    return {**data, "cents": int(str(data["cents"]) or 0)}


async def test_steps_are_tried_on_what_older_versions_let_be_written(shell: Shell) -> None:
    """Where nothing of a version gets through, the step is wrong; where some does not, it may rely on more."""
    assert (await shell.beside("schema", "register", f"{HERE}:till")).exit_code == 0
    wrong = await shell.beside("schema", "check", f"{HERE}:in_euro")
    assert (wrong.exit_code, "instances of version 1 becomes the newest version" in wrong.output) == (3, True)
    assert "currency" in wrong.output
    some = await shell.beside("schema", "check", f"{HERE}:by_number", "--json")
    (found,) = msgspec.json.decode(some.stdout)
    (older,) = found["older"]
    assert (some.exit_code, older["version"], 0 < older["failed"] < older["tried"]) == (0, 1, True)
    assert "counted()" in older["problem"]
    assert not older["example"]["cents"].isdigit()


def test_who_was_not_seen_for_long_is_stale_and_counts() -> None:
    """It is warned about, and not dropped; when it was seen is later than when it was started."""
    entry = CatalogueEntry("old", "old", "", 0, "1", 1_000, 1, 1, (), (processor(),), ())
    (sold, _) = stated_in(outlines_of([anew]))
    for seen_ms, stale in ((0, True), (STALE_MS, False)):
        standings = {"old": Standing("old", seen_ms)}
        (reader,) = Contracts([entry], standings=standings, now_ms=STALE_MS + 2_000).checked(sold)
        assert (reader.stale, reader.seen_ms, bool(reader.breaks)) == (stale, max(1_000, seen_ms), True)


def test_who_reads_another_topic_does_not_read_it() -> None:
    """A second form goes to a topic of its own while both are published: who reads the first is not in its way."""

    class SoldBeside(IntegrationEvent, topic="sales.v2", key="order", name="Sold", version=2, oldest=2):
        order: str

    entry = CatalogueEntry("old", "old", "", 0, "1", 1_000, 1, 1, (), (processor(),), ())
    (beside,) = stated_in(outlines_of([Service("shop", publishes=(SoldBeside,))]))
    assert Contracts([entry]).checked(beside) == ()


def processor() -> SubscriptionEntry:
    """What a handler that reads the payer has said."""
    read = Topic.of(Sold, as_=Payer).declaration
    return SubscriptionEntry("bill", (EventEntry.of(read),), (), None, batch=False, reads=(ContractEntry.of(read),))


def test_chains_are_put_in_order() -> None:
    """Who waits for somebody comes after him, over any number of services; a circle has no order."""
    steps = steps_of([("mailer", "billing"), ("billing", "shop"), ("shop", "shop")])
    assert steps is not None
    assert [each.service for each in steps] == ["mailer", "billing", "shop"]
    assert steps[-1].after == ("billing",)
    assert steps_of([("a", "b"), ("b", "a")]) is None
