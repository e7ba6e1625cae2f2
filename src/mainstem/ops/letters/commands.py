"""The group of commands ``mainstem dead-letters``."""

import click

from mainstem.ops.arguments import Listing
from mainstem.ops.letters.archives import archive, export, restore
from mainstem.ops.letters.deciding import discard, redrive
from mainstem.ops.letters.editing import edit
from mainstem.ops.letters.looking import list_them, show


@click.group("dead-letters", cls=Listing)
def dead_letters() -> None:
    """List, show, edit, redrive, discard and archive what handlers have given up."""


for _command in (list_them, show, edit, redrive, discard, export, archive, restore):
    dead_letters.add_command(_command)
