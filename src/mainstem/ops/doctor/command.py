"""The command ``doctor``: what it looks at, in order, and what it prints."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import click

from mainstem.clock import SystemClock
from mainstem.database import holder_of
from mainstem.delivery import NO_ALERTS, Alerts
from mainstem.ops.arguments import broker_options, broker_url, json_option, load_services, opened
from mainstem.ops.doctor.findings import Finding
from mainstem.ops.doctor.letters import held_up, put_aside, waiting_letters
from mainstem.ops.doctor.positions import (
    drifted_inputs,
    forgotten,
    giving_way,
    idle_tasks,
    lost_positions,
    read_by,
    without_standby,
)
from mainstem.ops.doctor.records import Sample, wanted_types
from mainstem.ops.letters import told_by
from mainstem.ops.screen import plural, print_json
from mainstem.ops.topics import changes_for
from mainstem.service import Backend, CatalogueEntry, Definition, file_of, read_catalogue
from mainstem.settings import Settings

WATCH_SECONDS: Final = 3.0
AT_A_TIME: Final = 8


@click.command
@click.argument("services", nargs=-1, metavar="[MODULE:SERVICE]...")
@click.option(
    "--watch",
    "watch_seconds",
    type=click.FloatRange(min=0.1),
    default=WATCH_SECONDS,
    show_default=True,
    help="A task that has something to read, and does not move for so many seconds, is stuck.",
)
@broker_options
@json_option
def doctor(*, services: tuple[str, ...], watch_seconds: float, broker: str | None, dev: bool, as_json: bool) -> None:
    """Look at groups, topics and events for what is wrong, or soon will be; change nothing.

    With services, their topics are compared with what they declare. The code is 1 when something is serious.
    """
    found = asyncio.run(_examine(load_services(services), broker, watch_seconds, dev=dev))
    if as_json:
        print_json(found)
    else:
        _print(found)
    if any(each.serious for each in found):
        raise SystemExit(1)


async def _examine(
    services: Sequence[Definition], given: str | None, watch_seconds: float, *, dev: bool
) -> list[Finding]:
    path = file_of(broker_url(given, Settings.load(), dev=dev))
    found = [] if path is None or not path.exists() else await _lock(path)
    async with opened(given, dev=dev) as broker:
        catalogue = await read_catalogue(broker)
        # Topics and letters are read while the groups are watched.
        for some in await asyncio.gather(
            _groups(broker, catalogue, watch_seconds),
            _topics(broker, catalogue, services),
            _letters(broker, catalogue),
        ):
            found += some
        # It says more than that a task does not move.
        paused = {each.where for each in found if each.check == "paused"}
        found = [each for each in found if each.check != "stuck-task" or each.where not in paused]
    return sorted(found, key=lambda each: not each.serious)


async def _lock(path: Path) -> list[Finding]:
    holder = await asyncio.to_thread(holder_of, path, SystemClock())
    if holder is None:
        return []
    said = f"{holder} has held the lock for a second and more: nobody else can write"
    return [Finding("lock", True, str(path), said, "when that process stands still, end it: it will lose nothing")]


async def _groups(broker: Backend, catalogue: Sequence[CatalogueEntry], watch_seconds: float) -> list[Finding]:
    before = await broker.admin.groups()
    topics = await broker.admin.topics({name for group in before.values() for name in read_by(group)})
    if before:
        await asyncio.sleep(watch_seconds)
    now = await broker.admin.groups(before)
    found: list[Finding] = []
    for name, group in now.items():
        found += drifted_inputs(group, topics)
        found += lost_positions(group, topics)
        found += idle_tasks(before[name], group, topics, watch_seconds)
        found += without_standby(group)
    for entry in catalogue:
        found += forgotten(entry, now.get(entry.group))
    return list(giving_way(found, before, topics, catalogue))


async def _topics(
    broker: Backend, catalogue: Sequence[CatalogueEntry], services: Sequence[Definition]
) -> list[Finding]:
    wanted = wanted_types(catalogue)
    described = await broker.admin.topics(wanted)

    async def of(name: str) -> list[Finding]:
        sample = Sample(described[name])
        await sample.take(broker)
        return sample.findings(wanted[name])

    found = await _side_by_side(of, sorted(wanted.keys() & described.keys()))
    for change in await changes_for(services, broker) if services else ():
        if change.action != "keep":
            differs = ", ".join(f"{name} is {was}, declared {should}" for name, (was, should) in change.differs.items())
            serious = change.action in ("create", "refuse")
            where = f"{change.kind} {change.name!r}"
            remedy = change.remedy or "mainstem topics apply"
            found.append(Finding("drift", serious, where, differs or "it is not there", remedy))
    return found


async def _letters(broker: Backend, catalogue: Sequence[CatalogueEntry]) -> list[Finding]:
    alerts = {entry.group: Alerts.of(entry.alerts) for entry in catalogue}

    async def of(group: str) -> list[Finding]:
        found = await told_by(broker, group)
        passed = waiting_letters(group, found.parked, alerts.get(group, NO_ALERTS), SystemClock().now_ms())
        return [*put_aside(group, found.parked), *passed, *held_up(group, found.held_up)]

    return await _side_by_side(of, list(await broker.admin.groups()))


async def _side_by_side(look: Callable[[str], Awaitable[list[Finding]]], names: Sequence[str]) -> list[Finding]:
    """What is found of each, in their order; a few are looked at at a time, for each waits for the broker mostly."""
    places = asyncio.Semaphore(AT_A_TIME)

    async def of(name: str) -> list[Finding]:
        async with places:
            return await look(name)

    return [each for some in await asyncio.gather(*map(of, names)) for each in some]


def _print(found: Sequence[Finding]) -> None:
    for each in found:
        click.secho("problem  " if each.serious else "warning  ", fg="red" if each.serious else "yellow", nl=False)
        click.secho(f"{each.check}  ", bold=True, nl=False)
        click.echo(f"{each.where}: {each.what}")
        click.echo(f"         next: {each.remedy}")
    serious = sum(each.serious for each in found)
    click.echo(f"{plural(serious, 'problem')}, {plural(len(found) - serious, 'warning')}")
