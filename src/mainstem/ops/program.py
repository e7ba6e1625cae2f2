"""The program ``mainstem``: its commands, each loaded when it is used, and what it says when one fails."""

import importlib
from collections.abc import Mapping
from typing import Final, NamedTuple

import click

from mainstem.errors import MainstemError
from mainstem.ops.screen import tell


class CommandAt(NamedTuple):
    """Where a command is, and what it does in one line."""

    module: str
    summary: str


COMMANDS: Final[Mapping[str, CommandAt]] = {
    "run": CommandAt("mainstem.ops.workers", "Run services until SIGTERM or Ctrl-C, then drain."),
    "publish": CommandAt(
        "mainstem.ops.events",
        "Publish an event in the name of a service, or with - one for each line of standard input.",
    ),
    "tail": CommandAt("mainstem.ops.events", "Print events of a topic: the last 10, or those from a point on."),
    "topics": CommandAt("mainstem.ops.topics", "List topics, and create or alter what services declare."),
    "services": CommandAt(
        "mainstem.ops.catalogue", "Show who publishes what, who listens, and what each group remembers."
    ),
    "schema": CommandAt(
        "mainstem.ops.schema", "Register what services say about their events, and see whom a change would break."
    ),
    "asyncapi": CommandAt(
        "mainstem.ops.asyncapi", "Describe services as an AsyncAPI document, or as a page that works offline."
    ),
    "groups": CommandAt("mainstem.ops.groups", "List groups, show where they stand, and move their positions."),
    "dead-letters": CommandAt(
        "mainstem.ops.letters", "List, show, edit, redrive, discard and archive what handlers have given up."
    ),
    "replay": CommandAt(
        "mainstem.ops.replaying", "Hand recorded events to handlers again, beside the live group; publish nothing."
    ),
    "schedules": CommandAt(
        "mainstem.ops.schedules",
        "Show what is due when; take it back; run, pause and resume what runs by the calendar.",
    ),
    "breakers": CommandAt("mainstem.ops.breakers", "Show which breakers of handlers are open, and close them by hand."),
    "retire": CommandAt(
        "mainstem.ops.groups", "Forget a handler that does not exist any more, so that its group can start."
    ),
    "doctor": CommandAt(
        "mainstem.ops.doctor", "Look at groups, topics and events for what is wrong, or soon will be; change nothing."
    ),
    "registry": CommandAt("mainstem.ops.registry", "Run the schema registry, and make what its accounts show."),
    "backup": CommandAt("mainstem.ops.file", "Copy the embedded broker's file to a new one, while services go on."),
    "migrate": CommandAt(
        "mainstem.ops.migrate", "Move everything from the embedded broker's file to another broker, and prove it."
    ),
    "check": CommandAt(
        "mainstem.ops.file", "Look at the embedded broker's file: format, integrity, disk, and who holds its lock."
    ),
}
"""A command is called in its module what it is called here."""


class Commands(click.Group):
    """Commands that are loaded when they are used, so that none waits for the libraries of another."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """In the order in which a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """Load a command."""
        if name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(COMMANDS[name].module), name.replace("-", "_"))
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List them without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.summary) for name, place in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        """Run a command. What Mainstem refuses is told in words, and ends with code 1."""
        try:
            return super().invoke(ctx)
        except MainstemError as error:
            tell(error)
            ctx.exit(1)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mainstem", message="mainstem %(version)s")
def mainstem() -> None:
    """Event-driven services on one SQLite file, or on Apache Kafka."""


def main() -> None:
    """Run the program."""
    mainstem()
