"""Whom a change would break: what is registered, and what handlers have said that they read."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Struct

from mainstem.delivery import ContractEntry
from mainstem.errors import NotFound, SchemaRefused
from mainstem.ops.arguments import opened
from mainstem.schemas.compatibility import Difference
from mainstem.schemas.documents import Format, Schema
from mainstem.schemas.formats import differ_of
from mainstem.schemas.registries import SchemaRegistry
from mainstem.service import CatalogueEntry, read_catalogue
from mainstem.service.promises import Stated, objections, stands

Outcome: TypeAlias = Literal["unchanged", "new", "may follow", "breaks", "unknown"]
BREAKS: Final = "breaks"
UNKNOWN: Final = "unknown"
"""It has changed, and what it was cannot be seen."""

_FORMATS: Final[dict[str, Format]] = {"json": "JSON", "avro": "AVRO", "protobuf": "PROTOBUF"}


class Reader(Struct, frozen=True):
    """What becomes of one handler: why it could not read what will be written, and which fields it reads.

    ``fields`` is None for one that has not said so: it runs on an older library.
    """

    reader: str
    fields: tuple[str, ...] | None
    problems: tuple[str, ...] = ()


class Checked(Struct, frozen=True):
    """What becomes of one event type. ``registered`` is the last version of its subject."""

    subject: str
    outcome: Outcome
    registered: int | None
    problems: tuple[str, ...]
    readers: tuple[Reader, ...]

    @property
    def broken(self) -> bool:
        """Whether something would break, or may for all that is known."""
        return self.outcome in (BREAKS, UNKNOWN) or any(each.problems for each in self.readers)


class Contracts:
    """What the handlers of all services have said that they read, as they were started last."""

    def __init__(self, entries: Iterable[CatalogueEntry]) -> None:
        self._entries = tuple(entries)

    @classmethod
    async def known(cls, broker: str | None, *, dev: bool) -> "Contracts":
        """Those in the catalogue of a broker; none where there is no broker yet."""
        try:
            async with opened(broker, dev=dev) as backend:
                return cls(await read_catalogue(backend))
        except NotFound:
            return cls(())

    def readers(self, stated: Stated) -> Iterator[tuple[str, ContractEntry | None]]:
        """Who reads a type, each with its contract, where it has said so."""
        declaration = stated.declaration
        for entry in self._entries:
            for handler in entry.subscriptions:
                name = f"{entry.group}.{handler.handler}"
                contract = next((each for each in handler.reads if each.name in declaration.names), None)
                wanted = any(each.name in declaration.names for each in handler.wants)
                if contract is not None or (wanted and not handler.reads):
                    yield name, contract

    def checked(self, stated: Stated) -> tuple[Reader, ...]:
        """What becomes of everybody who reads a type."""
        return tuple(_reader(stated, name, contract) for name, contract in self.readers(stated))


async def check_all(stated: Sequence[Stated], registry: SchemaRegistry, contracts: Contracts) -> list[Checked]:
    """What becomes of each type."""
    return [await _check(each, registry, contracts) for each in stated]


async def _check(stated: Stated, registry: SchemaRegistry, contracts: Contracts) -> Checked:
    latest = await registry.version(stated.subject, "latest")
    problems: tuple[str, ...] = ()
    if latest is None:
        outcome: Outcome = "new"
    elif await stands(stated, latest, registry):
        outcome = "unchanged"
    else:
        problems = tuple(await objections(stated, registry))
        outcome = BREAKS if problems else "may follow"
    version = None if latest is None else latest.version
    return Checked(stated.subject, outcome, version, problems, contracts.checked(stated))


def _reader(stated: Stated, name: str, contract: ContractEntry | None) -> Reader:
    if contract is None:
        return Reader(name, None)
    fields = tuple(_fields(contract))
    version = stated.declaration.version
    if not contract.oldest <= version <= contract.version:
        return Reader(name, fields, (f"it reads versions {contract.oldest} to {contract.version}, not {version}",))
    if version < contract.version:
        # Its steps make of the older form what it reads; they are checked where they stand.
        return Reader(name, fields)
    reader = Schema(contract.schema, _FORMATS[contract.format])
    if reader.format != stated.schema.format:
        return Reader(name, fields, (f"it reads {reader.format}, not {stated.schema.format}",))
    try:
        verdict = differ_of(reader.format)(stated.schema, reader, ({}, {}), "LENIENT")
    except SchemaRefused as refused:
        return Reader(name, fields, (str(refused),))
    return Reader(name, fields, tuple(map(_told, verdict.differences)))


def _told(difference: Difference) -> str:
    said = f"{difference.path or '/'}: {difference.message}"
    for who, value in (("writer", difference.writer), ("reader", difference.reader)):
        if value is not None:
            said += f", {who} {_shown(value)}"
    example = difference.counterexample
    return said if example is UNSET else f"{said}; for example {_shown(example)}"


def _shown(value: object) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except TypeError:
        return repr(value)


def _fields(contract: ContractEntry) -> Iterator[str]:
    if contract.format == "protobuf":
        return
    document = msgspec.json.decode(contract.schema)
    listed = document.get("properties" if contract.format == "json" else "fields", {})
    yield from (each["name"] if isinstance(each, dict) else each for each in listed)
