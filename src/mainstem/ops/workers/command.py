"""The command ``run``: what it takes, and what a single process does."""

import asyncio
import os
import random
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec
from msgspec import Struct

from mainstem.clock import SystemClock
from mainstem.errors import DefinitionError, MainstemError, StartRefused
from mainstem.identifiers import Identifiers
from mainstem.ops.arguments import broker_options, broker_url, load_services
from mainstem.ops.screen import tell
from mainstem.ops.workers.parent import CONFIGURATION_FAULT, Parent
from mainstem.ops.workers.pidfile import PidFile
from mainstem.ops.workers.sources import Sources
from mainstem.ops.workers.supervisor import Supervisor
from mainstem.service import Running, Service, serve
from mainstem.settings import Settings
from mainstem.telemetry import configure_logging


class Request(Struct, frozen=True):
    """What is to be run, as it was typed. ``parent`` is a worker's end of the line to its parent."""

    services: tuple[str, ...]
    workers: int
    broker: str | None
    dev: bool
    reload: bool
    pid_file: Path | None
    parent: int | None


@click.command
@click.argument("services", nargs=-1, required=True, metavar="MODULE:SERVICE...")
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="How many processes.")
@broker_options
@click.option("--reload", is_flag=True, help="Start again when a source file changes; implies --dev.")
@click.option(
    "--pid-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Keep the process ids there: this one's, then a line for each worker.",
)
@click.option("--parent", type=int, hidden=True)
def run(**options: object) -> None:
    """Run services until SIGTERM or Ctrl-C, then drain.

    With several workers a parent process starts them, passes signals on, and starts a worker again that has died.
    """
    request = msgspec.convert(options, Request)
    settings = Settings.load()
    configure_logging(settings.log_level)
    dev = request.dev or request.reload
    if request.parent is not None:
        sys.exit(_work(request.services, request.broker, Parent(request.parent), dev=dev, settings=settings))
    url = broker_url(request.broker, settings, dev=dev)
    pids = PidFile(request.pid_file, os.getpid())
    if request.workers == 1 and not request.reload:
        loaded = load_services(request.services)
        with pids.kept():
            asyncio.run(serve(*loaded, broker=url, dev=dev, settings=settings))
        return
    if request.workers > 1 and url.endswith(":memory:"):
        raise DefinitionError(
            f"{request.workers} workers cannot share a memory",
            where=url,
            remedy="name a file: --broker sqlite:///shop.db",
        )
    arguments = ["run", *request.services, "--broker", url, *(["--dev"] if dev else [])]
    chance = random.Random(Identifiers(SystemClock()).new())  # noqa: S311 - jitter
    sources = Sources.here() if request.reload else None
    with pids.kept():
        code = asyncio.run(Supervisor(arguments, request.workers, chance.random, sources, pids).run())
    sys.exit(code)


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
