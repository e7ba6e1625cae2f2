"""The group of commands ``mainstem dead-letters``."""

import click

from mainstem.ops.letters.deciding import discard, redrive
from mainstem.ops.letters.looking import list_them, show


@click.group("dead-letters")
def dead_letters() -> None:
    """List, show, redrive and discard what handlers have given up."""


for _command in (list_them, show, redrive, discard):
    dead_letters.add_command(_command)
