"""The command ``groups rollback``: let an older definition run a group again."""

import asyncio

import click
import msgspec
from msgspec import Struct

from mainstem.delivery import Rollback
from mainstem.errors import NotFound
from mainstem.ops.arguments import broker_options, group_named, json_option, opened
from mainstem.ops.screen import plural, print_json, print_table


class RollbackRequest(Struct, frozen=True):
    """A rollback, as it was typed."""

    group: str
    definition: int
    yes: bool
    broker: str | None
    dev: bool
    as_json: bool


class RolledBack(Struct, frozen=True):
    """What a rollback does, or would do. ``tasks`` are those that a newer definition has run, with its number."""

    group: str
    definition: int
    done: bool
    tasks: dict[int, int]


@click.command
@click.argument("group")
@click.option("--definition", type=click.IntRange(min=0), required=True, help="The number to go back to; 0 for none.")
@click.option("--yes", is_flag=True, help="Do it. Without it, only what would be done is printed.")
@broker_options
@json_option
def rollback(**options: object) -> None:
    """Let an older definition run a group again, which nobody runs now.

    A process gives back tasks that a higher definition has run; this records the lower number. Stores and positions
    stay as they are, so make sure that the older code can read what the newer one has left.
    """
    wanted = msgspec.convert(options, RollbackRequest)
    done = asyncio.run(_rollback(wanted))
    if wanted.as_json:
        print_json(done)
        return
    print_table(
        ("task", "definition", "becomes"), [(task, number, done.definition) for task, number in done.tasks.items()]
    )
    said = plural(len(done.tasks), "task")
    click.echo(f"{said} rolled back" if done.done else f"{said} would be rolled back. Nothing was done; --yes does it.")


async def _rollback(wanted: RollbackRequest) -> RolledBack:
    async with opened(wanted.broker, dev=wanted.dev) as broker:
        group = await group_named(broker, wanted.group)
        change = Rollback(broker, group, wanted.definition)
        found = await change.look()
        if not found:
            raise NotFound(
                f"no task of {group.name!r} was run by a definition above {wanted.definition}",
                where=broker.name,
                remedy="start the service; the number stands in its definition=",
            )
        if wanted.yes:
            # Moves nothing, and refuses a group that has live members.
            await broker.admin.reset(group.name, {})
            await change.carry_out()
    return RolledBack(group.name, wanted.definition, wanted.yes, found)
