"""The command ``retire``: forget a handler that does not exist any more."""

import asyncio

import click
import msgspec
from msgspec import Struct

from mainstem.clock import SystemClock
from mainstem.delivery import Remembered, Retirement
from mainstem.errors import NotFound
from mainstem.ops.arguments import broker_options, group_named, json_option, opened
from mainstem.ops.screen import plural, print_json, progress
from mainstem.service import read_catalogue


class RetireRequest(Struct, frozen=True):
    """What is to be forgotten, as it was typed."""

    group: str
    handler: str
    timers: tuple[str, ...]
    yes: bool
    broker: str | None
    dev: bool
    as_json: bool


class Retired(Struct, frozen=True):
    """What was forgotten of a handler, or would be. ``registered``: its service still had it when it last started."""

    group: str
    handler: str
    registered: bool
    done: bool
    remembered: Remembered


@click.command
@click.argument("group")
@click.argument("handler")
@click.option("--timer", "timers", multiple=True, help="Also timers of this name, which nobody handles any more.")
@click.option("--yes", is_flag=True, help="Do it. Without it, only what would be done is printed.")
@broker_options
@json_option
def retire(**options: object) -> None:
    """Forget a handler that does not exist any more, so that its group can start.

    What it has parked is discarded, and stands in the audit topic; its place in the group goes. No process may run the
    group. The group's stores stay as they are.
    """
    request = msgspec.convert(options, RetireRequest)
    retired = asyncio.run(_retire(request))
    if request.as_json:
        print_json(retired)
        return
    found = retired.remembered
    said = (
        f"{request.handler} is known to {plural(found.tasks, 'task')}; "
        f"{plural(found.sequences, 'parked sequence')} with {plural(found.events, 'event')}, "
        f"{plural(found.timers, 'timer')}"
    )
    if retired.registered:
        click.echo("The service still registered this handler when it was started last.")
    click.echo(f"{said}: forgotten." if retired.done else f"{said}. Nothing was done; --yes forgets all of it.")


async def _retire(request: RetireRequest) -> Retired:
    name, handler = request.group, request.handler
    async with opened(request.broker, dev=request.dev) as broker:
        group = await group_named(broker, name)
        retirement = Retirement(broker, group, handler, request.timers)
        found = await retirement.look()
        if not found.something:
            raise NotFound(
                f"{name!r} remembers no handler {handler!r}" + ", and none of these timers" * bool(request.timers),
                where=broker.name,
                why="it has another name, or was retired already",
                remedy="mainstem services shows handlers and timers as they were when the group was started last",
            )
        entries = [entry for entry in await read_catalogue(broker) if entry.group == name]
        registered = any(each.handler == handler for entry in entries for each in entry.subscriptions)
        if request.yes:
            # Moves nothing, and refuses a group that has live members.
            await broker.admin.reset(name, {})
            with progress("retire", found.sequences + found.timers, shown=not request.as_json) as heard:
                await retirement.carry_out(SystemClock(), f"the handler {handler} was retired", heard)
    return Retired(name, handler, registered, request.yes, found)
