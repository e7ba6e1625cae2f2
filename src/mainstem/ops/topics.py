"""Topics as they are, and as services declare them: ``topics`` lists, plans and applies."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar, cast

import click
import msgspec
from msgspec import Struct

from mainstem.broker import GroupSpec, Preparation, TopicDescription, is_refused
from mainstem.delivery import answers_topic, audit_topic
from mainstem.errors import TopicExists
from mainstem.ops.arguments import UNLIKE, Listing, broker_options, json_option, load_services, missing_file, opened
from mainstem.ops.screen import length_of, plural, print_json, print_table
from mainstem.service import Backend, Definition, Existing, existing_on, groups_of, topics_of
from mainstem.settings import Settings

F = TypeVar("F", bound=Callable[..., object])

_COLOURS: Final = {"create": "green", "alter": "yellow", "by-hand": "yellow", "delete": "red", "refuse": "red"}


class TopicLine(Struct, frozen=True):
    """A topic as it is listed.

    ``offsets`` is how many there are from its oldest record to its end. It may hold fewer records: compaction leaves
    gaps, and on Kafka each transaction takes an offset as well.
    """

    name: str
    topic_id: str
    partitions: int
    offsets: int
    retention_ms: int | None
    compact: bool
    record_bytes_max: int
    retention_bytes: int | None


@click.group(cls=Listing)
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
    columns = ("topic", "partitions", "offsets", "retention", "compact", "largest record")
    print_table(
        columns,
        [
            (
                each.name,
                each.partitions,
                each.offsets,
                _kept(each),
                "yes" if each.compact else "no",
                each.record_bytes_max,
            )
            for each in found
        ],
    )


def _deleting(command: F) -> F:
    return click.option(
        "--delete",
        "deleted",
        multiple=True,
        metavar="TOPIC",
        help="Delete this topic with its records; may be given several times. Nothing else is ever deleted.",
    )(command)


@topics.command
@click.argument("services", nargs=-1, required=True, metavar="MODULE:SERVICE...")
@_deleting
@click.option("--check", is_flag=True, help=f"End with code {UNLIKE} when there is something to do.")
@broker_options
@json_option
def plan(
    *, services: tuple[str, ...], deleted: tuple[str, ...], check: bool, broker: str | None, dev: bool, as_json: bool
) -> None:
    """Compare what services declare and need with what is there; change nothing."""
    steps = asyncio.run(_plan(load_services(services), deleted, broker, dev=dev, as_json=as_json))
    if check and any(step.action != "keep" for step in steps):
        raise SystemExit(UNLIKE)


@topics.command
@click.argument("services", nargs=-1, required=True, metavar="MODULE:SERVICE...")
@_deleting
@broker_options
@json_option
def apply(*, services: tuple[str, ...], deleted: tuple[str, ...], broker: str | None, dev: bool, as_json: bool) -> None:
    """Create and alter topics as services declare and need them; delete none but those that are named.

    When something is refused, nothing is done. The code is 3 where something is left to be done by hand.
    """
    steps = asyncio.run(_apply(load_services(services), deleted, broker, dev=dev, as_json=as_json))
    if any(step.by_hand for step in steps):
        raise SystemExit(UNLIKE)


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


async def _plan(
    services: Sequence[Definition], deleted: Sequence[str], given: str | None, *, dev: bool, as_json: bool
) -> list[Preparation]:
    missing = missing_file(given, dev=dev)
    if missing is None:
        async with opened(given, dev=dev) as broker:
            steps = await changes_for(services, broker, delete=deleted)
    else:
        # A plan makes no file. What it would be compared with is empty, and gone when the plan is made.
        async with opened("sqlite:///:memory:", dev=dev) as nothing:
            steps = await changes_for(services, nothing, delete=deleted)
    _show(steps, as_json=as_json)
    if missing is not None and not as_json:
        click.echo(f"{missing} is not there yet; mainstem topics apply creates it")
    return steps


async def _apply(
    services: Sequence[Definition], deleted: Sequence[str], given: str | None, *, dev: bool, as_json: bool
) -> list[Preparation]:
    if missing_file(given, dev=dev) is not None:
        # What cannot be declared is refused before there is a file.
        topics_of(services)
    async with opened(given, dev=dev, create=True) as broker:
        steps = await changes_for(services, broker, delete=deleted)
        refused = is_refused(steps)
        if not refused:
            await changes_for(services, broker, dry=False)
            for step in steps:
                if step.action == "delete":
                    await broker.admin.delete(step.name)
    _show(steps, as_json=as_json, applied=not refused)
    return steps


def _show(steps: Sequence[Preparation], *, as_json: bool, applied: bool = False) -> None:
    """Print all steps. Raises what stands in their way."""
    if as_json:
        print_json(steps)
    else:
        _print_steps(steps, applied=applied)
    refused = [step for step in steps if step.action == "refuse"]
    if refused:
        raise TopicExists(
            f"{plural(len(refused), 'topic')} cannot become what is declared: "
            + ", ".join(repr(step.name) for step in refused),
            why="; ".join(dict.fromkeys(step.why for step in refused)),
            remedy="; ".join(dict.fromkeys(step.remedy for step in refused)),
        )


async def changes_for(
    services: Sequence[Definition], broker: Backend, *, delete: Sequence[str] = (), dry: bool = True
) -> list[Preparation]:
    """What is to be done about everything that services declare or need, by name; unless ``dry``, it is done."""
    there = await existing_on(services, broker)
    stated = {spec.name: spec for service in services for spec in service.topics.values()}
    # With the partitions as declared, so that one topic that is refused does not hide what the others need.
    assumed = {
        name: _with_partitions(each, stated[name].partitions) if name in stated else each
        for name, each in there.topics.items()
    }
    existing = Existing(assumed, there.groups)
    wanted = topics_of(services, existing)
    joined = groups_of(services, existing, Settings.load())
    steps = [*await broker.admin.prepare(wanted, joined, dry=dry)]
    if delete:
        needed = {step.name: "a service that is planned here" for step in steps}
        needed |= await _needed_by_groups(broker)
        present = await broker.admin.topics(delete)
        steps += [_deletion(name, present, needed) for name in dict.fromkeys(delete)]
    return steps


async def _needed_by_groups(broker: Backend) -> dict[str, str]:
    """Which topics may not go, and why: what groups read, and what belongs to them."""
    groups = (await broker.admin.groups()).values()
    specs = [GroupSpec(group.name, group.service, group.tasks, group.inputs) for group in groups]
    # Asked for all groups at once: a cluster may have thousands.
    own = [step.name for step in await broker.admin.prepare([], specs, dry=True)]
    needed = dict.fromkeys(own, "every group")
    for group in groups:
        named = [name for name in own if name.startswith(f"{group.name}.")]
        names = [*group.inputs, *named, audit_topic(group.name), answers_topic(group.name)]
        needed |= dict.fromkeys(names, f"the group {group.name!r}")
    return needed


def _deletion(name: str, topics: Mapping[str, TopicDescription], needed: Mapping[str, str]) -> Preparation:
    if name not in topics:
        return Preparation("keep", "topic", name, {})
    if name not in needed:
        return Preparation("delete", "topic", name, {})
    return Preparation(
        "refuse",
        "topic",
        name,
        {},
        why=f"{needed[name]} needs the topic {name!r}, which is to be deleted",
        remedy="leave it; or delete the group with its memory before: mainstem groups delete",
    )


def _with_partitions(described: TopicDescription, partitions: int) -> TopicDescription:
    spec = msgspec.structs.replace(described.spec, partitions=partitions)
    return msgspec.structs.replace(described, spec=spec)


def _print_steps(steps: Sequence[Preparation], *, applied: bool) -> None:
    done = {"create": "created", "alter": "altered", "delete": "deleted", "keep": "as declared"}
    for step in steps:
        said = done.get(step.action, step.action) if applied else step.action
        how = ", ".join(f"{name} {was} -> {becomes}" for name, (was, becomes) in step.differs.items())
        if step.action == "create":
            compact = ", compacted" if step.wanted["compact"] else ""
            how = f"{plural(cast('int', step.wanted['partitions']), 'partition')}{compact}"
        click.secho(f"{said:<12}", fg=_COLOURS.get(step.action), nl=False)
        name = step.name if step.kind == "topic" else f"group {step.name}"
        click.echo(f"{name}{'  ' if how else ''}{how}")
        if step.by_hand:
            click.echo(f"{'':<12}{', '.join(step.by_hand)} by hand: {step.why}; {step.remedy}")
    changes = sum(step.action in ("create", "alter", "delete") for step in steps)
    by_hand = sum(bool(step.by_hand) for step in steps)
    left = f"; {by_hand} to be made by hand" if by_hand else ""
    click.echo(f"{plural(changes, 'change')}{' made' if applied else ''}{left}")
