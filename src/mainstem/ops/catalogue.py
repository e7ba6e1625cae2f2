"""The command ``services``: the catalogue, in which every group says what it publishes, wants and remembers."""

import asyncio
from collections.abc import Iterable

import click

from mainstem.delivery import EventEntry, SubscriptionEntry
from mainstem.ops.arguments import broker_options, json_option, opened
from mainstem.ops.screen import plural, print_json
from mainstem.service import CatalogueEntry, read_catalogue


@click.command
@broker_options
@json_option
def services(*, broker: str | None, dev: bool, as_json: bool) -> None:
    """Show who publishes what, who listens, and what each group remembers.

    It is what each group has said when it was started last.
    """
    entries = asyncio.run(_entries(broker, dev=dev))
    if as_json:
        print_json(entries)
        return
    for entry in entries:
        _print_entry(entry)
    click.echo(plural(len(entries), "group"))


async def _entries(given: str | None, *, dev: bool) -> list[CatalogueEntry]:
    async with opened(given, dev=dev) as broker:
        return await read_catalogue(broker)


def _print_entry(entry: CatalogueEntry) -> None:
    name = entry.group if entry.group == entry.service else f"{entry.group} of {entry.service}"
    click.secho(name, bold=True, nl=False)
    definition = f", definition {entry.definition}" if entry.definition else ""
    click.echo(f"  {plural(entry.tasks, 'task')}, {plural(entry.lanes, 'lane')}, mainstem {entry.library}{definition}")
    if entry.publishes:
        click.echo(f"  publishes {_events(entry.publishes)}")
    for each in entry.subscriptions:
        becomes = f" -> {', '.join(event.name for event in each.publishes)}" if each.publishes else ""
        click.echo(f"  {each.handler} {_cause(each)}{becomes}")
    if entry.stores:
        stores = ", ".join(f"{store.name} v{store.version} by {store.scope}" for store in entry.stores)
        click.echo(f"  remembers {stores}")


def _cause(handler: SubscriptionEntry) -> str:
    if handler.schedule is not None:
        return f"runs at {handler.schedule}"
    return f"takes the timer {handler.timer}" if handler.timer else f"takes {_events(handler.wants)}"


def _events(events: Iterable[EventEntry]) -> str:
    return ", ".join(dict.fromkeys(f"{each.name} v{each.version} on {each.topic}" for each in events))
