"""The catalogue: what every group says about itself at start."""

import json

from msgspec.structs import replace

from mainstem import Context, Service, running
from mainstem.broker import Record, TopicPartition, read_all
from mainstem.delivery import EventEntry, SubscriptionEntry
from mainstem.service import CATALOGUE, CatalogueEntry, StoreEntry, forget_group, read_catalogue
from tests.rooms.service.events import GoldReached, OrderPaid, SeatTaken, embedded

PAID = EventEntry("OrderPaid", "orders", 1, "integration", ("customer_id",), None)
GOLD = EventEntry("GoldReached", "loyalty", 1, "integration", ("customer_id",), None)
SEAT = EventEntry("SeatTaken", "seats", 1, "domain", ("flight",), "booking")


def loyalty() -> Service:
    """A service with a bit of everything."""
    service = Service("loyalty", lanes=8)
    spent = service.store("spent", int, version=2)
    mailer = service.group("mailer", lanes=200)

    @service.on(OrderPaid)
    async def tally(order: OrderPaid, context: Context) -> GoldReached | None:
        context.put(spent, order.amount_cents)
        return None

    @service.on_timer("remind")
    async def remind(context: Context) -> None: ...

    @service.schedule("0 8 * * mon-fri", tz="Europe/Berlin")
    async def nightly() -> None: ...

    @mailer.on(GoldReached)
    async def mail(gold: GoldReached) -> None: ...

    return service


async def test_who_publishes_and_who_listens_can_be_asked() -> None:
    """Events with version, kind, key and owner; handlers; timers; stores: by service and group."""
    booking = Service("booking", publishes=(SeatTaken,))
    async with embedded() as broker:
        async with running(loyalty(), booking, broker=broker, dev=True):
            pass
        found = await read_catalogue(broker)
    by_group = {entry.group: entry for entry in found}
    assert list(by_group) == ["booking", "loyalty", "loyalty.mailer"]
    assert (by_group["booking"].publishes, by_group["booking"].subscriptions) == ((SEAT,), ())
    entry = by_group["loyalty"]
    assert (entry.service, entry.tasks, entry.lanes, entry.publishes) == ("loyalty", 8, 8, (GOLD,))
    [read] = entry.subscriptions[0].reads
    assert (read.name, read.topic, read.oldest, read.version, read.format) == ("OrderPaid", "orders", 1, 1, "json")
    assert json.loads(read.schema)["required"] == ["customer_id"]
    assert tuple(replace(each, reads=()) for each in entry.subscriptions) == (
        SubscriptionEntry("tally", (PAID,), (GOLD,), None, batch=False),
        SubscriptionEntry("remind", (), (), "remind", batch=False),
        SubscriptionEntry("nightly", (), (), "$cron:nightly", batch=False, schedule="0 8 * * mon-fri Europe/Berlin"),
    )
    assert entry.stores == (StoreEntry("spent", "key", 2),)
    assert by_group["loyalty.mailer"].subscriptions[0].wants == (GOLD,)
    assert entry.library
    assert entry.at_ms > 0


async def test_a_definition_has_a_fingerprint() -> None:
    """It is the same in every process that runs the same, and another as soon as anything differs."""
    async with embedded() as broker:

        async def definition(service: Service) -> CatalogueEntry:
            async with service.running(broker=broker, dev=True):
                pass
            return next(each for each in await read_catalogue(broker) if each.group == "loyalty")

        first, same = await definition(loyalty()), await definition(loyalty())
        changed = loyalty()
        changed.store("another", str)
        other = await definition(changed)
        again = await definition(loyalty())
    assert first.fingerprint == same.fingerprint == again.fingerprint != other.fingerprint


async def test_old_definitions_do_not_stay_for_ever() -> None:
    """Beside what runs the definition before it is kept, for a rolling upgrade; what is older goes with compaction."""
    async with embedded() as broker:
        for number in range(5):
            changed = loyalty()
            changed.store(f"store{number}", str)
            async with changed.running(broker=broker, dev=True):
                pass
        written = [
            (key, value is None)
            async for batch in read_all(broker, CATALOGUE)
            for key, value in zip(batch.keys, batch.values, strict=True)
        ]
        [entry] = [each for each in await read_catalogue(broker) if each.group == "loyalty"]
    last = dict(written)
    for group in (b"loyalty/loyalty/", b"loyalty/loyalty.mailer/"):
        kept = [key for key, gone in last.items() if key and key.startswith(group) and not gone]
        assert len(kept) == (2 if group == b"loyalty/loyalty/" else 1)
    assert "store4" in [store.name for store in entry.stores]


async def test_a_forgotten_group_is_not_listed() -> None:
    """Every definition of it is taken out, and the other groups of its service stay."""
    async with embedded() as broker:
        for changes in (False, True):
            service = loyalty()
            if changes:
                service.store("another", str)
            async with service.running(broker=broker, dev=True):
                pass
        await forget_group(broker, "loyalty", 0)
        assert [entry.group for entry in await read_catalogue(broker)] == ["loyalty.mailer"]


async def test_the_number_of_a_definition_is_told() -> None:
    """A raised number is another definition, and the catalogue says which one runs."""
    async with embedded() as broker:
        found = []
        for number in (0, 3):
            service = Service("counted", definition=number, publishes=(OrderPaid,))
            async with service.running(broker=broker, dev=True):
                pass
            found += await read_catalogue(broker)
    assert [entry.definition for entry in found] == [0, 3]
    assert found[0].fingerprint != found[1].fingerprint


async def test_an_entry_of_another_version_keeps_nobody_from_starting() -> None:
    """What another version of the library has written otherwise is passed over, at the start and by who asks."""
    async with embedded() as broker:
        async with running(loyalty(), broker=broker, dev=True):
            pass
        strange = Record(b"loyalty/loyalty/9", b'{"service":"loyalty","definition":"a name by now"}', 1)
        await broker.log.append(TopicPartition(CATALOGUE, 0), [strange])
        async with running(loyalty(), broker=broker, dev=True):
            assert [entry.group for entry in await read_catalogue(broker)] == ["loyalty", "loyalty.mailer"]


async def test_the_catalogue_of_an_empty_broker_is_empty() -> None:
    """Asking needs no service to have run."""
    async with embedded() as broker:
        assert await read_catalogue(broker) == []
