"""What was asked of a replay, and what is said of it in the end."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import click
from msgspec import Struct

from mainstem.ops.screen import moment, plural, print_table
from mainstem.service.replay import Replayed

SHOWN: Final = 10
KEPT: Final = "replay.db"


class Request(Struct, frozen=True, kw_only=True):
    """The command as it was typed."""

    since: str
    until: str | None
    only: tuple[str, ...]
    outside: bool
    publish: bool
    yes: bool
    keep: Path | None
    write: Path | None
    broker: str | None
    dev: bool
    as_json: bool

    def check(self) -> None:
        """Raise UsageError for what nobody should do by mistake."""
        if self.outside and not self.yes:
            raise click.UsageError("--outside calls whatever the handlers call, once more: --yes does it.")


def print_replay(told: Replayed, request: Request) -> None:
    """Print what came of a replay."""
    span = f", {moment(told.from_ms)} to {moment(told.to_ms)}" if told.from_ms is not None else ""
    click.echo(f"{plural(told.events, 'event')} replayed for {told.service}{span}, in {told.seconds:.1f} s")
    columns = ("handler", "handled", "failed", "outside refused")
    print_table(columns, [(each.handler, each.handled, each.failed, each.refused) for each in told.handlers])
    if told.topics:
        published = ("published to", "same", "changed", "new", "missing")
        print_table(published, [(each.topic, each.same, each.changed, each.new, each.missing) for each in told.topics])
    for each in told.differences[:SHOWN]:
        click.echo(f"{each.outcome}: {each.type} of {each.key or '-'} on {each.topic}, {each.event_id}")
    for run in told.failures[:SHOWN]:
        where = f"{run.topic}/{run.partition}@{run.offset}"
        click.secho(f"failed: {run.handler} for {run.key or '-'}, {where}: {run.error}", fg="red")
    for sentence in _sentences(told, request):
        click.echo(sentence)


def _sentences(told: Replayed, request: Request) -> Iterable[str]:
    if told.waiting:
        yield f"{plural(told.waiting, 'event')} not handled: one before them of their key has failed"
    calls = ((f"{name} would have been called", count) for name, count in told.refused.items())
    unheard = ((f"timer {name!r} rang, and its handler was not among them:", n) for name, n in told.unheard.items())
    pending = ((f"timer {name!r} is set for later:", count) for name, count in told.pending.items())
    yield from (f"{what} {plural(count, 'time')}" for what, count in (*calls, *unheard, *pending))
    if told.publications_pending:
        yield f"{plural(told.publications_pending, 'event')} to be published later"
    if told.stopped is not None:
        yield f"it did not come to the end: {told.stopped}"
    if request.keep is not None:
        yield f"kept in {request.keep / KEPT}"
    yield _published(told, request)


def _published(told: Replayed, request: Request) -> str:
    new = sum(each.new for each in told.topics)
    if request.publish and not request.yes:
        return f"{plural(new, 'event')} would be published. Nothing was done; --yes does it."
    return f"{plural(told.published, 'event')} published" if request.publish else "Nothing was published."
