"""The file of the embedded broker: ``backup`` copies it, ``check`` says whether all is well with it."""

import asyncio
from pathlib import Path
from typing import Protocol, runtime_checkable

import click

from mainstem.clock import SystemClock
from mainstem.database import Inspection, inspect
from mainstem.errors import DatabaseFailed, DefinitionError
from mainstem.ops.arguments import broker_options, json_option, named_file, opened
from mainstem.ops.screen import plural, print_json, progress

MEBIBYTE = 1 << 20


@runtime_checkable
class CanBackUp(Protocol):
    """A broker that can copy its file while it is written."""

    async def backup(self, target: Path) -> None:
        """Write one consistent snapshot to a new file."""
        ...


@click.command
@click.argument("target", metavar="FILE", type=click.Path(path_type=Path))
@broker_options
@json_option
def backup(*, target: Path, broker: str | None, dev: bool, as_json: bool) -> None:
    """Copy the embedded broker's file to a new one, while services go on.

    The copy is one consistent snapshot, and is whole on the disk when the command returns.
    """
    asyncio.run(_backup(target, broker, dev=dev, shown=not as_json))
    size_bytes = target.stat().st_size
    if as_json:
        print_json({"path": str(target.absolute()), "size_bytes": size_bytes})
    else:
        click.echo(f"{target} has {size(size_bytes)}")


@click.command
@broker_options
@json_option
def check(*, broker: str | None, dev: bool, as_json: bool) -> None:
    """Look at the embedded broker's file: format, integrity, disk, and who holds its lock.

    It reads the whole file, also while services use it. The code is 1 when something is wrong.
    """
    found = asyncio.run(_check(named_file(broker, dev=dev), shown=not as_json))
    if as_json:
        print_json(found)
    else:
        click.echo(f"{found.path}: {size(found.size_bytes)}, and {size(found.wal_bytes)} in the write-ahead log")
        click.echo(f"format {found.format_version}, SQLite {found.sqlite}, {size(found.free_bytes)} free on the disk")
        click.echo(f"lock: held by {found.holder}" if found.holder else "lock: free")
        click.echo("integrity: " + (plural(len(found.faults), "fault") if found.faults else "whole"))
    if found.holder is not None:
        click.secho("Nobody else can write. When that process stands still, end it: it will lose nothing.", err=True)
        raise SystemExit(1)
    if found.faults:
        raise DatabaseFailed(
            "the file is damaged",
            where=found.path,
            why="; ".join(found.faults[:5]),
            remedy="stop its services, keep the file as it is, look at the disk, and go on from the last backup",
        )


async def _backup(target: Path, given: str | None, *, dev: bool, shown: bool) -> None:
    async with opened(given, dev=dev) as broker:
        if not isinstance(broker, CanBackUp):
            raise DefinitionError(
                "only the embedded broker has a file to be copied",
                where=broker.name,
                remedy="name one: --broker sqlite:///shop.db",
            )
        with progress("backup", None, shown=shown):
            await broker.backup(target)


async def _check(path: Path, *, shown: bool) -> Inspection:
    with progress("check", None, shown=shown):
        return await asyncio.to_thread(inspect, path, SystemClock())


def size(size_bytes: int) -> str:
    """Bytes as a person reads them."""
    return f"{size_bytes / MEBIBYTE:,.1f} MiB" if size_bytes >= MEBIBYTE // 10 else f"{size_bytes:,} bytes"
