"""The commands ``schema contracts list`` and ``retire``."""

import asyncio

import click
from msgspec import Struct

from mainstem.clock import SystemClock
from mainstem.errors import DefinitionError, NotFound
from mainstem.ops.arguments import Listing, broker_options, did_you_mean, json_option, opened
from mainstem.ops.screen import moment, print_json, print_table
from mainstem.service import (
    STALE_MS,
    CatalogueEntry,
    ContractRetirement,
    Standing,
    read_catalogue,
    read_standings,
    retire_contracts,
)
from mainstem.settings import operator


class Retired(Struct, frozen=True):
    """A group whose contracts count no more: since when, by whom and why."""

    group: str
    service: str
    at_ms: int
    by: str
    reason: str


class Listed(Struct, frozen=True):
    """What a handler has said that it reads. ``stale`` is one whose group has not been seen for two weeks."""

    service: str
    group: str
    handler: str
    definition: int
    environment: str
    event: str
    oldest: int
    version: int
    format: str
    seen_ms: int
    stale: bool
    retired: ContractRetirement | None


@click.group(cls=Listing)
def contracts() -> None:
    """Show what handlers have said that they read, and let those that are gone count no more."""


@contracts.command("list")
@click.option("--environment", metavar="NAME", help="Those of this environment only.")
@broker_options
@json_option
def list_them(*, environment: str | None, broker: str | None, dev: bool, as_json: bool) -> None:
    """List who reads which events, in which versions, and when each was seen last."""
    found = asyncio.run(_listed(environment, broker, dev=dev))
    if as_json:
        print_json(found)
        return
    print_table(
        ("handler", "environment", "reads", "versions", "seen", ""),
        [
            (
                f"{each.group}.{each.handler}",
                each.environment,
                each.event,
                str(each.version) if each.oldest == each.version else f"{each.oldest}-{each.version}",
                moment(each.seen_ms),
                "retired" if each.retired is not None else "stale" if each.stale else "",
            )
            for each in found
        ],
    )


async def _listed(environment: str | None, given: str | None, *, dev: bool) -> list[Listed]:
    now = SystemClock().now_ms()
    async with opened(given, dev=dev) as broker:
        entries, standings = await read_catalogue(broker), await read_standings(broker)
    return [
        _contract(entry, handler.handler, read.name, (read.oldest, read.version, read.format), standing, now)
        for entry in entries
        if environment in (None, entry.environment)
        for standing in [standings.get(entry.group, Standing(entry.group))]
        for handler in entry.subscriptions
        for read in handler.reads
    ]


def _contract(
    entry: CatalogueEntry, handler: str, event: str, form: tuple[int, int, str], standing: Standing, now_ms: int
) -> Listed:
    seen_ms = max(entry.at_ms, standing.seen_ms)
    stale = now_ms - seen_ms > STALE_MS
    known = (entry.service, entry.group, handler, entry.definition, entry.environment)
    return Listed(*known, event, *form, seen_ms, stale, standing.retired)


@contracts.command
@click.argument("service")
@click.option("--reason", default="", help="Why; it stands in the catalogue.")
@click.option("--force", is_flag=True, help="Also when it is running: its contracts come back within two hours.")
@broker_options
@json_option
def retire(*, service: str, reason: str, force: bool, broker: str | None, dev: bool, as_json: bool) -> None:
    """Let what a service has said that it reads count no more, because it is gone.

    When it is started again its contracts come back by themselves. A service that runs is refused.
    """
    done = asyncio.run(_retired(service, reason, broker, dev=dev, force=force))
    if as_json:
        print_json(done)
        return
    for each in done:
        click.echo(f"{each.group}: its contracts count no more, until it is started again.")


async def _retired(service: str, reason: str, given: str | None, *, dev: bool, force: bool) -> list[Retired]:
    async with opened(given, dev=dev) as broker:
        entries = await read_catalogue(broker)
        groups = [each.group for each in entries if each.service == service]
        if not groups:
            raise NotFound(
                f"the catalogue knows no service {service!r}",
                where=broker.name,
                remedy=did_you_mean(service, {each.service for each in entries}) or "mainstem services shows them",
            )
        alive = [each.name for each in (await broker.admin.groups(groups)).values() if each.members]
        if alive and not force:
            raise DefinitionError(
                f"the service {service!r} is running",
                where=", ".join(map(repr, alive)),
                why="what it has said that it reads is true",
                remedy="stop it first; or give --force",
            )
        retirement = ContractRetirement(SystemClock().now_ms(), operator(), reason)
        await retire_contracts(broker, groups, retirement)
    return [Retired(each, service, retirement.at_ms, retirement.by, reason) for each in groups]
