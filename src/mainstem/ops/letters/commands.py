"""The commands about dead letters: what they take, and what they print."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import click
import msgspec
from msgspec import Struct

from mainstem.broker import inbox_of
from mainstem.clock import SystemClock
from mainstem.delivery import Action, Entry
from mainstem.errors import NotAnswered
from mainstem.identifiers import Identifiers
from mainstem.ops.arguments import broker_options, json_option, length, opened
from mainstem.ops.letters.asking import Asking, Outcome
from mainstem.ops.letters.sequences import Wanted, groups_of, name_of, parked, payload_of
from mainstem.ops.screen import moment, plural, print_json, print_table, progress
from mainstem.service import Backend

F = TypeVar("F", bound=Callable[..., object])

PATIENCE_SECONDS: Final = 10.0
EXAMPLES: Final = 20


def filters(command: F) -> F:
    """Add the options that say which sequences are meant."""
    for option in (
        click.option("--parked", is_flag=True, help="Also sequences that wait for their next try."),
        click.option("--newer-than", "newer_than_ms", callback=length, help="Stopped less than so long ago: 30m, 1d."),
        click.option("--older-than", "older_than_ms", callback=length, help="Stopped more than so long ago."),
        click.option("--error", "errors", multiple=True, metavar="TYPE", help="Of this exception type: TimeoutError."),
        click.option("--key", "keys", multiple=True, help="Of this key; without one, of topic/partition/offset."),
        click.option("--handler", "handlers", multiple=True, help="Of this handler. May be given several times."),
    ):
        command = option(command)
    return command


@click.group("dead-letters")
def dead_letters() -> None:
    """List, show, redrive and discard what handlers have given up."""


@dead_letters.command("list")
@click.argument("group", required=False)
@filters
@broker_options
@json_option
def list_them(*, group: str | None, broker: str | None, dev: bool, as_json: bool, **which: object) -> None:
    """List dead letters, of one group or of all."""
    found = asyncio.run(_found(group, broker, msgspec.convert(which, Wanted), dev=dev))
    if as_json:
        print_json([_listed(name, entry) for name, entry in found])
        return
    _print(found)
    click.echo(f"{plural(len(found), 'sequence')}, {plural(sum(entry.waiting for _, entry in found), 'event')}")


@dead_letters.command("show")
@click.argument("group")
@filters
@broker_options
@json_option
def show(*, group: str, broker: str | None, dev: bool, as_json: bool, **which: object) -> None:
    """Show dead letters in full: headers, payload, what went wrong and where."""
    found = asyncio.run(_found(group, broker, msgspec.convert(which, Wanted), dev=dev))
    if as_json:
        print_json([_shown(name, entry) for name, entry in found])
        return
    for name, entry in found:
        for label, value in _shown(name, entry).items():
            click.secho(f"{label:>12}  ", nl=False, bold=True)
            click.echo(str(value).rstrip().replace("\n", "\n" + " " * 14))
        click.echo()
    click.echo(plural(len(found), "sequence"))


def deciding(command: F) -> F:
    """Add what the two deciding commands have in common."""
    for option in (
        json_option,
        broker_options,
        click.option(
            "--timeout",
            "patience_seconds",
            type=click.FloatRange(min=0),
            default=PATIENCE_SECONDS,
            show_default=True,
            help="Wait so many seconds for the next sign of life.",
        ),
        click.option("--yes", is_flag=True, help="Do it. Without it, only what would be done is printed."),
        click.option("--all", "everything", is_flag=True, help="All dead letters of the group."),
        filters,
        click.argument("group"),
    ):
        command = option(command)
    return command


class DecisionRequest(Wanted, frozen=True, kw_only=True):
    """A decision about dead letters, as it was typed."""

    group: str
    reason: str
    everything: bool
    yes: bool
    patience_seconds: float
    broker: str | None
    dev: bool
    as_json: bool


class Decision(Struct, frozen=True):
    """What was decided, and what came of it, as JSON shows it. ``outcome`` is None where nothing was done yet."""

    action: Action
    group: str
    matched: int
    waiting: int
    outcome: Outcome | None


@dead_letters.command("redrive")
@deciding
@click.option("--reason", default="", help="Why; it stands in the audit topic.")
def redrive(**options: object) -> None:
    """Handle dead letters again, each key's events in order."""
    asyncio.run(_decide("redrive", msgspec.convert(options, DecisionRequest)))


@dead_letters.command("discard")
@deciding
@click.option("--reason", required=True, help="Why; it stands in the audit topic.")
def discard(**options: object) -> None:
    """Give dead letters up for good; the audit topic keeps what they were, and why."""
    asyncio.run(_decide("discard", msgspec.convert(options, DecisionRequest)))


async def _decide(action: Action, request: DecisionRequest) -> None:
    if not (request.everything or request.narrows):
        raise click.UsageError(f"Say which: --all, or a filter such as --handler or --key. ({action} {request.group})")
    async with opened(request.broker, dev=request.dev) as broker:
        [group] = await groups_of(broker, request.group)
        clock = SystemClock()
        now = clock.now_ms()
        entries = [entry for entry in await parked(broker, group) if request.holds(entry, now)]
        waiting = sum(entry.waiting for entry in entries)
        if not request.yes or not entries:
            _say(Decision(action, group, len(entries), waiting, None), entries, request)
            return
        asking = Asking(broker, group, clock, Identifiers(clock))
        with progress(action, len(entries), shown=not request.as_json) as heard:
            outcome = await asking.ask(action, entries, request.reason, request.patience_seconds, heard)
        _say(Decision(action, group, len(entries), waiting, outcome), entries, request)
        if outcome.unanswered:
            raise await _unanswered(broker, group, outcome, request.patience_seconds)


def _say(decision: Decision, entries: Sequence[Entry], request: DecisionRequest) -> None:
    if request.as_json:
        print_json(decision)
        return
    outcome = decision.outcome
    # The answers have counted what waits now; the audit topic knows what waited when the sequence stopped.
    events = outcome.events if outcome else decision.waiting
    sequences = f"{plural(decision.matched, 'sequence')} of {decision.group}, {plural(events, 'event')}"
    if outcome is None:
        _print([(decision.group, entry) for entry in entries[:EXAMPLES]])
        if decision.matched > EXAMPLES:
            click.echo(f"and {decision.matched - EXAMPLES} more")
        click.echo(f"{sequences}. Nothing was done; --yes does it." if entries else "Nothing is dead-lettered there.")
        return
    done = "worked off" if decision.action == "redrive" else "discarded"
    said = [f"{outcome.done} {done}"]
    said += [f"{outcome.failed_again} failed again"] if outcome.failed_again else []
    said += [f"{outcome.gone} not there any more"] if outcome.gone else []
    said += [f"{outcome.under_way} under way"] if outcome.under_way else []
    click.echo(f"{decision.action}: {sequences}: {', '.join(said)}")


async def _unanswered(broker: Backend, group: str, outcome: Outcome, seconds: float) -> NotAnswered:
    members = (await broker.admin.groups([group]))[group].members
    return NotAnswered(
        f"{outcome.unanswered} of {plural(outcome.sent, 'command')} to {group!r} not answered",
        where=inbox_of(group),
        why=f"nothing was heard for {seconds:g} s from the group's {plural(len(members), 'process')}"
        if members
        else "no process runs the group",
        remedy="start the group: the commands wait in its inbox, and are applied then; there is no need to repeat them",
    )


async def _found(group: str | None, broker: str | None, wanted: Wanted, *, dev: bool) -> list[tuple[str, Entry]]:
    now = SystemClock().now_ms()
    async with opened(broker, dev=dev) as backend:
        return [
            (name, entry)
            for name in await groups_of(backend, group)
            for entry in await parked(backend, name)
            if wanted.holds(entry, now)
        ]


def _print(found: Sequence[tuple[str, Entry]]) -> None:
    columns = ("group", "handler", "task", "key", "status", "events", "since", "tries", "error")
    rows = [
        (
            name,
            entry.handler,
            entry.task,
            name_of(entry),
            entry.status,
            entry.waiting,
            moment(entry.at_ms),
            entry.failure.failures,
            f"{entry.failure.error_type}: {entry.failure.error.partition(chr(10))[0][:100]}",
        )
        for name, entry in found
    ]
    if rows:
        print_table(columns, rows)


def _listed(group: str, entry: Entry) -> dict[str, object]:
    letter, failure = entry.letter, entry.failure
    return {
        "group": group,
        "handler": entry.handler,
        "task": entry.task,
        "key": name_of(entry),
        "status": entry.status,
        "waiting": entry.waiting,
        "since": moment(entry.at_ms),
        "next_try": moment(entry.next_ms),
        "failures": failure.failures,
        "error_type": failure.error_type,
        "error": failure.error,
        "origin": f"{letter.topic}/{letter.partition}@{letter.offset}",
    }


def _shown(group: str, entry: Entry) -> dict[str, object]:
    letter, failure = entry.letter, entry.failure
    return {
        **_listed(group, entry),
        "first_failure": moment(failure.first_ms),
        "last_failure": moment(failure.last_ms),
        "reason": entry.reason,
        "timestamp": moment(letter.timestamp_ms),
        "headers": {name: value.decode(errors="replace") for name, value in letter.headers.items()},
        "payload": payload_of(letter.value),
        "trace": failure.trace,
    }
