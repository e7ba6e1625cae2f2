"""What a person is told about readers, and about the order of deployment."""

from collections.abc import Iterable, Sequence
from typing import Final

import click

from mainstem.ops.schema.contracts.order import Step
from mainstem.ops.schema.contracts.readers import Reader
from mainstem.ops.screen import moment, plural

_RETIRE: Final = "mainstem schema contracts retire"


def tell_readers(readers: Iterable[Reader]) -> None:
    """One line for each reader that can go on; for one that cannot, a line for each thing that it could not read."""
    for each in readers:
        if each.stale:
            click.echo(
                f"  stale   {_name(each)}  last seen {moment(each.seen_ms)}: {_RETIRE} {each.service}, if it is gone"
            )
        if not each.breaks:
            click.echo(f"  {'unknown' if each.fields is None else 'ok':7} {_name(each)}{_reads(each)}")
            continue
        click.secho(f"  {'mended' if each.mended else 'BREAKS':7} ", fg=None if each.mended else "red", nl=False)
        click.echo(_name(each))
        for broken in each.breaks:
            click.echo(f"          {f'reads {broken.field}: ' if broken.field else ''}{broken.problem}")


def tell_order(steps: Sequence[Step] | None) -> None:
    """Who is deployed after whom."""
    if steps is None:
        click.secho("There is no order in which these services can be deployed: each needs the other first.", fg="red")
    elif steps:
        click.echo(f"Deploy in this order: {', then '.join(each.service for each in steps)}.")


def _name(reader: Reader) -> str:
    definition = f" (definition {reader.definition})" if reader.definition else ""
    environment = "" if reader.environment in (None, "default") else f" in {reader.environment}"
    return f"{reader.reader}{definition}{environment}"


def _reads(reader: Reader) -> str:
    if reader.foreign:
        present = plural(reader.members, "member") if reader.members else "nobody"
        return f"  is a consumer group that is none of Mainstem's, with {present} in it now: nobody knows what it reads"
    if reader.service is None:
        return "  is a group that no service has declared: nobody knows what it reads"
    if reader.fields is None:
        return "  has not said what it reads"
    unread = f"; does not read {', '.join(reader.unread)}" if reader.unread else ""
    return f"  reads {', '.join(reader.fields) or 'no field'}{unread}"
