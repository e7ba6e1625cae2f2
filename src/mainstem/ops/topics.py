"""Topics as they are, and as services declare them: ``topics`` lists, plans and applies."""

import asyncio
from collections.abc import Sequence
from typing import Literal

import click
import msgspec
from msgspec import Struct

from mainstem.broker import Admin, TopicDescription, TopicSpec
from mainstem.errors import TopicExists
from mainstem.ops.arguments import broker_options, json_option, load_services, missing_file, opened
from mainstem.ops.screen import length_of, plural, print_json, print_table
from mainstem.service import Definition, Existing, topics_of


class TopicLine(Struct, frozen=True):
    """A topic as it is listed. ``records`` counts offsets: what compaction has removed is counted still."""

    name: str
    topic_id: str
    partitions: int
    records: int
    retention_ms: int | None
    compact: bool
    record_bytes_max: int
    retention_bytes: int | None


class TopicChange(Struct, frozen=True):
    """What is to be done about a topic, if anything; what differs is given as it is, and as it should be."""

    action: Literal["create", "alter", "keep", "refuse"]
    topic: str
    wanted: TopicSpec
    differs: dict[str, tuple[object, object]]


@click.group
def topics() -> None:
    """List topics, and create or alter what services declare."""


@topics.command("list")
@broker_options
@json_option
def list_them(*, broker: str | None, dev: bool, as_json: bool) -> None:
    """List the topics of the broker."""
    found = asyncio.run(_listed(broker, dev=dev))
    if as_json:
        print_json(found)
        return
    columns = ("topic", "partitions", "records", "retention", "compact", "largest record")
    print_table(
        columns,
        [
            (
                each.name,
                each.partitions,
                each.records,
                _kept(each),
                "yes" if each.compact else "no",
                each.record_bytes_max,
            )
            for each in found
        ],
    )


@topics.command
@click.argument("services", nargs=-1, required=True, metavar="MODULE:SERVICE...")
@broker_options
@json_option
def plan(*, services: tuple[str, ...], broker: str | None, dev: bool, as_json: bool) -> None:
    """Compare what services declare with what is there; change nothing."""
    asyncio.run(_plan(load_services(services), broker, apply=False, dev=dev, as_json=as_json))


@topics.command
@click.argument("services", nargs=-1, required=True, metavar="MODULE:SERVICE...")
@broker_options
@json_option
def apply(*, services: tuple[str, ...], broker: str | None, dev: bool, as_json: bool) -> None:
    """Create and alter topics as services declare them; nothing is ever deleted.

    When something is refused, nothing is done.
    """
    asyncio.run(_plan(load_services(services), broker, apply=True, dev=dev, as_json=as_json))


def _kept(topic: TopicLine) -> str:
    kept = [] if topic.retention_ms is None else [length_of(topic.retention_ms)]
    kept += [] if topic.retention_bytes is None else [f"{topic.retention_bytes:,} bytes"]
    return " or ".join(kept) or "for ever"


async def _listed(given: str | None, *, dev: bool) -> list[TopicLine]:
    async with opened(given, dev=dev) as broker:
        described = await broker.admin.topics()
    return [
        TopicLine(
            name,
            each.topic_id,
            each.spec.partitions,
            sum(each.ends) - sum(each.starts),
            each.spec.retention_ms,
            each.spec.compact,
            each.spec.record_bytes_max,
            each.spec.retention_bytes,
        )
        for name, each in sorted(described.items())
    ]


async def _plan(services: Sequence[Definition], given: str | None, *, apply: bool, dev: bool, as_json: bool) -> None:
    missing = missing_file(given, dev=dev)
    if missing is not None:
        # What cannot be declared is refused before there is a file, and a plan makes none.
        steps = changes_for(services, Existing())
    if apply or missing is None:
        async with opened(given, dev=dev, create=apply) as broker:
            steps = changes_for(services, Existing(await broker.admin.topics(), await broker.admin.groups()))
            if apply and not _refused(steps):
                for step in steps:
                    await _take(step, broker.admin)
    refused = _refused(steps)
    if as_json:
        print_json(steps)
    else:
        _print_steps(steps, applied=apply and not refused)
        if missing is not None and not apply:
            click.echo(f"{missing} is not there yet; mainstem topics apply creates it")
    if refused:
        raise TopicExists(
            f"{plural(len(refused), 'topic')} cannot become what is declared: "
            + ", ".join(repr(step.topic) for step in refused),
            why="the number of partitions never changes: it decides where each key lives",
            remedy="declare the number that is there, or move to a topic of another name",
        )


def _refused(steps: Sequence[TopicChange]) -> list[TopicChange]:
    return [step for step in steps if step.action == "refuse"]


def changes_for(services: Sequence[Definition], existing: Existing) -> list[TopicChange]:
    """What is to be done about every topic that services declare or need, by name; mostly nothing."""
    stated = {spec.name: spec for service in services for spec in service.topics.values()}
    # With the partitions as declared, so that one topic that is refused does not hide what the others need.
    assumed = {
        name: _with_partitions(each, stated[name].partitions) if name in stated else each
        for name, each in existing.topics.items()
    }
    wanted = topics_of(services, Existing(assumed, existing.groups))
    return [_step(spec, existing.topics.get(spec.name)) for spec in sorted(wanted, key=lambda spec: spec.name)]


def _with_partitions(described: TopicDescription, partitions: int) -> TopicDescription:
    spec = msgspec.structs.replace(described.spec, partitions=partitions)
    return msgspec.structs.replace(described, spec=spec)


def _step(wanted: TopicSpec, described: TopicDescription | None) -> TopicChange:
    if described is None:
        return TopicChange("create", wanted.name, wanted, {})
    are, should = msgspec.structs.asdict(described.spec), msgspec.structs.asdict(wanted)
    differs = {name: (are[name], should[name]) for name in are if are[name] != should[name]}
    action: Literal["alter", "keep", "refuse"] = "keep"
    if differs:
        action = "refuse" if "partitions" in differs else "alter"
    return TopicChange(action, wanted.name, wanted, differs)


async def _take(step: TopicChange, admin: Admin) -> None:
    if step.action == "create":
        await admin.create(step.wanted)
    elif step.action == "alter":
        await admin.alter(step.wanted)


def _print_steps(steps: Sequence[TopicChange], *, applied: bool) -> None:
    done = {"create": "created", "alter": "altered", "keep": "as declared"}
    for step in steps:
        said = done.get(step.action, step.action) if applied else step.action
        how = ", ".join(f"{name} {was} -> {becomes}" for name, (was, becomes) in step.differs.items())
        if step.action == "create":
            how = f"{plural(step.wanted.partitions, 'partition')}{', compacted' if step.wanted.compact else ''}"
        colour = {"create": "green", "alter": "yellow", "refuse": "red"}.get(step.action)
        click.secho(f"{said:<12}", fg=colour, nl=False)
        click.echo(f"{step.topic}{'  ' if how else ''}{how}")
    changes = sum(step.action in ("create", "alter") for step in steps)
    click.echo(f"{plural(changes, 'change')}{' made' if applied else ''}")
