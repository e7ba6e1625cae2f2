"""The catalogue: what every group of every service publishes, wants and remembers, as a topic that can be asked.

A group writes its entry when it starts. The topic is compacted by service, group and fingerprint; the last entry of a
group is what it runs now. It keeps the one before that, and no older one.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import msgspec
from msgspec import Struct

from mainstem.broker import Broker, Record, TopicPartition, read_all
from mainstem.delivery import EventEntry, Plan, SubscriptionEntry
from mainstem.errors import DiskFull
from mainstem.events import Declaration
from mainstem.identifiers import derive
from mainstem.service.contracts import come_back, forgotten
from mainstem.service.plans import CATALOGUE
from mainstem.telemetry import log

AT: Final = TopicPartition(CATALOGUE, 0)


class StoreEntry(Struct, frozen=True):
    """A store: its name, whose keys it has, and the schema version of its values."""

    name: str
    scope: str
    version: int


class CatalogueEntry(Struct, frozen=True):
    """A group of a service as it runs.

    ``fingerprint`` is the same as long as nothing else of it changes but ``at_ms``: when it was started, on the wall
    clock. ``definition`` is the number of ``Service(..., definition=)``, 0 where it has none. ``publishes`` is
    everything its service may publish. It stands still while another group of its service is more than
    ``gives_way_ms`` behind. ``alerts`` are the numbers of its service's. ``environment`` is where it runs, as
    the settings say.
    """

    service: str
    group: str
    fingerprint: str
    definition: int
    library: str
    at_ms: int
    tasks: int
    lanes: int
    publishes: tuple[EventEntry, ...]
    subscriptions: tuple[SubscriptionEntry, ...]
    stores: tuple[StoreEntry, ...]
    gives_way_ms: int | None = None
    alerts: dict[str, float] = {}
    environment: str = "default"


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(CatalogueEntry).decode


def entry_of(plan: Plan, published: Sequence[Declaration], at_ms: int, environment: str) -> CatalogueEntry:
    """What a group has to say about itself."""
    # A file that declares a service need not pay for this one.
    from importlib.metadata import version  # noqa: PLC0415

    entry = CatalogueEntry(
        service=plan.service,
        group=plan.group,
        fingerprint="",
        definition=plan.definition,
        library=version("mainstem"),
        at_ms=0,
        tasks=plan.tasks,
        lanes=plan.lanes,
        publishes=tuple(map(EventEntry.of, published)),
        subscriptions=tuple(each.describe() for each in plan.processors),
        stores=tuple(StoreEntry(each.name, each.scope, each.version) for each in plan.stores.values()),
        gives_way_ms=plan.gives_way_ms,
        alerts=plan.alerts.numbers,
        environment=environment,
    )
    return msgspec.structs.replace(entry, fingerprint=derive("definition", _encode(entry)), at_ms=at_ms)


async def write_catalogue(broker: Broker, entries: Sequence[CatalogueEntry]) -> None:
    """Add entries to the catalogue.

    Of the older entries of a group the last one stays: both run during a rolling upgrade, and one of them after it.
    On a full disk the entries are left out until the next start: whoever starts may be the one who makes room.
    """
    if not entries:
        return
    known = await _known(broker)
    records = []
    for entry in entries:
        others = [
            key
            for key, each in known.items()
            if (each.service, each.group) == (entry.service, entry.group) and each.fingerprint != entry.fingerprint
        ]
        records += [Record(key, None, entry.at_ms) for key in others[:-1]]
        records.append(Record(_key(entry), _encode(entry), entry.at_ms))
    try:
        await broker.log.append(AT, records)
        await come_back(broker, [each.group for each in entries], entries[0].at_ms)
    except DiskFull as error:
        log.warning("the catalogue does not hear of this start: %s", error)


async def read_catalogue(broker: Broker) -> list[CatalogueEntry]:
    """What every group runs now, by service and group. Empty where no service has been started yet."""
    found = {(entry.service, entry.group): entry for entry in (await _known(broker)).values()}
    return [found[name] for name in sorted(found)]


async def forget_group(broker: Broker, group: str, at_ms: int) -> None:
    """Take a group that is no more out of the catalogue, with all its definitions."""
    records = [Record(key, None, at_ms) for key, entry in (await _known(broker)).items() if entry.group == group]
    if records:
        await broker.log.append(AT, [*records, forgotten(group, at_ms)])


async def _known(broker: Broker) -> dict[bytes, CatalogueEntry]:
    """Every entry by its key; the one that was started last comes last."""
    known: dict[bytes, CatalogueEntry] = {}
    async for batch in read_all(broker, CATALOGUE):
        for key, value in zip(batch.keys, batch.values, strict=True):
            assert key is not None, "whatever is written here has a key"
            known.pop(key, None)
            if value is not None:
                # What another version of the library has written otherwise is no reason not to start.
                with suppress(msgspec.DecodeError):
                    known[key] = _decode(value)
    return known


def _key(entry: CatalogueEntry) -> bytes:
    return f"{entry.service}/{entry.group}/{entry.fingerprint}".encode()
