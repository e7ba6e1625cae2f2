"""Deciding about what is due: ``cancel``, ``run-now``, ``pause`` and ``resume``."""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

import click
import msgspec
from msgspec import Struct

from mainstem.clock import SystemClock
from mainstem.delivery import AT_ONCE, SCHEDULES_TASK, Action, Command, Order, Questions
from mainstem.errors import NotFound
from mainstem.identifiers import Identifiers
from mainstem.ops.arguments import did_you_mean, opened
from mainstem.ops.requests import Request, added, patience
from mainstem.ops.schedules.agenda import Due, Wanted, filters, groups_of, schedules_of, waiting
from mainstem.ops.schedules.looking import print_due
from mainstem.ops.screen import plural, print_json, progress
from mainstem.service import Backend

F = TypeVar("F", bound=Callable[..., object])

EXAMPLES: Final = 20


class Decided(Struct, frozen=True):
    """What was decided, and what came of it, as JSON shows it: ``done`` None where nothing was done yet."""

    action: Action
    group: str
    matched: int
    done: int | None
    answer: str = ""


def deciding(command: F) -> F:
    """Add what commands have in common that change something."""
    return added(
        click.option("--yes", is_flag=True, help="Do it. Without it, only what would be done is printed."),
        click.option("--reason", default="", help="Why; it stands in the command, and in the log of the group."),
        click.option("--by", default="", help="Who decides it; without it, the user of the operating system."),
        patience,
    )(command)


@click.command("cancel")
@click.argument("group")
@filters
@click.option("--all", "everything", is_flag=True, help="All events of the group that wait.")
@deciding
def cancel(*, everything: bool, yes: bool, **options: object) -> None:
    """Let events not be published that wait for their time."""
    request, wanted = msgspec.convert(options, Request), msgspec.convert(options, Wanted)
    if not (everything or wanted.narrows):
        raise click.UsageError(f"Say which: --all, or a filter such as --name or --topic. ({request.group})")
    asyncio.run(_cancel(request, wanted, yes=yes))


@click.command("run-now")
@click.argument("group")
@click.argument("handler")
@deciding
def run_now(*, handler: str, yes: bool, **options: object) -> None:
    """Run a schedule once more, now; its next run stays where it is."""
    asyncio.run(_order("run", msgspec.convert(options, Request), handler, yes=yes))


@click.command("pause")
@click.argument("group")
@click.argument("handler")
@deciding
def pause(*, handler: str, yes: bool, **options: object) -> None:
    """Let a schedule not run until it is resumed, also over restarts."""
    asyncio.run(_order("pause", msgspec.convert(options, Request), handler, yes=yes))


@click.command("resume")
@click.argument("group")
@click.argument("handler")
@deciding
def resume(*, handler: str, yes: bool, **options: object) -> None:
    """Let a paused schedule run again; what would have been due meanwhile is not made up for."""
    asyncio.run(_order("resume", msgspec.convert(options, Request), handler, yes=yes))


async def _cancel(request: Request, wanted: Wanted, *, yes: bool) -> None:
    async with opened(request.broker, dev=request.dev) as broker:
        groups = await groups_of(broker, request.group)
        # A timer is its handler's own business: without it, what the handler has begun would never end.
        found = [each for each in await waiting(broker, groups, wanted) if each.upcoming.fact is not None]
        done = await _taken_back(broker, request, found) if yes and found else None
    if request.as_json:
        print_json(Decided("cancel", request.group, len(found), done))
        return
    if done is None:
        print_due(found[:EXAMPLES])
        if len(found) > EXAMPLES:
            click.echo(f"and {len(found) - EXAMPLES} more")
        said = f"{plural(len(found), 'event')} of {request.group}. Nothing was done; --yes takes them back."
        click.echo(said if found else "No such event waits there.")
        return
    late = len(found) - done
    click.echo(
        f"cancel: {plural(done, 'event')} of {request.group} taken back"
        + (f", {late} not there any more" if late else "")
    )


async def _taken_back(broker: Backend, request: Request, found: list[Due]) -> int:
    clock = SystemClock()
    identifiers, (reason, by) = Identifiers(clock), request.decided
    questions = Questions(broker, request.group, clock, request.patience_seconds)
    orders = [
        Order(each.task, Command(identifiers.new(), "cancel", "", each.upcoming.owner.row, reason, by))
        for each in found
    ]
    done = 0
    with progress("cancel", len(orders), shown=not request.as_json) as heard:
        for first in range(0, len(orders), AT_ONCE):
            some = orders[first : first + AT_ONCE]
            done += sum(each.answer.found for each in (await questions.ask(some)).values())
            heard(len(some))
    return done


async def _order(action: Action, request: Request, handler: str, *, yes: bool) -> None:
    async with opened(request.broker, dev=request.dev) as broker:
        known = [each.next_run.handler for each in await schedules_of(broker, await groups_of(broker, request.group))]
        if handler not in known:
            raise NotFound(
                f"{request.group!r} has no schedule {handler!r}",
                where=broker.name,
                why=f"its schedules are {', '.join(known)}" if known else "none of its handlers runs by the calendar",
                remedy=did_you_mean(handler, known) or "mainstem schedules list shows them",
            )
        decided = Decided(action, request.group, 1, None)
        if yes:
            clock = SystemClock()
            reason, by = request.decided
            command = Command(Identifiers(clock).new(), action, handler, b"", reason, by)
            questions = Questions(broker, request.group, clock, request.patience_seconds)
            answer = (await questions.ask([Order(SCHEDULES_TASK, command)]))[command.id].answer
            decided = Decided(action, request.group, 1, answer.found, answer.text)
    if request.as_json:
        print_json(decided)
    elif yes:
        click.echo(f"{handler} of {request.group}: {decided.answer}")
    else:
        click.echo(f"{action} {handler} of {request.group}. Nothing was done; --yes does it.")
    if decided.done == 0:
        raise SystemExit(1)
