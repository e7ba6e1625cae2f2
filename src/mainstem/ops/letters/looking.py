"""Looking at dead letters: ``list`` and ``show``."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import click
import msgspec

from mainstem.clock import SystemClock
from mainstem.delivery import Entry, Letter
from mainstem.errors import NotAnswered
from mainstem.ops.arguments import broker_options, json_option, opened
from mainstem.ops.letters.contents import Reading
from mainstem.ops.letters.options import filters
from mainstem.ops.letters.sequences import Wanted, groups_of, name_of, parked, payload_of
from mainstem.ops.requests import patience
from mainstem.ops.screen import moment, plural, print_json, print_table, tell


@click.command("list")
@click.argument("group", required=False)
@filters
@click.option("--group", "grouped", is_flag=True, help="Count them by handler and exception.")
@broker_options
@json_option
def list_them(
    *, group: str | None, grouped: bool, broker: str | None, dev: bool, as_json: bool, **which: object
) -> None:
    """List dead letters, of one group or of all."""
    found = asyncio.run(_found(group, broker, msgspec.convert(which, Wanted), dev=dev))
    if grouped:
        kinds = _kinds(found)
        if as_json:
            print_json(kinds)
            return
        if kinds:
            print_table(list(kinds[0]), [list(kind.values()) for kind in kinds])
    elif as_json:
        print_json([_listed(name, entry) for name, entry in found])
        return
    else:
        print_sequences(found)
    click.echo(f"{plural(len(found), 'sequence')}, {plural(sum(entry.waiting for _, entry in found), 'event')}")


def _kinds(found: Sequence[tuple[str, Entry]]) -> list[dict[str, object]]:
    """How many there are of each handler and exception, the most first; the oldest stopped at ``since``."""
    kinds: dict[tuple[str, str, str], list[Entry]] = {}
    for name, entry in found:
        kinds.setdefault((name, entry.handler, entry.failure.error_type), []).append(entry)
    return [
        {
            "group": group,
            "handler": handler,
            "error_type": error_type,
            "sequences": len(entries),
            "events": sum(entry.waiting for entry in entries),
            "since": moment(min(entry.at_ms for entry in entries)),
            "error": Counter(_first_line(entry) for entry in entries).most_common(1)[0][0],
        }
        for (group, handler, error_type), entries in sorted(kinds.items(), key=lambda each: -len(each[1]))
    ]


@click.command("show")
@click.argument("group")
@filters
@patience
def show(*, group: str, broker: str | None, dev: bool, as_json: bool, patience_seconds: float, **which: object) -> None:
    """Show dead letters in full: headers, payload, what went wrong and where."""
    wanted = msgspec.convert(which, Wanted)
    found = asyncio.run(_found(group, broker, wanted, dev=dev, patience_seconds=patience_seconds))
    if as_json:
        print_json([_shown(name, entry) for name, entry in found])
        return
    for name, entry in found:
        shown = _shown(name, entry)
        width = max(map(len, shown))
        for label, value in shown.items():
            click.secho(f"{label:>{width}}  ", nl=False, bold=True)
            click.echo(_text(value).replace("\n", "\n" + " " * (width + 2)))
        click.echo()
    click.echo(plural(len(found), "sequence"))


def _text(value: object) -> str:
    """As a person reads it: headers and payload as JSON has them, and a dash for nothing."""
    if isinstance(value, dict | list):
        return msgspec.json.encode(value).decode()
    return ("-" if value is None else str(value).rstrip()) or "-"


async def _found(
    group: str | None, broker: str | None, wanted: Wanted, *, dev: bool, patience_seconds: float | None = None
) -> list[tuple[str, Entry]]:
    """The sequences that are meant; with patience, also what the audit topic leaves out of large ones."""
    clock = SystemClock()
    now = clock.now_ms()
    async with opened(broker, dev=dev) as backend:
        found = [
            (name, entry)
            for name in await groups_of(backend, group)
            for entry in await parked(backend, name)
            if wanted.holds(entry, now)
        ]
        if patience_seconds is None:
            return found
        return [
            (
                name,
                await _whole(Reading(backend, name, clock, patience_seconds), entry) if entry.left_out_bytes else entry,
            )
            for name, entry in found
        ]


async def _whole(questions: Reading, entry: Entry) -> Entry:
    """The entry with all bytes of its letter, where the task that has it answers."""
    try:
        page = await questions.page(entry, 0)
    except NotAnswered as silence:
        tell(silence)
        return entry
    if page is None or not page.letters:
        return entry
    return msgspec.structs.replace(entry, letter=page.letters[0], left_out_bytes=0)


def print_sequences(found: Sequence[tuple[str, Entry]]) -> None:
    """A table of sequences, each with its group."""
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
            f"{entry.failure.error_type}: {_first_line(entry)}",
        )
        for name, entry in found
    ]
    if rows:
        print_table(columns, rows)


def _first_line(entry: Entry) -> str:
    return entry.failure.error.partition("\n")[0][:100]


def _listed(group: str, entry: Entry) -> dict[str, object]:
    letter, failure = entry.letter, entry.failure
    return {
        "group": group,
        "handler": entry.handler,
        "owes": entry.owes or (entry.handler,),
        "task": entry.task,
        "key": name_of(entry),
        "status": entry.status,
        "waiting": entry.waiting,
        "since": moment(entry.at_ms),
        "next_try": moment(entry.next_ms),
        "failures": failure.failures,
        "error_type": failure.error_type,
        "error": failure.error,
        "origin": letter.origin,
    }


def _shown(group: str, entry: Entry) -> dict[str, object]:
    letter, failure = entry.letter, entry.failure
    return {
        **_listed(group, entry),
        "first_failure": moment(failure.first_ms),
        "last_failure": moment(failure.last_ms),
        "reason": entry.reason,
        "by": entry.by,
        "timestamp": moment(letter.timestamp_ms),
        "headers": {name: value.decode(errors="replace") for name, value in letter.headers.items()},
        "payload": payload_of(letter.value),
        **({"left_out_bytes": entry.left_out_bytes} if entry.left_out_bytes else {}),
        **_edits(letter),
        "trace": failure.trace,
    }


def _edits(letter: Letter) -> dict[str, object]:
    """What a letter was, and who has changed it."""
    if not letter.edits:
        return {}
    edits = [{"at": moment(edit.at_ms), "by": edit.by, "reason": edit.reason} for edit in letter.edits]
    return {"original": payload_of(letter.original), "edits": edits}
