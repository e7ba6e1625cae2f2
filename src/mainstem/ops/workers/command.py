"""The command ``run``: what it takes, and what a single process does."""

import asyncio
import random
import sys
import traceback
from collections.abc import Sequence

import click

from mainstem.clock import SystemClock
from mainstem.errors import DefinitionError, MainstemError, StartRefused
from mainstem.identifiers import Identifiers
from mainstem.ops.arguments import broker_options, broker_url, load_services
from mainstem.ops.screen import tell
from mainstem.ops.workers.parent import CONFIGURATION_FAULT, Parent
from mainstem.ops.workers.sources import Sources
from mainstem.ops.workers.supervisor import Supervisor
from mainstem.service import Running, Service, serve
from mainstem.settings import Settings
from mainstem.telemetry import configure_logging


@click.command
@click.argument("services", nargs=-1, required=True, metavar="MODULE:SERVICE...")
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="How many processes.")
@broker_options
@click.option("--reload", is_flag=True, help="Start again when a source file changes; implies --dev.")
@click.option("--parent", type=int, hidden=True)
def run(
    *, services: tuple[str, ...], workers: int, broker: str | None, dev: bool, reload: bool, parent: int | None
) -> None:
    """Run services until SIGTERM or Ctrl-C, then drain.

    With several workers a parent process starts them, passes signals on, and starts a worker again that has died.
    """
    settings = Settings.load()
    configure_logging(settings.log_level)
    dev = dev or reload
    if parent is not None:
        sys.exit(_work(services, broker, Parent(parent), dev=dev, settings=settings))
    url = broker_url(broker, settings, dev=dev)
    if workers == 1 and not reload:
        asyncio.run(serve(*load_services(services), broker=url, dev=dev, settings=settings))
        return
    if workers > 1 and url.endswith(":memory:"):
        raise DefinitionError(
            f"{workers} workers cannot share a memory", where=url, remedy="name a file: --broker sqlite:///shop.db"
        )
    arguments = ["run", *services, "--broker", url, *(["--dev"] if dev else [])]
    chance = random.Random(Identifiers(SystemClock()).new())  # noqa: S311 - jitter
    supervisor = Supervisor(arguments, workers, chance.random, Sources.here() if reload else None)
    sys.exit(asyncio.run(supervisor.run()))


def _work(services: Sequence[str], broker: str | None, parent: Parent, *, dev: bool, settings: Settings) -> int:
    """Be a worker; returns the code to end with, which tells the parent whether starting it again is of use."""

    def started(_process: Running) -> None:
        parent.tell_started()

    try:
        loaded = load_services(services)
    except MainstemError as error:
        tell(error)
        return CONFIGURATION_FAULT
    except Exception:  # noqa: BLE001 - whatever the user's module raises, it raises again
        traceback.print_exc()
        return CONFIGURATION_FAULT
    parent.watch(_longest_grace(loaded, settings))
    try:
        asyncio.run(serve(*loaded, broker=broker, dev=dev, settings=settings, started=started))
    except (DefinitionError, StartRefused) as error:
        tell(error)
        return CONFIGURATION_FAULT
    return 0


def _longest_grace(services: Sequence[Service], settings: Settings) -> float:
    return max((each.grace_seconds or settings.grace_seconds for each in services), default=settings.grace_seconds)
