"""The command ``run``: what it takes, and what a single process does."""

import asyncio
import os
import random
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path

import click
import msgspec
from msgspec import Struct

from mainstem.clock import SystemClock
from mainstem.errors import DefinitionError, MainstemError, StartRefused
from mainstem.identifiers import Identifiers
from mainstem.ops.arguments import WAITED_SECONDS, WrittenFile, address, broker_options, broker_url, load_services
from mainstem.ops.screen import tell
from mainstem.ops.workers.parent import CONFIGURATION_FAULT, Parent
from mainstem.ops.workers.pidfile import PidFile
from mainstem.ops.workers.sources import Sources
from mainstem.ops.workers.supervisor import Crew, Supervisor
from mainstem.ops.workers.watchdog import Limits
from mainstem.service import Running, end_within, longest_grace, serve
from mainstem.settings import Settings, environment_naming, why_unfit
from mainstem.telemetry import configure_logging
from mainstem.web import Address


class RunRequest(Struct, frozen=True):
    """What is to be run, as it was typed. ``parent`` is a worker's end of the line to its parent."""

    services: tuple[str, ...]
    workers: int
    broker: str | None
    dev: bool
    reload: bool
    pid_file: Path | None
    static_id: str | None
    pin: str | None
    http: Address | None
    parent: int | None

    def over(self, settings: Settings) -> Settings:
        """The settings, where nothing else was typed."""
        return msgspec.structs.replace(
            settings,
            static_id=self.static_id or settings.static_id,
            pinned_tasks=self.pin or settings.pinned_tasks,
        )


def _fitting(setting: str) -> Callable[[click.Context, click.Parameter, str | None], str | None]:
    """Refuse what the setting of that name would refuse."""

    def check(_context: click.Context, _parameter: click.Parameter, text: str | None) -> str | None:
        try:
            msgspec.convert({setting: text}, Settings)
        except msgspec.ValidationError as error:
            raise click.BadParameter(f"{text!r}: {why_unfit(setting, error)}") from None
        return text

    return check


@click.command
@click.argument("services", nargs=-1, required=True, metavar="MODULE:SERVICE...")
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="How many processes.")
@broker_options
@click.option("--reload", is_flag=True, help="Start again when a source file changes; implies --dev.")
@click.option(
    "--pid-file",
    type=WrittenFile(),
    metavar="FILE",
    help="Keep the process ids there: this one's, then a line for each worker.",
)
@click.option(
    "--static-id",
    callback=_fitting("static_id"),
    metavar="NAME",
    help="This process's name in its groups: when it comes back soon, it keeps its tasks. Workers get NAME-1, NAME-2.",
)
@click.option(
    "--pin",
    callback=_fitting("pinned_tasks"),
    metavar="TASKS",
    help="Run exactly these tasks of each group, such as 0,3, and leave the others.",
)
@click.option(
    "--http",
    callback=address,
    metavar="[HOST]:PORT",
    help="Answer /livez, /readyz and /metrics there. Workers take a port each, from this one on.",
)
@click.option("--parent", type=int, hidden=True)
def run(**options: object) -> None:
    """Run services until SIGTERM or Ctrl-C, then drain.

    With several workers a parent process starts them, passes signals on, and starts a worker again that has died.
    """
    request = msgspec.convert(options, RunRequest)
    settings = request.over(Settings.load())
    configure_logging(settings.log_level)
    dev = request.dev or request.reload
    if request.parent is not None:
        sys.exit(_work(request, Parent(request.parent), dev=dev, settings=settings))
    url = broker_url(request.broker, settings, dev=dev)
    pids = PidFile(request.pid_file, os.getpid())
    if request.workers == 1 and not request.reload:
        loaded = load_services(request.services)
        with pids.kept():
            asyncio.run(_to_the_end(serve(*loaded, broker=url, dev=dev, settings=settings, http=request.http)))
        return
    if request.workers > 1 and url.endswith(":memory:"):
        raise DefinitionError(
            f"{request.workers} workers cannot share a memory",
            where=url,
            remedy="name a file: --broker sqlite:///shop.db",
        )
    if request.workers > 1 and settings.pinned is not None:
        raise DefinitionError(
            f"{request.workers} workers cannot run the same tasks, and no others",
            where=f"pinned tasks {settings.pinned_tasks}",
            remedy="start a process for each set of tasks, with --pin",
        )
    arguments = ["run", *request.services, *(["--dev"] if dev else [])]
    arguments += ["--pin", settings.pinned_tasks] if settings.pinned_tasks is not None else []
    chance = random.Random(Identifiers(SystemClock()).new())  # noqa: S311 - jitter
    sources = Sources.here() if request.reload else None
    crew = Crew(
        arguments, environment_naming(url), request.workers, settings.static_id, request.http, limits=_limits(settings)
    )
    with pids.kept():
        code = asyncio.run(Supervisor(crew, chance.random, sources, pids).run())
    sys.exit(code)


def _work(request: RunRequest, parent: Parent, *, dev: bool, settings: Settings) -> int:
    """Be a worker; returns the code to end with, which tells the parent whether starting it again is of use."""

    def started(_process: Running) -> None:
        parent.tell_started()

    try:
        loaded = load_services(request.services)
    except MainstemError as error:
        tell(error)
        return CONFIGURATION_FAULT
    parent.watch(longest_grace(loaded, settings.grace_seconds))
    limits = _limits(settings)
    try:
        url = broker_url(request.broker, settings, dev=dev)
        serving = serve(*loaded, broker=url, dev=dev, settings=settings, started=started, http=request.http)
        asyncio.run(_to_the_end(serving, partial(parent.tick, limits.tick_seconds) if limits else None))
    except (DefinitionError, StartRefused) as error:
        tell(error)
        return CONFIGURATION_FAULT
    return 0


def _limits(settings: Settings) -> Limits | None:
    """For how long a worker may stand still; None where nobody looks."""
    return Limits(settings.session_timeout_seconds, settings.hung_seconds) if settings.hung_seconds else None


async def _to_the_end(serving: Coroutine[None, None, None], begun: Callable[[], None] | None = None) -> None:
    """Serve. What is left then is Python's, which waits for threads, also for those that never return."""
    if begun is not None:
        begun()
    try:
        await serving
    finally:
        end_within(WAITED_SECONDS)
