"""The commands ``groups list`` and ``groups show``: members, tasks, positions and lag, as they are."""

import asyncio
from collections.abc import Mapping

import click
from msgspec import Struct

from mainstem.broker import GroupDescription, TopicDescription, inbox_of, inputs_of, lag_behind
from mainstem.ops.arguments import broker_options, group_named, json_option, opened
from mainstem.ops.screen import plural, print_json, print_table
from mainstem.service import Backend


class Position(Struct, frozen=True):
    """Where a task stands in an input. ``position`` None: it has never committed, and ``lag`` counts from the start."""

    topic: str
    partition: int
    position: int | None
    end: int
    lag: int


class TaskLine(Struct, frozen=True):
    """A task: its owner (a member, or None), its epoch, and where it stands."""

    task: int
    owner: str | None
    epoch: int
    lag: int
    positions: list[Position]


class GroupLine(Struct, frozen=True):
    """A group as it is shown."""

    group: str
    service: str
    members: tuple[str, ...]
    inputs: Mapping[str, int]
    lag: int
    tasks: list[TaskLine]


@click.command("list")
@broker_options
@json_option
def list_them(*, broker: str | None, dev: bool, as_json: bool) -> None:
    """List groups, with their members, tasks and lag."""
    found = asyncio.run(_shown(broker, None, dev=dev))
    if as_json:
        print_json(found)
        return
    columns = ("group", "service", "members", "tasks", "owned", "lag")
    print_table(
        columns,
        [
            (
                each.group,
                each.service,
                len(each.members),
                len(each.tasks),
                sum(task.owner is not None for task in each.tasks),
                each.lag,
            )
            for each in found
        ],
    )


@click.command
@click.argument("group")
@broker_options
@json_option
def show(*, group: str, broker: str | None, dev: bool, as_json: bool) -> None:
    """Show a group: who owns which task, and where each task stands in each of its inputs."""
    [found] = asyncio.run(_shown(broker, group, dev=dev))
    if as_json:
        print_json(found)
        return
    click.echo(f"{found.group} of service {found.service}: {plural(len(found.members), 'member')}, lag {found.lag}")
    print_table(
        ("task", "owner", "epoch", "input", "position", "end", "lag"),
        [
            (task.task, task.owner, task.epoch, f"{at.topic}/{at.partition}", at.position, at.end, at.lag)
            for task in found.tasks
            for at in task.positions
        ],
    )


async def _shown(given: str | None, group: str | None, *, dev: bool) -> list[GroupLine]:
    async with opened(given, dev=dev) as broker:
        return await lines_of(broker, group)


async def lines_of(broker: Backend, group: str | None) -> list[GroupLine]:
    """A group as it is, or all of them. Raises NotFound when there is none of that name."""
    found = [await group_named(broker, group)] if group else list((await broker.admin.groups()).values())
    described = await broker.admin.topics({name for each in found for name in (*each.inputs, inbox_of(each.name))})
    return [_line(each, described) for each in found]


def _line(group: GroupDescription, described: Mapping[str, TopicDescription]) -> GroupLine:
    tasks = []
    for task, (owner, epoch) in enumerate(zip(group.owners, group.epochs, strict=True)):
        positions = []
        for at in inputs_of(group.name, task, group.tasks, group.inputs):
            topic, position = described.get(at.topic), group.positions.get(at)
            if topic is None:
                continue
            begin = topic.starts[at.partition] if position is None else position
            lag = lag_behind(described, at, begin)
            positions.append(Position(*at, position, topic.ends[at.partition], lag))
        tasks.append(TaskLine(task, owner, epoch, sum(each.lag for each in positions), positions))
    return GroupLine(group.name, group.service, group.members, group.inputs, sum(task.lag for task in tasks), tasks)
