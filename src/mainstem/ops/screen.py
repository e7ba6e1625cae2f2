"""What a person sees, and what a program reads: refusals, tables, progress; or one JSON document."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import click
import msgspec

from mainstem.errors import MainstemError

WIDE = 250
"""How wide a table may become where nobody looks at it: a pipe has no edge."""


def tell(error: MainstemError) -> None:
    """What was refused, where, why and what to do next, on standard error."""
    click.secho("error: ", fg="red", bold=True, err=True, nl=False)
    click.echo(str(error), err=True)


def print_json(value: object) -> None:
    """One JSON document. Structs become objects, bytes base64."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def print_line(value: object) -> None:
    """One JSON document in one line."""
    click.echo(msgspec.json.encode(value))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Rows under headings; numbers to the right, None as a dash."""
    # Only a table needs it, and loading it takes longer than most commands.
    from rich import box  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    listed = [list(row) for row in rows]
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for index, heading in enumerate(columns):
        numbers = all(isinstance(row[index], int) for row in listed)
        table.add_column(heading, justify="right" if listed and numbers else "left", overflow="fold")
    for row in listed:
        table.add_row(*(Text("-" if cell is None else str(cell)) for cell in row))
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else WIDE).print(table)


@contextmanager
def progress(what: str, total: int | None, *, shown: bool = True) -> Iterator[Callable[[int], None]]:
    """A bar that the block moves on by calling what it gets; drawn on standard error, for a terminal only."""
    if not (shown and sys.stdout.isatty() and sys.stderr.isatty()):
        yield lambda _count: None
        return
    from rich.console import Console  # noqa: PLC0415 - as above
    from rich.progress import Progress  # noqa: PLC0415 - as above

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.advance(task, count)


def moment(timestamp_ms: int | None) -> str | None:
    """A wall-clock time, in UTC to the millisecond."""
    if timestamp_ms is None:
        return None
    return datetime.fromtimestamp(timestamp_ms / 1_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def plural(count: int, noun: str) -> str:
    """``1 event``, ``2 events``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def length_of(length_ms: int) -> str:
    """A length of time in its largest whole unit: ``7d``, ``90m``."""
    for unit, size_ms in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)):
        if length_ms and length_ms % size_ms == 0:
            return f"{length_ms // size_ms}{unit}"
    return f"{length_ms}ms"
