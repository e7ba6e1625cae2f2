"""What the commands about dead letters take: which sequences are meant."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TypeVar

import click
import msgspec

from mainstem.calendar import milliseconds
from mainstem.errors import DefinitionError
from mainstem.ops.arguments import length
from mainstem.ops.letters.sequences import Wanted
from mainstem.ops.requests import Request, added, patience

F = TypeVar("F", bound=Callable[..., object])


def filters(command: F) -> F:
    """Add the options that say which sequences are meant."""
    return added(
        click.option("--handler", "handlers", multiple=True, help="Of this handler. May be given several times."),
        click.option("--topic", "topics", multiple=True, help="Whose event came from this topic."),
        click.option("--key", "keys", multiple=True, help="Of this key; without one, of topic/partition/offset."),
        click.option("--error", "errors", multiple=True, metavar="TYPE", help="Of this exception type: TimeoutError."),
        click.option("--older-than", "older_than_ms", callback=length, help="Stopped more than so long ago."),
        click.option("--newer-than", "newer_than_ms", callback=length, help="Stopped less than so long ago: 30m, 1d."),
        click.option("--parked", is_flag=True, help="Also sequences that wait for their next try."),
    )(command)


def choosing(command: F) -> F:
    """Add what commands have in common that are about many sequences."""
    return added(
        click.argument("group"),
        filters,
        click.option("--all", "everything", is_flag=True, help="All dead letters of the group."),
        patience,
    )(command)


def bulk(command: F) -> F:
    """Add what commands have in common that change many sequences."""
    return added(
        choosing,
        click.option("--yes", is_flag=True, help="Do it. Without it, only what would be done is printed."),
        click.option("--by", default="", help="Who decides it; without it, the user of the operating system."),
    )(command)


def rate(_ctx: click.Context, _param: click.Parameter, value: str | None) -> float | None:
    """Read ``10/s``, ``100/m`` or ``1000/h`` as milliseconds from one to the next."""
    if value is None:
        return None
    count, _, unit = value.partition("/")
    with suppress(ValueError, DefinitionError):
        if float(count) > 0:
            return milliseconds(f"1{unit or 's'}") / float(count)
    raise click.BadParameter(f"{value!r} is no rate: write 10/s, 100/m or 1000/h")


def share(_ctx: click.Context, _param: click.Parameter, value: str | None) -> float | None:
    """Read ``20%`` as 0.2."""
    if value is None:
        return None
    with suppress(ValueError):
        found = float(value.removesuffix("%")) / 100
        if 0 <= found < 1:
            return found
    raise click.BadParameter(f"{value!r} is no share: write a percentage below 100, such as 20%")


class BulkRequest(Request, frozen=True, kw_only=True):
    """A command about many sequences, as it was typed."""

    wanted: Wanted
    everything: bool
    yes: bool


def bulk_request(options: Mapping[str, object]) -> BulkRequest:
    """The request that was typed. Raises UsageError when nothing says which sequences are meant."""
    request = msgspec.convert({**options, "wanted": options}, BulkRequest)
    if not (request.everything or request.wanted.narrows):
        raise click.UsageError(f"Say which: --all, or a filter such as --handler or --key. ({request.group})")
    return request
