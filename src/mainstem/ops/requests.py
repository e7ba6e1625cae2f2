"""What commands that change something in a group have in common: who decides it and why, and how long they wait."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, TypeVar

import click
from msgspec import Struct

from mainstem.delivery import Decided
from mainstem.ops.arguments import broker_options, json_option
from mainstem.settings import operator

F = TypeVar("F", bound=Callable[..., object])

PATIENCE_SECONDS: Final = 10.0


def added(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Add options to a command, the first one last, so that help lists them in this order."""

    def add(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def patience(command: F) -> F:
    """Add how long the command waits, and the broker."""
    return added(
        click.option(
            "--timeout",
            "patience_seconds",
            type=click.FloatRange(min=0),
            default=PATIENCE_SECONDS,
            show_default=True,
            help="Wait so many seconds for the next sign of life.",
        ),
        broker_options,
        json_option,
    )(command)


def moment_ms(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | None:
    """Read an ISO 8601 time, in UTC unless it says so, as wall-clock milliseconds."""
    if value is None:
        return None
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no time: write 2026-01-31T08:00:00Z") from None
    return round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1_000)


class Request(Struct, frozen=True, kw_only=True):
    """What every command that changes something in a group says."""

    group: str
    reason: str = ""
    by: str = ""
    patience_seconds: float
    broker: str | None
    dev: bool
    as_json: bool

    @property
    def decided(self) -> Decided:
        """Why, and who."""
        return Decided(self.reason, self.by or operator())
