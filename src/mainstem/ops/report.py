"""What a person is told: refusals."""

import click

from mainstem.errors import MainstemError


def tell(error: MainstemError) -> None:
    """What was refused, where, why and what to do next, on standard error."""
    click.secho("error: ", fg="red", bold=True, err=True, nl=False)
    click.echo(str(error), err=True)
