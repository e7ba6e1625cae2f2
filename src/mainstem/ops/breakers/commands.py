"""The group of commands ``mainstem breakers``: what is not run because of one, and letting it go on."""

import asyncio
from collections.abc import Sequence

import click
import msgspec
from msgspec import Struct

from mainstem.clock import SystemClock
from mainstem.delivery import Command, Order, Questions, RememberedBreaker, breaker_place, remembered_breakers
from mainstem.identifiers import Identifiers
from mainstem.ops.arguments import Listing, broker_options, group_named, json_option, opened
from mainstem.ops.requests import Request, patience
from mainstem.ops.screen import moment, plural, print_json, print_table
from mainstem.resilience import BreakerState, LastCalls, Phase
from mainstem.state import TaskState

COLUMNS = ("group", "task", "handler", "key", "state", "probes_at", "openings", "failed", "waiting")


@click.group("breakers", cls=Listing)
def breakers() -> None:
    """Show which breakers of handlers are open, and close them by hand."""


class Shown(Struct, frozen=True):
    """A breaker, as a person and JSON have it. ``failed`` is how many failures it remembers while it is closed."""

    group: str
    task: int
    handler: str
    key: str | None
    state: Phase
    probes_at: str | None
    openings: int
    failed: int
    waiting: int


@breakers.command("list")
@click.argument("group", required=False)
@click.option("--all", "everything", is_flag=True, help="Also those that are closed, and remember failures.")
@broker_options
@json_option
def list_them(*, group: str | None, everything: bool, broker: str | None, dev: bool, as_json: bool) -> None:
    """List the breakers that are open, of one group or of all."""
    found = asyncio.run(_found(group, broker, dev=dev))
    found = [each for each in found if everything or each.state != "closed"]
    if as_json:
        print_json(found)
        return
    if found:
        print_table(COLUMNS, [[getattr(each, column) for column in COLUMNS] for each in found])
    said = plural(sum(each.state != "closed" for each in found), "open breaker")
    click.echo(f"{said}, {sum(each.state == 'closed' for each in found)} closed" if everything else said)


@breakers.command("close")
@click.argument("group")
@click.argument("handler")
@click.option("--key", help="That of this key alone, where the handler has a breaker for each (by=).")
@click.option("--reason", default="", help="Why; it stands in the command, and in the log of the group.")
@click.option("--by", default="", help="Who decides it; without it, the user of the operating system.")
@patience
def close(*, handler: str, key: str | None, **options: object) -> None:
    """Close the breakers of a handler, in all tasks of its group; what waits for them goes on at once."""
    asyncio.run(_close(msgspec.convert(options, Request), handler, key))


async def _found(group: str | None, broker: str | None, *, dev: bool) -> list[Shown]:
    now_ms = SystemClock().now_ms()
    async with opened(broker, dev=dev) as backend:
        groups = [*(await backend.admin.groups()).values()] if group is None else [await group_named(backend, group)]
        shown = [
            _shown(each.name, task, breaker, now_ms)
            for each in groups
            for task in range(each.tasks)
            for breaker in remembered_breakers(TaskState(await backend.snapshot(each.name, task)))
        ]
    return sorted(shown, key=lambda each: (each.group, each.task, each.handler, each.key or ""))


def _shown(group: str, task: int, breaker: RememberedBreaker, now_ms: int) -> Shown:
    state = breaker.state
    phase: Phase = "half_open" if state.phase == "open" and state.until_ms <= now_ms else state.phase
    key = None if breaker.key is None else breaker.key.decode(errors="backslashreplace")
    probes_at = moment(state.until_ms) if phase == "open" else None
    return Shown(group, task, breaker.handler, key, phase, probes_at, state.openings, _failed(state), breaker.waiting)


def _failed(state: BreakerState) -> int:
    outcomes = state.outcomes
    if isinstance(outcomes, LastCalls):
        return len(outcomes.failed)
    return 0 if outcomes is None else sum(each.failed for each in outcomes.slices)


async def _close(request: Request, handler: str, key: str | None) -> None:
    clock, (reason, by) = SystemClock(), request.decided
    identifiers = Identifiers(clock)
    async with opened(request.broker, dev=request.dev) as broker:
        group = await group_named(broker, request.group)
        place = breaker_place(None if key is None else key.encode())
        orders = [
            Order(task, Command(identifiers.new(), "close", handler, place, reason, by)) for task in range(group.tasks)
        ]
        questions = Questions(broker, group.name, clock, request.patience_seconds)
        answers = [each.answer for each in (await questions.ask(orders)).values()]
    closed = sum(each.found for each in answers)
    if request.as_json:
        print_json({"group": group.name, "handler": handler, "key": key, "closed": closed})
    else:
        click.echo(f"{handler} of {group.name}: {_said(closed, [each.text for each in answers])}")
    if not closed:
        raise SystemExit(1)


def _said(closed: int, answers: Sequence[str]) -> str:
    """What has come of it; what the tasks answer where nothing has."""
    return f"{plural(closed, 'breaker')} closed" if closed else "; ".join(dict.fromkeys(answers))
