"""From a URL to a broker. The one place in production that names a concrete broker."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Final, TypeAlias, get_args, get_origin
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct
from msgspec.structs import fields, replace

from mainstem.clock import Clock
from mainstem.delivery import Keeper
from mainstem.errors import DefinitionError, MainstemError, StartRefused
from mainstem.identifiers import Identifiers
from mainstem.settings import Settings

DEV_URL: Final = "sqlite:///mainstem.db"
"""What plays the broker when nobody names one and ``dev`` is on: a file beside you."""

Failed: TypeAlias = Callable[[MainstemError], None]

_SQLITE: Final = "sqlite:///"
_KAFKA: Final = "kafka://"


Backend: TypeAlias = Keeper
"""What services run on: a broker that keeps the rows of stores as well."""


def connect(url: str, clock: Clock, identifiers: Identifiers, failed: Failed | None = None) -> Backend:
    """The broker behind a URL, not opened yet.

    ``sqlite:///shop.db`` is a file in the current folder, ``sqlite:////var/lib/shop.db`` one with an absolute path,
    and ``sqlite:///:memory:`` is gone with the process. Options follow behind a question mark, as
    ``sqlite:///shop.db?hold_seconds=3600&reserve_bytes=0``. ``failed`` hears that the broker can be used no more, and
    that the process must end.

    Raises :class:`~mainstem.errors.DefinitionError` for what is no URL of a broker, and
    :class:`~mainstem.errors.StartRefused` with everything that is wrong with its options.
    """
    name = _without_options(url)
    if name.startswith(_SQLITE) and len(name) > len(_SQLITE):
        # Loaded when used: a program that only declares a service needs no database.
        from mainstem.broker.sqlite import SqliteBroker, SqliteOptions  # noqa: PLC0415

        options = replace(SqliteOptions(failed=failed), **options_of(url, SqliteOptions))
        return SqliteBroker(file_of(url), clock=clock, identifiers=identifiers, options=options)
    if name.startswith(_KAFKA) and len(name) > len(_KAFKA):
        return _kafka(url, clock, identifiers)
    raise DefinitionError(
        f"{name!r} is not the URL of a broker",
        why="it begins with sqlite:/// and a path, or with kafka:// and host:port",
        remedy="write sqlite:///shop.db for a file beside you, sqlite:////var/lib/shop.db for an absolute path, or "
        "kafka://broker-1:9092,broker-2:9092",
    )


def _kafka(url: str, clock: Clock, identifiers: Identifiers) -> Backend:
    try:
        # An extra, loaded when used.
        from mainstem.broker.kafka import KafkaOptions  # noqa: PLC0415
        from mainstem.service.brokers.clusters import OnKafka  # noqa: PLC0415
    except ImportError as error:
        raise DefinitionError(
            "the client of Kafka is not installed",
            where=_without_options(url),
            why=str(error),
            remedy="pip install 'mainstem[kafka]'",
        ) from error

    # A name with a dot is one of librdkafka's own, and goes to all clients as it is.
    client = {name: text for name, text in parse_qsl(_options_in(url), keep_blank_values=True) if "." in name}
    options = replace(KafkaOptions(client=client), **options_of(url, KafkaOptions))
    return OnKafka(_without_options(url).removeprefix(_KAFKA), options, clock, identifiers)


def named_broker(given: str | None, settings: Settings, *, dev: bool) -> str:
    """The URL that was given, or that of the settings, or with ``dev`` a file. Raises where nobody names one."""
    url = given or settings.broker or (DEV_URL if dev else None)
    if url is None:
        raise DefinitionError(
            "no broker is named",
            why="a broker, topics and files appear by themselves only with --dev",
            remedy="set MAINSTEM_BROKER=sqlite:////path/to/shop.db, or name a URL (--broker, broker=), or give --dev",
        )
    return url


def file_of(url: str) -> Path | None:
    """The file behind a URL; None for a memory, and for a broker that is elsewhere."""
    name = _without_options(url).removeprefix(_SQLITE)
    return Path(name) if url.startswith(_SQLITE) and name not in ("", ":memory:") else None


def in_full(url: str) -> str:
    """The same URL from any folder: with the absolute path of its file, and its options."""
    path = file_of(url)
    return url if path is None else _SQLITE + str(path.absolute()) + url.removeprefix(_without_options(url))


def options_of(url: str, kind: type[Struct]) -> dict[str, object]:
    """What a URL says behind its question mark, by option of ``kind``: those fields that are annotated with a meaning.

    Raises :class:`~mainstem.errors.StartRefused` with all faults: options that do not exist, values that do not fit.
    """
    known = {each.name: each for each in fields(kind) if get_origin(each.type) is Annotated}
    types = {name: each.type for name, each in known.items()}
    where = _without_options(url)
    values: dict[str, object] = {}
    faults: list[MainstemError] = []
    for name, text in parse_qsl(_options_in(url), keep_blank_values=True):
        if "." in name and not url.startswith(_SQLITE):
            continue
        if name not in types:
            near = get_close_matches(name, types, n=1)
            remedy = f"did you mean {near[0]}?" if near else f"the options are {', '.join(types)}"
            faults.append(DefinitionError(f"there is no option {name}", where=where, remedy=remedy))
        elif name in values:
            faults.append(DefinitionError(f"the option {name} is given twice", where=where, remedy="leave one out"))
        else:
            try:
                values[name] = msgspec.convert(text, types[name], strict=False)
            except msgspec.ValidationError as error:
                values[name] = text
                remedy = f"give another value, or leave it out for {known[name].default}: {_meaning(types[name])}"
                faults.append(DefinitionError(f"{name}={text}", where=where, why=str(error), remedy=remedy))
    if faults:
        said = f"{len(faults)} faults" if faults[1:] else "a fault"
        raise StartRefused(f"{said} in the options of the broker", tuple(faults))
    return values


def _meaning(option: object) -> str:
    said = next((each.description for each in get_args(option) if isinstance(each, msgspec.Meta)), None) or ""
    return said[:1].lower() + said[1:]


def _without_options(url: str) -> str:
    return url.partition("?")[0]


def _options_in(url: str) -> str:
    return url.partition("?")[2]


@asynccontextmanager
async def connected(
    broker: str | Backend, clock: Clock, identifiers: Identifiers, failed: Failed | None = None
) -> AsyncIterator[Backend]:
    """A broker that is open. One that is given by URL is closed again; one that is given itself stays open."""
    if not isinstance(broker, str):
        yield broker
        return
    backend = connect(broker, clock, identifiers, failed)
    await backend.open()
    try:
        yield backend
    finally:
        await backend.close()
