"""The start: everything that is wrong is found before the first event, and told at once."""

from pathlib import Path

import pytest

from mainstem import Context, DomainEvent, IntegrationEvent, Service, Topic, running
from mainstem.broker import GroupSpec, TopicSpec
from mainstem.errors import DefinitionError, DiskFull, MainstemError, StartRefused, UnknownTopic
from mainstem.service import Existing, topics_of
from mainstem.service.plans.drafting import AUDIT_BYTES_MAX
from mainstem.settings import Settings
from tests.journeys.conditions import until
from tests.rooms.service.events import Bank, GoldReached, OrderPaid, SeatTaken, embedded

MEMORY = "sqlite:///:memory:"


class Socket:
    """A class without a form in bytes."""


class Broken(IntegrationEvent, topic="broken"):
    socket: Socket


async def refused(*services: Service, dev: bool = True, broker: str | None = MEMORY) -> tuple[MainstemError, ...]:
    """The faults with which these services do not start."""
    with pytest.raises(StartRefused) as error:
        async with running(*services, broker=broker, dev=dev, settings=Settings()):
            pass
    return error.value.faults


async def test_all_faults_are_told_at_once() -> None:
    """One attempt shows every mistake of every service, so that one correction is enough."""
    shop = Service("shop", publishes=(Broken,))

    @shop.on(OrderPaid)
    async def wants(order: OrderPaid, bank: Bank) -> None: ...

    @shop.on(SeatTaken)
    async def listens(seat: SeatTaken) -> None: ...

    @shop.on(OrderPaid)
    async def unclear(order: OrderPaid, context: int | str) -> None: ...

    other = Service("other")

    @other.on(OrderPaid, name="batch")
    async def several(orders: list[OrderPaid]) -> None: ...

    faults = await refused(shop, other)
    told = "\n".join(str(fault) for fault in faults)
    for words in (
        "wants a Bank, which nobody provides",
        "'shop' may not subscribe to SeatTaken, a domain event of 'booking'",
        "nobody can tell what 'context' should be",
        "Socket has no form in JSON",
        "the batch handler 'batch' needs lanes=1",
    ):
        assert words in told
    assert len(faults) == 5


async def test_without_a_broker_nothing_starts() -> None:
    """Outside ``dev`` a broker must be named, and the fault says how; the other faults are told beside it."""
    shop = Service("shop")

    @shop.on(OrderPaid)
    async def wants(order: OrderPaid, bank: Bank) -> None: ...

    faults = await refused(shop, dev=False, broker=None)
    assert "no broker is named" in faults[0].what
    assert "MAINSTEM_BROKER" in faults[0].remedy
    assert any("wants a Bank" in fault.what for fault in faults)


async def test_a_broker_may_be_named_by_the_settings(tmp_path: Path) -> None:
    """Where the call names none, ``MAINSTEM_BROKER`` does."""
    settings = Settings(broker=f"sqlite:///{tmp_path}/shop.db")
    async with Service("shop").running(dev=True, settings=settings) as process:
        assert process.broker.name.endswith("shop.db")


async def test_play_needs_no_broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``dev`` a missing broker becomes a file beside you."""
    monkeypatch.chdir(tmp_path)
    async with Service("shop").running(dev=True, settings=Settings()):
        assert (tmp_path / "mainstem.db").exists()


@pytest.mark.parametrize("url", ["kafka://", "sqlite:shop.db", "sqlite:///", "postgres://here"])
async def test_a_url_that_names_no_broker_is_refused(url: str) -> None:
    """It is a fault of the start like any other."""
    [fault] = await refused(Service("shop"), broker=url)
    assert isinstance(fault, DefinitionError)


async def test_a_broker_that_cannot_be_opened_is_a_fault(tmp_path: Path) -> None:
    """What stands in the way of the broker is told beside what is wrong with the services."""
    path = tmp_path / "shop.db"
    path.write_bytes(b"this is no database" * 100)
    [fault] = await refused(Service("shop"), broker=f"sqlite:///{path}")
    assert fault.code == "wrong-file-format"


async def test_production_creates_no_topic() -> None:
    """One fault names all that is missing, who needs it and the command, and nothing has been created."""
    shop = Service("shop")

    @shop.on(OrderPaid)
    async def tally(order: OrderPaid) -> GoldReached | None: ...

    async with embedded() as broker:
        with pytest.raises(StartRefused) as error:
            async with shop.running(broker=broker, settings=Settings()):
                pass
        [fault] = error.value.faults
        assert isinstance(fault, UnknownTopic)
        assert set(fault.what.split("'")[1::2]) == {
            "orders",
            "loyalty",
            "shop.dead-letters",
            "shop.answers",
            "mainstem.catalogue",
        }
        assert "orders is needed by shop;" in fault.where
        assert "mainstem topics apply MODULE:shop, with the --broker" in fault.remedy
        assert "dev=True" in fault.remedy
        assert await broker.admin.topics() == {}


async def test_production_starts_on_what_was_applied() -> None:
    """With the topics that ``topics_of`` names, a start needs no ``dev``."""
    shop = Service("shop")

    @shop.on(OrderPaid)
    async def tally(order: OrderPaid) -> GoldReached | None: ...

    async with embedded() as broker:
        for spec in topics_of([shop]):
            await broker.admin.create(spec)
        async with shop.running(broker=broker, settings=Settings()):
            pass


async def test_a_start_that_is_refused_creates_nothing() -> None:
    """Also with ``dev``: topics come when everything else is right."""
    shop = Service("shop")

    @shop.on(OrderPaid)
    async def wants(order: OrderPaid, bank: Bank) -> None: ...

    async with embedded() as broker:
        with pytest.raises(StartRefused):
            async with shop.running(broker=broker, dev=True):
                pass
        assert await broker.admin.topics() == {}


def test_topics_are_counted_up() -> None:
    """Inputs, outputs, the audit stream with a partition for each task, the answers, and the catalogue."""
    shop = Service("shop", publishes=(OrderPaid,))
    mailer = shop.group("mailer", tasks=2)
    shop.topic("loyalty", partitions=12, retention="7d")

    @shop.on(OrderPaid)
    async def tally(order: OrderPaid) -> None: ...

    @mailer.on(GoldReached)
    async def mail(gold: GoldReached) -> None: ...

    assert set(topics_of([shop])) == {
        TopicSpec("orders", 8),
        TopicSpec("loyalty", 12, 7 * 86_400_000),
        TopicSpec("shop.dead-letters", 8, compact=True, record_bytes_max=AUDIT_BYTES_MAX),
        TopicSpec("shop.answers", 1, 86_400_000),
        TopicSpec("shop.mailer.dead-letters", 2, compact=True, record_bytes_max=AUDIT_BYTES_MAX),
        TopicSpec("shop.mailer.answers", 1, 86_400_000),
        TopicSpec("mainstem.catalogue", 1, compact=True),
    }


async def test_what_is_there_counts() -> None:
    """A topic that exists keeps its partitions, and a group that exists its tasks, whatever would be chosen now."""
    shop = Service("shop")

    @shop.on(OrderPaid)
    async def tally(order: OrderPaid) -> None: ...

    async with embedded() as broker:
        await broker.admin.create(TopicSpec("orders", 6))
        membership = await broker.group.join(GroupSpec("shop", "shop", 3, {"orders": 6}))
        await membership.leave()
        existing = Existing(await broker.admin.topics(), await broker.admin.groups())
        found = {spec.name: spec.partitions for spec in topics_of([shop], existing)}
        assert (found["orders"], found["shop.dead-letters"]) == (6, 3)
        async with shop.running(broker=broker, dev=True) as process:
            assert process.plans[0].tasks == 3


async def test_a_topic_of_another_size_is_a_fault() -> None:
    """A declared number of partitions that is not the real one would put keys elsewhere than they are."""
    shop = Service("shop", publishes=(OrderPaid,))
    shop.topic("orders", partitions=12)
    async with embedded() as broker:
        await broker.admin.create(TopicSpec("orders", 6))
        with pytest.raises(StartRefused, match="has 6 partitions, and 'shop' declares 12"):
            async with shop.running(broker=broker, dev=True):
                pass


async def test_the_number_of_tasks_stays() -> None:
    """Declaring another number than the group was created with is a fault."""
    shop = Service("shop", tasks=2)

    @shop.on(OrderPaid)
    async def tally(order: OrderPaid) -> None: ...

    async with embedded() as broker:
        await broker.admin.create(TopicSpec("orders", 8))
        membership = await broker.group.join(GroupSpec("shop", "shop", 8, {"orders": 8}))
        await membership.leave()
        with pytest.raises(StartRefused, match="has 8 tasks, and tasks=2 is declared"):
            async with shop.running(broker=broker, dev=True):
                pass


async def test_a_group_belongs_to_one_service() -> None:
    """A service that takes the name of another one's group is refused before it reads anything."""
    shop = Service("shop")

    @shop.on(OrderPaid)
    async def tally(order: OrderPaid) -> None: ...

    async with embedded() as broker:
        await broker.admin.create(TopicSpec("orders", 8))
        membership = await broker.group.join(GroupSpec("shop", "somebody else", 8, {"orders": 8}))
        await membership.leave()
        with pytest.raises(StartRefused, match="belong to the service 'somebody else'"):
            async with shop.running(broker=broker, dev=True):
                pass


async def test_a_new_group_needs_an_audit_stream_of_its_size() -> None:
    """One that a former group has left behind with fewer partitions would refuse the commits of the other tasks."""
    shop = Service("shop")

    @shop.on(OrderPaid)
    async def tally(order: OrderPaid) -> None: ...

    async with embedded() as broker:
        await broker.admin.create(TopicSpec("shop.dead-letters", 4, compact=True))
        with pytest.raises(StartRefused, match="has 4 partitions, and group 'shop' 8 tasks"):
            async with shop.running(broker=broker, dev=True):
                pass


async def test_two_services_must_agree_on_a_topic() -> None:
    """Declared in two ways it is a fault; declared alike, or by one of them, it is not."""
    one, two = Service("one"), Service("two")
    one.topic("orders", partitions=12)
    two.topic("orders", partitions=6)
    [fault] = await refused(one, two)
    assert "declared in two ways" in fault.what


async def test_names_are_unique_in_a_process_and_a_service() -> None:
    """Two services of one name, two handlers of one name in different groups, two stores of one name in a group."""
    shop, again = Service("shop"), Service("shop")
    mailer = shop.group("mailer")

    async def tally(order: OrderPaid) -> None: ...

    shop.on(OrderPaid)(tally)
    mailer.on(OrderPaid)(tally)
    included = Service("part")
    shop.include(included)
    shop.store("spent", int)
    included.store("spent", int)
    told = "\n".join(str(fault) for fault in await refused(shop, again))
    assert "two services are called 'shop'" in told
    assert "two groups have a handler called 'tally'" in told
    assert "two stores of 'shop' are called 'spent'" in told


async def test_only_the_owner_publishes_a_domain_event() -> None:
    """Whether it is returned by a handler or published from outside."""
    returned, outside = Service("returned"), Service("outside", publishes=(SeatTaken,))

    @returned.on(OrderPaid)
    async def take(order: OrderPaid) -> SeatTaken | None: ...

    faults = await refused(returned, outside)
    assert [fault.what for fault in faults] == [
        "service 'returned' may not publish SeatTaken, a domain event of 'booking'",
        "service 'outside' may not publish SeatTaken, a domain event of 'booking'",
    ]


async def test_an_annotation_that_leads_nowhere_is_a_fault() -> None:
    """A type that is defined in a function cannot be named by a string; the fault says where to move it."""
    shop = Service("shop")

    class Local(DomainEvent, topic="local", service="shop"):
        number: int

    @shop.on(Local, name="local")
    async def local(event: "Local", context: Context) -> None: ...

    [fault] = await refused(shop)
    assert "move the type to module level" in fault.remedy


async def test_a_topic_has_one_form() -> None:
    """Records of a topic without envelope cannot be of two types."""
    shop = Service("shop")

    @shop.on(Topic("raw", Bank, envelope=None), Topic("raw", dict, envelope=None))
    async def both(event: object) -> None: ...

    told = "\n".join(str(fault) for fault in await refused(shop))
    assert "would be two types" in told


async def test_a_service_is_given_itself() -> None:
    """Its name is one for the command line; the error says so."""
    with pytest.raises(DefinitionError, match="'shop:shop' is not a service"):
        async with running("shop:shop", broker="sqlite://:memory:"):  # type: ignore[arg-type]
            raise AssertionError


async def test_a_service_starts_when_only_the_reserve_is_left(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody may publish any more, and whoever handles what is there makes room: it starts."""
    shop, told = Service("shop", publishes=(OrderPaid,)), list[str]()

    @shop.on(OrderPaid)
    async def tally(order: OrderPaid) -> None:
        told.append(order.customer_id)

    url = f"sqlite:///{tmp_path}/shop.db"
    async with shop.running(broker=url, dev=True, consume=False):
        await shop.publish(OrderPaid("o-1", 1))
    async with shop.running(broker=f"{url}?reserve_bytes={2**62}", dev=True, settings=Settings()):
        with pytest.raises(DiskFull):
            await shop.publish(OrderPaid("o-2", 1))
        await until(lambda: told == ["o-1"])
    assert "the catalogue does not hear of this start" in caplog.text
