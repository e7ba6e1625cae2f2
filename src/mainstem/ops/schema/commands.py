"""The commands: register, check, list, show."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click
import msgspec
from msgspec import Struct

from mainstem.errors import MainstemError, NotFound, RegistryRefused
from mainstem.ops.arguments import UNLIKE, Listing, WrittenFile, broker_options, json_option, load_services
from mainstem.ops.schema.checking import BREAKS, UNKNOWN, Checked, check_all
from mainstem.ops.schema.contracts import Contracts, contracts, steps_of, tell_order, tell_readers
from mainstem.ops.schema.diffing import diff
from mainstem.ops.schema.giving import give
from mainstem.ops.schema.history import check_against, compared, past_at, present
from mainstem.ops.schema.lint import lint
from mainstem.ops.schema.opening import (
    broker_is_named,
    left_out,
    read_registry,
    registry_folder,
    registry_option,
    stated_in,
    stated_of,
    written_registry,
)
from mainstem.ops.screen import print_json, print_table, tell
from mainstem.schemas.registries import LOCK_NAME, LockFile, Registered
from mainstem.service import Outline, outlines_of
from mainstem.service.promises import Stated, registered


class Described(Struct, frozen=True):
    """A schema as it is listed: registered, or as a service states it."""

    subject: str
    version: int | None
    id: int | None
    format: str
    schema: str


@click.group(cls=Listing)
def schema() -> None:
    """Register what services say about their events, and see whom a change would break."""


schema.add_command(diff)
schema.add_command(lint)
schema.add_command(give)
schema.add_command(contracts)


@schema.command
@click.argument("services", nargs=-1, required=True, metavar="MODULE:SERVICE...")
@registry_option
@click.option(
    "--lock",
    type=WrittenFile(),
    default=LOCK_NAME,
    show_default=True,
    help="Write there what was registered as what; commit it, and services start while the registry is away.",
)
@broker_options
@json_option
def register(
    *, services: tuple[str, ...], registry: str | None, lock: Path, broker: str | None, dev: bool, as_json: bool
) -> None:
    """Register the schemas of the events that services publish; what is registered already stays as it is.

    All that may be registered is, also when something else is refused; the code is 1 then.
    """
    loaded = load_services(services)
    stated = stated_of(loaded)
    found, refused = asyncio.run(_register(stated, registry, broker, dev=dev))
    if found:
        LockFile.read(lock).with_registered(found).write(lock)
    if found or as_json:
        _show([_described(each) for each in found], as_json=as_json)
    if plain := left_out(loaded, stated):
        why = "a Topic without schema_id= is taken for somebody else's"
        click.echo(f"Not registered: {', '.join(plain)}; {why}.", err=True)
    for each in refused:
        tell(each)
    if refused:
        raise SystemExit(1)


async def _register(
    stated: Sequence[Stated], named: str | None, broker: str | None, *, dev: bool
) -> tuple[list[Registered], list[MainstemError]]:
    found: list[Registered] = []
    refused: list[MainstemError] = []
    async with written_registry(named, broker, dev=dev) as registry:
        for each in stated:
            try:
                found.append(await registered(each, registry))
            except RegistryRefused as error:
                refused.append(error)
                if str(error.error_code).startswith("401"):
                    break  # it does not know who asks, whatever the type
    return found, refused


@schema.command
@click.argument("services", nargs=-1, metavar="[MODULE:SERVICE...]")
@registry_option
@click.option(
    "--against",
    metavar="PLACE",
    help="What stood there, instead of the registry: git:REVISION[:PATH], a folder of schemas, or a lock file.",
)
@click.option("--environment", metavar="NAME", help="Ask the services of this environment only.")
@broker_options
@json_option
def check(*, services: tuple[str, ...], as_json: bool, **options: object) -> None:
    """Say what deploying services would do to who reads their events; change nothing.

    Each schema is compared with what is registered, by the level of its subject, and with what every handler has said
    that it reads. Without services, the folder of schemas or the lock file that is here is compared --against one that
    was. The code is 3 where something would break.
    """
    wanted = msgspec.convert(options, Wanted)
    if not services and wanted.against is None:
        raise click.UsageError("name a service, or what is to be compared: --against git:origin/main")
    found = asyncio.run(_check(outlines_of(load_services(services)), wanted))
    # What no order mends is told where it stands; the rest still has one.
    ordered = [each for each in found if each.first != "neither"]
    steps = steps_of((first, each.publisher) for each in ordered if each.publisher for first in each.before)
    if as_json:
        print_json(found)
    else:
        for each in found:
            _tell(each)
        tell_order(steps)
        if services and not broker_is_named(wanted.broker, dev=wanted.dev):
            click.echo("No broker is named, so nobody has been asked what handlers read.", err=True)
        for why in dict.fromkeys(why for each in found for why in each.unasked):
            click.echo(f"There may be further readers: {why}.", err=True)
    if steps is None or any(each.broken for each in found):
        raise SystemExit(UNLIKE)


class Wanted(Struct, frozen=True):
    """What was typed."""

    registry: str | None
    against: str | None
    environment: str | None
    broker: str | None
    dev: bool


async def _check(outlines: Sequence[Outline], wanted: Wanted) -> list[Checked]:
    broker, dev, stated = wanted.broker, wanted.dev, stated_in(outlines)
    folder = registry_folder(wanted.registry)
    past = None if wanted.against is None else await past_at(wanted.against, folder)
    if past is not None and not stated:
        return compared(past, await present(folder or Path(LOCK_NAME)))
    known = Contracts(coming=outlines)
    if broker_is_named(broker, dev=dev):
        topics = {each.declaration.topic for each in stated}
        known = await Contracts.known(broker, outlines, topics, wanted.environment, dev=dev)
    if past is not None:
        return await check_against(past, stated, known)
    async with read_registry(wanted.registry, broker, dev=dev) as registry:
        return await check_all(stated, registry, known)


def _tell(checked: Checked) -> None:
    version = "" if checked.registered is None else f", version {checked.registered} is registered"
    click.secho(f"{checked.subject}: ", bold=True, nl=False)
    click.secho(checked.outcome + version, fg="red" if checked.outcome in (BREAKS, UNKNOWN) else None)
    for problem in checked.problems:
        click.echo(f"  - {problem}")
    for each in checked.older:
        click.secho("  BREAKS  " if each.hopeless else "  note    ", fg="red" if each.hopeless else None, nl=False)
        click.echo(each.told)
    tell_readers(checked.readers)
    if checked.first in _FIRST:
        click.echo(f"  {_FIRST[checked.first]}")


_FIRST: Final = {
    "readers": "readers first: what reads it now cannot read the new form",
    "writers": "writers first: the new form cannot read what is written now",
    "neither": "no order helps: count version= up, say with upcast() how the older form becomes it, then readers",
}


@schema.command("list")
@click.argument("prefix", default="")
@registry_option
@broker_options
@json_option
def list_them(*, prefix: str, registry: str | None, broker: str | None, dev: bool, as_json: bool) -> None:
    """List the subjects whose names begin so, each with its last version; :*: stands for every context."""
    _show(asyncio.run(_listed(prefix, registry, broker, dev=dev)), as_json=as_json)


async def _listed(prefix: str, named: str | None, broker: str | None, *, dev: bool) -> list[Described]:
    async with read_registry(named, broker, dev=dev) as registry:
        latest = [await registry.version(each, "latest") for each in await registry.subjects(prefix)]
    return [_described(each) for each in latest if each is not None]


@schema.command
@click.argument("name", metavar="SUBJECT|MODULE:SERVICE")
@click.option("--version", "version", type=click.IntRange(min=1), help="This version, instead of the last one.")
@registry_option
@broker_options
@json_option
def show(*, name: str, version: int | None, registry: str | None, broker: str | None, dev: bool, as_json: bool) -> None:
    """Print a registered schema; or those of the events that a service publishes, as it states them now."""
    if ":" in name and not name.startswith(":"):
        found = [_stated(each) for each in stated_of(load_services([name]))]
    else:
        found = [asyncio.run(_shown(name, version, registry, broker, dev=dev))]
    if as_json:
        print_json(found)
        return
    for each in found:
        click.echo(each.schema)


async def _shown(subject: str, version: int | None, named: str | None, broker: str | None, *, dev: bool) -> Described:
    async with read_registry(named, broker, dev=dev) as registry:
        found = await registry.version(subject, "latest" if version is None else version)
    if found is None:
        raise NotFound(
            f"there is no {'subject' if version is None else f'version {version} of the subject'} {subject!r}",
            remedy="mainstem schema list shows what there is",
        )
    return _described(found)


def _described(found: Registered) -> Described:
    return Described(found.subject, found.version, found.id, found.schema.format, found.schema.text)


def _stated(stated: Stated) -> Described:
    return Described(stated.subject, None, None, stated.schema.format, stated.schema.text)


def _show(found: Sequence[Described], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
    else:
        print_table(
            ("subject", "version", "id", "format"),
            [(each.subject, each.version, each.id, each.format) for each in found],
        )
