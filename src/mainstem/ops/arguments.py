"""What many commands take: services by name, and the broker."""

import importlib
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Final, TypeVar

import click

from mainstem.broker import Broker, GroupDescription
from mainstem.calendar import milliseconds
from mainstem.clock import SystemClock
from mainstem.errors import DefinitionError, MainstemError, NotFound
from mainstem.identifiers import Identifiers
from mainstem.service import DEV_URL, Backend, Service, connected, file_of, in_full, named_broker
from mainstem.settings import Settings
from mainstem.web import Address

F = TypeVar("F", bound=Callable[..., object])

UNLIKE: Final = 3
"""The code that says: something is not as it is declared, would break, or is not read by the other."""
WAITED_SECONDS: Final = 5.0
"""Threads that are left when a command that serves has drained are waited for, and no longer."""


def broker_options(command: F) -> F:
    """Add ``--broker`` and ``--dev``."""
    dev = click.option("--dev", is_flag=True, help=f"Without a broker use {DEV_URL}, and create what is missing.")
    broker = click.option("--broker", metavar="URL", help="Instead of MAINSTEM_BROKER: sqlite:///shop.db")
    return broker(dev(command))


def broker_url(given: str | None, settings: Settings, *, dev: bool) -> str:
    """The broker that was named, in full: by an option, by the settings, or with ``--dev`` a file in this folder."""
    return in_full(named_broker(given, settings, dev=dev))


def json_option(command: F) -> F:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, and nothing else.")(command)


def address(_context: click.Context, _parameter: click.Parameter, text: str | None) -> Address | None:
    """The value of an option that says where to answer."""
    try:
        return None if text is None else Address.parse(text)
    except DefinitionError as error:
        raise click.BadParameter(f"{error.what}: {error.remedy}") from None


def length(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | None:
    """Read an option such as ``90s`` or ``2h30m``, as milliseconds."""
    try:
        return None if value is None else milliseconds(value)
    except DefinitionError as error:
        raise click.BadParameter(f"{error.what}: {error.remedy}") from None


class WrittenFile(click.Path):
    """A file that a command will write: refused before anything is done where its folder is not there."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, path_type=Path)

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Read the option. Raises ``click.BadParameter``."""
        path = Path(str(value))
        if not path.parent.is_dir():
            self.fail(f"there is no folder {str(path.parent)!r} for it", param, ctx)
        super().convert(path, param, ctx)
        return path


class Listing(click.Group):
    """Commands of which the list says what each does to the end of its sentence, where click would cut it off."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List them."""
        found = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        with formatter.section("Commands"):
            formatter.write_dl([(name, _first_sentence(each.help)) for name, each in found if each is not None])


def _first_sentence(text: str | None) -> str:
    return " ".join((text or "").partition("\n\n")[0].split())


@asynccontextmanager
async def opened(given: str | None, *, dev: bool, create: bool = False) -> AsyncIterator[Backend]:
    """The broker that was named, open. Raises :class:`~mainstem.errors.NotFound` for a file that is not there."""
    url = broker_url(given, Settings.load(), dev=dev)
    if not create:
        _require(file_of(url))
    clock = SystemClock()
    async with connected(url, clock, Identifiers(clock)) as backend:
        yield backend


def named_file(given: str | None, *, dev: bool) -> Path:
    """The file of the broker that was named. Raises as :func:`opened` does, and where there is no file at all."""
    url = broker_url(given, Settings.load(), dev=dev)
    path = file_of(url)
    if path is None:
        raise DefinitionError(
            "only the embedded broker has a file",
            where=url.partition("?")[0],  # behind it there may be a password
            remedy="name one: sqlite:///shop.db",
        )
    _require(path)
    return path


def missing_file(given: str | None, *, dev: bool) -> Path | None:
    """The file of the broker that was named, where it is not there yet and could be made; otherwise None."""
    path = file_of(broker_url(given, Settings.load(), dev=dev))
    return path if path is not None and path.parent.is_dir() and not path.exists() else None


def _require(path: Path | None) -> None:
    if path is not None and not path.exists():
        raise NotFound(
            "the broker's file is not there",
            where=str(path),
            why="no service has been started on it, or it has another name"
            if path.parent.is_dir()
            else "its folder is not there either",
            remedy="name another one with --broker; mainstem run --dev, or mainstem topics apply, creates it",
        )


async def group_named(broker: Broker, group: str) -> GroupDescription:
    """A group. Raises :class:`~mainstem.errors.NotFound` with what may have been meant."""
    known = await broker.admin.groups()
    if group in known:
        return known[group]
    raise NotFound(
        f"there is no group {group!r}",
        where=broker.name,
        why=f"the groups are {', '.join(known)}" if known else "no group has been started on this broker",
        remedy=did_you_mean(group, known) or "mainstem groups list shows them",
    )


def load_services(names: Sequence[str]) -> list[Service]:
    """Import services, each named as ``module:service`` or ``./file.py:service``.

    Modules are looked for in the current folder first, and files below it. Raises
    :class:`~mainstem.errors.DefinitionError` with what may have been meant; also for a module that raises something
    itself, whose traceback is printed.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    return [_load(name) for name in names]


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """The question, or nothing when no name is near."""
    near = get_close_matches(name, list(names), n=1)
    return f"did you mean {near[0]}?" if near else ""


def _load(name: str) -> Service:
    if "," in name:
        raise DefinitionError(
            f"{name} names several services in one word",
            why="they are told apart by spaces",
            remedy=f"write {' '.join(name.replace(',', ' ').split())}",
        )
    named, _, attribute = name.partition(":")
    module_name = _module_name(named)
    module = _module(module_name)
    found = getattr(module, attribute, None)
    if isinstance(found, Service):
        return found
    services = [f"{module_name}:{each}" for each, value in vars(module).items() if isinstance(value, Service)]
    remedy = did_you_mean(name, services) or (f"did you mean {services[0]}?" if services else "name another module")
    raise DefinitionError(
        f"{name} is not a service" if attribute else f"{name} names a module, and no service in it",
        where=module.__file__ or module_name,
        why=f"its services are {', '.join(services)}" if services else "the module has no services",
        remedy=remedy,
    )


def _module_name(named: str) -> str:
    """The module that is named, by its name or by the path of its file."""
    if "/" in named or named.endswith(".py"):
        try:
            path = Path(named).absolute().resolve().relative_to(Path.cwd().resolve())
        except ValueError:
            raise DefinitionError(
                f"{named} is not below the current folder",
                where=str(Path.cwd()),
                why="a file is imported as a module, and modules are looked for from here",
                remedy="change into its folder, or name it as in an import: package.module:service",
            ) from None
        return ".".join(path.with_suffix("").parts)
    if not named or named.startswith("."):
        raise DefinitionError(
            f"{named!r} is not the name of a module", remedy="name it as in an import: package.module:service"
        )
    return named


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _unimportable(name, error) from error
        raise DefinitionError(
            f"there is no module {error.name!r}",
            where=str(Path.cwd()),
            why="modules are looked for in the current folder, then where Python looks",
            remedy=did_you_mean(name, [path.stem for path in Path.cwd().glob("*.py")])
            or "name it as in an import: package.module:service",
        ) from None
    except MainstemError as error:
        _add_line(error)
        raise
    except Exception as error:
        raise _unimportable(name, error) from error


def _add_line(error: MainstemError) -> None:
    """Say at which line of a module something was refused; the rest it says itself."""
    lines = [each for each in traceback.extract_tb(error.__traceback__) if each.name == "<module>"]
    if lines:
        place = f"{lines[-1].filename}:{lines[-1].lineno}"
        error.where = f"{error.where}, {place}" if error.where else place


def _unimportable(name: str, error: Exception) -> DefinitionError:
    """Print the traceback from the module's own first line on: what is above that is how it was imported."""
    trace = error.__traceback__
    while trace is not None and _is_import(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    traceback.print_exception(type(error), error, trace)
    return DefinitionError(
        f"module {name!r} cannot be imported: {type(error).__name__}: {error}",
        why="importing it has raised what stands above",
        remedy="mend it; nothing was started",
    )


def _is_import(filename: str) -> bool:
    return filename in (__file__, importlib.__file__) or filename.startswith("<frozen importlib")
