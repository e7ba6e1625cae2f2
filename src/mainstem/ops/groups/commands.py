"""The group of commands ``mainstem groups``."""

import click

from mainstem.ops.arguments import Listing
from mainstem.ops.groups.deleting import delete
from mainstem.ops.groups.looking import list_them, show
from mainstem.ops.groups.resetting import reset
from mainstem.ops.groups.rollback import rollback


@click.group(cls=Listing)
def groups() -> None:
    """List groups, show where they stand, and move their positions."""


for _command in (list_them, show, reset, delete, rollback):
    groups.add_command(_command)
