"""The command ``groups delete``: forget a group that nobody runs."""

import asyncio

import click
from msgspec import Struct

from mainstem.clock import SystemClock
from mainstem.ops.arguments import broker_options, json_option, opened
from mainstem.ops.groups.looking import lines_of
from mainstem.ops.screen import plural, print_json
from mainstem.service import forget_group, read_catalogue


class Deleted(Struct, frozen=True):
    """A group that is forgotten, or would be."""

    group: str
    tasks: int
    lag: int
    done: bool


@click.command
@click.argument("group")
@click.option("--yes", is_flag=True, help="Do it. Without it, only what would be done is printed.")
@broker_options
@json_option
def delete(*, group: str, yes: bool, broker: str | None, dev: bool, as_json: bool) -> None:
    """Forget a group that nobody runs: its positions, its stores, its inbox, and what the catalogue says about it.

    A group of that name starts anew, as if there had been none. What it has told stays: the topics of its dead letters
    and answers.
    """
    deleted = asyncio.run(_deleted(group, broker, dev=dev, yes=yes))
    if as_json:
        print_json(deleted)
        return
    said = f"{group}: {plural(deleted.tasks, 'task')} with all positions and stores, lag {deleted.lag}"
    click.echo(f"{said}: deleted." if yes else f"{said}. Nothing was done; --yes deletes it.")


async def _deleted(name: str, given: str | None, *, dev: bool, yes: bool) -> Deleted:
    async with opened(given, dev=dev) as broker:
        # The catalogue alone knows a service that only publishes, and a group whose deletion was cut off.
        told = any(entry.group == name for entry in await read_catalogue(broker))
        there = not told or name in await broker.admin.groups()
        lines = await lines_of(broker, name) if there else []
        if yes and there:
            await broker.admin.delete_group(name)
        if yes:
            await forget_group(broker, name, SystemClock().now_ms())
    return Deleted(name, sum(len(line.tasks) for line in lines), sum(line.lag for line in lines), yes)
