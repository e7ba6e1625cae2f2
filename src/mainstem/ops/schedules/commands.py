"""The group of commands ``mainstem schedules``."""

import click

from mainstem.ops.arguments import Listing
from mainstem.ops.schedules.deciding import cancel, pause, resume, run_now
from mainstem.ops.schedules.looking import list_them, show


@click.group("schedules", cls=Listing)
def schedules() -> None:
    """Show what is due when; take it back; run, pause and resume what runs by the calendar."""


for _command in (list_them, show, cancel, run_now, pause, resume):
    schedules.add_command(_command)
