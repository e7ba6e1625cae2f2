"""Who reads an event: what each handler has said that it reads, and what of that a new form would take from it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

from msgspec import Struct

from mainstem.broker import Broker, ForeignGroups, GroupDescription
from mainstem.clock import SystemClock
from mainstem.delivery import ContractEntry
from mainstem.errors import NotFound, SchemaRefused
from mainstem.ops.arguments import opened
from mainstem.schemas.compatibility import in_words, innermost, touches
from mainstem.schemas.documents import Schema
from mainstem.schemas.formats import FORMAT_OF, fields_of, losses
from mainstem.service import STALE_MS, CatalogueEntry, Outline, Standing, read_catalogue, read_standings
from mainstem.service.promises import Stated


@runtime_checkable
class KnowsForeignGroups(Protocol):
    """A broker that others read too, in groups that are none of ours."""

    async def foreign_groups(self, topics: Iterable[str]) -> ForeignGroups:
        """Those that have committed something of these topics, or read them now, as far as they can be asked."""
        ...


class Break(Struct, frozen=True):
    """One thing that a handler could not read: the field, empty for the event as a whole, the rule, and words."""

    field: str
    rule: str
    problem: str


class Reader(Struct, frozen=True):
    """What becomes of one handler, or of a group that nobody knows more of.

    ``fields`` are those that it reads, None where it has not said so. ``unread`` are fields that have changed and that
    it does not read. A reader is ``mended`` where it breaks, and what is deployed together with the change does not;
    ``stale`` where its group has not been seen for two weeks; ``foreign`` where it is none of Mainstem's, and has so
    many ``members`` now.
    """

    reader: str
    service: str | None
    definition: int
    environment: str | None
    seen_ms: int | None
    fields: tuple[str, ...] | None
    breaks: tuple[Break, ...] = ()
    unread: tuple[str, ...] = ()
    mended: bool = False
    stale: bool = False
    foreign: bool = False
    members: int | None = None


class Contracts:
    """What the handlers of all services have said that they read, as they were started last.

    ``groups`` are those of Mainstem's that stand in no catalogue, ``foreign`` those of others; ``coming`` has services
    that are to be deployed, in their new form.
    """

    def __init__(
        self,
        entries: Iterable[CatalogueEntry] = (),
        groups: Mapping[str, GroupDescription] | None = None,
        coming: Sequence[Outline] = (),
        standings: Mapping[str, Standing] | None = None,
        now_ms: int = 0,
        foreign: ForeignGroups | None = None,
    ) -> None:
        self._entries = tuple(entries)
        self._groups = groups or {}
        self._standings = standings or {}
        self._now_ms = now_ms
        self._foreign = foreign or ForeignGroups()
        self._coming = {
            each.service.name: [ContractEntry.of(taken) for handled in each.handlers for taken in handled.inputs]
            for each in coming
        }

    @classmethod
    async def known(
        cls, broker: str | None, coming: Sequence[Outline], topics: Iterable[str], environment: str | None, *, dev: bool
    ) -> "Contracts":
        """Those in the catalogue of a broker, of one environment or of all; none where there is no broker yet.

        With them, whatever else reads these topics.
        """
        try:
            async with opened(broker, dev=dev) as backend:
                entries = await read_catalogue(backend)
                groups = await backend.admin.groups()
                standings = await read_standings(backend)
                foreign = await _foreign(backend, topics)
        except NotFound:
            return cls(coming=coming)
        named = {each.group for each in entries}
        others = {name: group for name, group in groups.items() if name not in named}
        counting = (each for each in entries if environment in (None, each.environment))
        now_ms = SystemClock().now_ms()
        return cls((each for each in counting if _counts(each, standings)), others, coming, standings, now_ms, foreign)

    @property
    def unasked(self) -> tuple[str, ...]:
        """Why there may be readers that have not been found, in words."""
        return self._foreign.unasked

    def checked(self, stated: Stated, changed: Sequence[str] = ()) -> tuple[Reader, ...]:
        """What becomes of everybody who reads a type; ``changed`` are its fields that are not what they were."""
        readers = [self._checked(stated, changed, *each) for each in self._readers(stated)]
        topic = stated.declaration.topic
        strangers = (name for name, group in self._groups.items() if topic in group.inputs)
        unknown = [Reader(name, None, 0, None, None, None) for name in sorted(strangers)]
        unknown += [
            Reader(each.name, None, 0, None, None, None, foreign=True, members=len(each.members))
            for each in self._foreign.groups
            if topic in each.topics
        ]
        return (*readers, *unknown)

    def _readers(self, stated: Stated) -> Iterator[tuple[CatalogueEntry, str, ContractEntry | None]]:
        names, topic = stated.declaration.names, stated.declaration.topic
        for entry in self._entries:
            for handler in entry.subscriptions:
                if topic not in {each.topic for each in handler.wants}:
                    # Where both forms are published for a while, it reads the other one's topic.
                    continue
                contract = next((each for each in handler.reads if each.name in names), None)
                if contract is not None or (not handler.reads and any(each.name in names for each in handler.wants)):
                    yield entry, f"{entry.group}.{handler.handler}", contract

    def _checked(
        self, stated: Stated, changed: Sequence[str], entry: CatalogueEntry, name: str, contract: ContractEntry | None
    ) -> Reader:
        said = None if contract is None or not contract.schema else contract
        fields = None if said is None else innermost(fields_of(_schema_of(said)))
        breaks = () if said is None else tuple(_breaks(stated, said))
        standing = self._standings.get(entry.group, Standing(entry.group))
        seen_ms = max(entry.at_ms, standing.seen_ms)
        return Reader(
            name,
            entry.service,
            entry.definition,
            entry.environment,
            seen_ms,
            fields,
            breaks,
            () if fields is None else tuple(each for each in changed if not touches(each, fields)),
            mended=bool(breaks) and self._mended(stated, entry.service),
            stale=self._now_ms - seen_ms > STALE_MS,
        )

    def _mended(self, stated: Stated, service: str) -> bool:
        """Whether a service is to be deployed too, in a form that reads this one."""
        names = stated.declaration.names
        coming = self._coming.get(service)
        return coming is not None and not any(
            any(_breaks(stated, each)) for each in coming if each.name in names and each.schema
        )


async def _foreign(broker: Broker, topics: Iterable[str]) -> ForeignGroups:
    return await broker.foreign_groups(topics) if isinstance(broker, KnowsForeignGroups) else ForeignGroups()


def _counts(entry: CatalogueEntry, standings: Mapping[str, Standing]) -> bool:
    standing = standings.get(entry.group)
    return standing is None or standing.retired is None


def changed_fields(writer: Schema, reader: Schema) -> tuple[str, ...] | None:
    """The fields that a reader misses or cannot read; None where it can read everything, empty where it is no field."""
    found = losses(writer, reader)
    return tuple(dict.fromkeys(field for each in found for field in each.fields)) if found else None


def _breaks(stated: Stated, contract: ContractEntry) -> Iterator[Break]:
    version = stated.declaration.version
    if not contract.oldest <= version <= contract.version:
        problem = f"it reads {_span(contract.oldest, contract.version)}, not {version}"
        yield Break("", "version-unknown", problem)
        return
    if version < contract.version:
        # Its steps make of the older form what it reads; they are checked where they stand.
        return
    reader = _schema_of(contract)
    if reader.format != stated.schema.format:
        yield Break("", "format-changed", f"it reads {reader.format}, not {stated.schema.format}")
        return
    try:
        found = losses(stated.schema, reader)
    except SchemaRefused as refused:
        yield Break("", "not-a-schema", str(refused))
        return
    for each in found:
        for field in each.fields or ("",):
            yield Break(field, each.difference.rule, in_words(each.difference))


def _schema_of(contract: ContractEntry) -> Schema:
    return Schema(contract.schema, FORMAT_OF[contract.format])


def _span(oldest: int, newest: int) -> str:
    return f"version {newest}" if oldest == newest else f"versions {oldest} to {newest}"
