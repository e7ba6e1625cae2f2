"""The catalogue: what every group of every service publishes, wants and remembers, as a topic that can be asked.

A group writes its entry when it starts. The topic is compacted by service, group and definition, so the last entry of
a group is what it runs now.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from mainstem.broker import Broker, Record, TopicPartition, read_all
from mainstem.delivery import Plan
from mainstem.events import Declaration
from mainstem.identifiers import derive
from mainstem.service.plans import CATALOGUE

AT: Final = TopicPartition(CATALOGUE, 0)


class EventEntry(Struct, frozen=True, order=True):
    """An event type as it is published or wanted."""

    name: str
    topic: str
    version: int
    kind: str | None
    key: tuple[str, ...]
    owner: str | None


class SubscriptionEntry(Struct, frozen=True):
    """A handler: what it wants, what it publishes, or which timer it waits for."""

    handler: str
    wants: tuple[EventEntry, ...]
    publishes: tuple[EventEntry, ...]
    timer: str | None
    batch: bool


class StoreEntry(Struct, frozen=True):
    """A store: its name, whose keys it has, and the schema version of its values."""

    name: str
    scope: str
    version: int


class CatalogueEntry(Struct, frozen=True):
    """A group of a service as it runs. ``definition`` is the same as long as nothing below it changes.

    ``publishes`` is everything its service may publish. ``at_ms`` is when it was started, on the wall clock.
    """

    service: str
    group: str
    definition: str
    library: str
    at_ms: int
    tasks: int
    lanes: int
    publishes: tuple[EventEntry, ...]
    subscriptions: tuple[SubscriptionEntry, ...]
    stores: tuple[StoreEntry, ...]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(CatalogueEntry).decode


def entry_of(plan: Plan, published: Sequence[Declaration], at_ms: int) -> CatalogueEntry:
    """What a group has to say about itself."""
    # A file that declares a service need not pay for this one.
    from importlib.metadata import version  # noqa: PLC0415

    entry = CatalogueEntry(
        service=plan.service,
        group=plan.group,
        definition="",
        library=version("mainstem"),
        at_ms=0,
        tasks=plan.tasks,
        lanes=plan.lanes,
        publishes=_events(published),
        subscriptions=tuple(
            SubscriptionEntry(each.name, _events(each.inputs), _events(each.outputs), each.timer, each.batch)
            for each in plan.processors
        ),
        stores=tuple(StoreEntry(each.name, each.scope, each.version) for each in plan.stores.values()),
    )
    return msgspec.structs.replace(entry, definition=derive("definition", _encode(entry)), at_ms=at_ms)


async def write_catalogue(broker: Broker, entries: Iterable[CatalogueEntry]) -> None:
    """Add entries to the catalogue."""
    records = [
        Record(f"{each.service}/{each.group}/{each.definition}".encode(), _encode(each), each.at_ms) for each in entries
    ]
    if records:
        await broker.log.append(AT, records)


async def read_catalogue(broker: Broker) -> list[CatalogueEntry]:
    """The last entry of every group, by service and group. Empty where no service has been started yet."""
    found: dict[tuple[str, str], CatalogueEntry] = {}
    async for batch in read_all(broker, CATALOGUE):
        for value in batch.values:
            if value is not None:
                entry = _decode(value)
                found[entry.service, entry.group] = entry
    return [found[name] for name in sorted(found)]


def _events(declarations: Iterable[Declaration]) -> tuple[EventEntry, ...]:
    return tuple(
        EventEntry(each.wire_name, each.topic, each.version, each.kind, each.key, each.service) for each in declarations
    )
