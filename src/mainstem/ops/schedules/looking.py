"""Looking at what is due when: ``list`` and ``show``."""

import asyncio
from collections.abc import Mapping
from itertools import islice
from typing import Final

import click
import msgspec

from mainstem.delivery import Cron
from mainstem.errors import NotFound
from mainstem.ops.arguments import broker_options, json_option, opened
from mainstem.ops.schedules.agenda import (
    Due,
    Scheduled,
    Wanted,
    filters,
    groups_of,
    headers_of,
    key_of,
    payload_of,
    schedules_of,
    topic_of,
    type_of,
    waiting,
)
from mainstem.ops.screen import moment, plural, print_json, print_table

SHOWN_RUNS: Final = 5
COLUMNS: Final = ("group", "task", "due", "what", "name", "key", "topic", "type")


@click.command("list")
@click.argument("group", required=False)
@filters
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="So much of what waits.")
@broker_options
@json_option
def list_them(*, group: str | None, limit: int, broker: str | None, dev: bool, as_json: bool, **which: object) -> None:
    """List what runs by the calendar, and what waits for its time, of one group or of all."""
    wanted = msgspec.convert(which, Wanted)
    schedules, due = asyncio.run(_found(group, broker, wanted, limit + 1, dev=dev))
    more, due = len(due) > limit, due[:limit]
    if as_json:
        print_json(
            {
                "schedules": [described(each) for each in schedules],
                "waiting": [told(each) for each in due],
                "more": more,
            }
        )
        return
    if schedules:
        shown = [described(each) for each in schedules]
        columns = ("group", "handler", "cron", "zone", "next", "last", "runs", "left_out", "state")
        print_table(columns, [[each[column] for column in columns] for each in shown])
        click.echo()
    print_due(due)
    said = f"the first {limit}; --limit shows more" if more else plural(len(due), "thing")
    click.echo(f"{plural(len(schedules), 'schedule')}; waiting: {said}" if due else plural(len(schedules), "schedule"))


@click.command("show")
@click.argument("group")
@click.argument("name")
@broker_options
@json_option
def show(*, group: str, name: str, broker: str | None, dev: bool, as_json: bool) -> None:
    """Show a schedule by its handler, or what waits under a handle or name, in full."""
    schedules, due = asyncio.run(_found(group, broker, Wanted(names=(name,)), None, dev=dev))
    found: list[dict[str, object]] = [
        {**described(each), "runs_next": _runs(each)} for each in schedules if each.next_run.handler == name
    ]
    found += [
        {**told(each), "headers": _text(headers_of(each.upcoming)), "payload": payload_of(each.upcoming)}
        for each in due
    ]
    if not found:
        raise NotFound(
            f"nothing of {group!r} runs or waits under {name!r}",
            why="it has been published or cancelled meanwhile, or never was there",
            remedy=f"mainstem schedules list {group} shows what there is",
        )
    if as_json:
        print_json(found)
        return
    for each in found:
        width = max(map(len, each))
        for label, value in each.items():
            click.secho(f"{label:>{width}}  ", nl=False, bold=True)
            text = msgspec.json.encode(value).decode() if isinstance(value, dict | list) else value
            click.echo("-" if text is None else text)
        click.echo()


async def _found(
    group: str | None, given: str | None, wanted: Wanted, limit: int | None, *, dev: bool
) -> tuple[list[Scheduled], list[Due]]:
    async with opened(given, dev=dev) as broker:
        groups = await groups_of(broker, group)
        return await schedules_of(broker, groups), await waiting(broker, groups, wanted, limit)


def print_due(found: list[Due]) -> None:
    """A table of what waits."""
    if found:
        print_table(COLUMNS, [[told(each)[column] for column in COLUMNS] for each in found])


def described(each: Scheduled) -> dict[str, object]:
    """A schedule as JSON shows it."""
    run, it = each.next_run, each.next_run.standing
    return {
        "group": each.group,
        "handler": run.handler,
        "cron": it.cron,
        "zone": it.zone,
        "next": moment(run.due_ms),
        "run": moment(run.run_ms),
        "jitter_ms": it.jitter_ms,
        "last": moment(it.last_ms),
        "began": moment(it.began_ms),
        "runs": it.runs,
        "missed": it.missed,
        "left_out": it.left_out,
        "left_out_at": moment(it.left_out_ms),
        "state": "active" if it.paused_ms is None else "paused",
        "paused_at": moment(it.paused_ms),
        "paused_by": it.paused_by,
        "reason": it.reason,
    }


def told(due: Due) -> dict[str, object]:
    """Something that waits, as JSON shows it."""
    each = due.upcoming
    return {
        "group": due.group,
        "task": due.task,
        "due": moment(each.due_ms),
        "what": "timer" if each.fact is None else "event",
        "name": each.owner.handle,
        "key": key_of(each),
        "topic": topic_of(each),
        "type": type_of(each),
        "scheduled_by": "outside" if each.owner.outside else "handler",
    }


def _runs(each: Scheduled) -> list[str | None]:
    """The next runs by the calendar; none while it is paused."""
    run = each.next_run
    if run.run_ms is None:
        return []
    later = Cron(run.standing.cron, run.standing.zone).runs_after(run.run_ms - 1_000)
    return [moment(each_ms) for each_ms in islice(later, SHOWN_RUNS)]


def _text(headers: Mapping[str, bytes]) -> dict[str, str]:
    return {name: value.decode(errors="replace") for name, value in headers.items()}
