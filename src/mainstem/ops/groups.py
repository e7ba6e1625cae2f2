"""Groups as they are: members, tasks, positions, lag; where they go on reading; and a handler's memory, retired."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

import click
import msgspec
from msgspec import Struct

from mainstem.broker import GroupDescription, TopicDescription, TopicPartition, inbox_of, inputs_of, lag_behind
from mainstem.clock import SystemClock
from mainstem.delivery import Rollback
from mainstem.errors import DefinitionError, MainstemError, NotFound
from mainstem.ops.arguments import broker_options, group_named, json_option, opened
from mainstem.ops.events import point_of, resolve
from mainstem.ops.screen import plural, print_json, print_table
from mainstem.service import Backend, forget_group, read_catalogue


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


class Move(Struct, frozen=True):
    """A position that is moved, from None where there was none yet."""

    topic: str
    partition: int
    before: int | None
    after: int


class ResetRequest(Struct, frozen=True):
    """A reset, as it was typed."""

    group: str
    points: tuple[str, ...]
    topics: tuple[str, ...]
    yes: bool
    broker: str | None
    dev: bool
    as_json: bool


class Reset(Struct, frozen=True):
    """What a reset does, or would do."""

    group: str
    done: bool
    moves: list[Move]


@click.group
def groups() -> None:
    """List groups, show where they stand, and move their positions."""


@groups.command("list")
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


@groups.command
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


@groups.command
@click.argument("group")
@click.option("--to", "points", multiple=True, required=True, metavar="POINT", help="Where to; see below.")
@click.option("--topic", "topics", multiple=True, help="Only positions in this input.")
@click.option("--yes", is_flag=True, help="Do it. Without it, only what would be done is printed.")
@broker_options
@json_option
def reset(**options: object) -> None:
    """Move the positions of a group that nobody runs.

    POINT is earliest, latest, a time such as 2026-01-31T08:00:00Z, how long ago (2h), or topic/partition=offset, which
    may be given several times. Completed sets move with the positions, and older owners are fenced. Stores keep what
    they remember: what is handled again counts again.
    """
    request = msgspec.convert(options, ResetRequest)
    done = asyncio.run(_reset(request))
    if request.as_json:
        print_json(done)
        return
    print_table(
        ("input", "position", "becomes", "by"),
        [
            (f"{move.topic}/{move.partition}", move.before, move.after, move.after - (move.before or 0))
            for move in done.moves
        ],
    )
    said = plural(len(done.moves), "position")
    click.echo(f"{said} moved" if done.done else f"{said} would move. Nothing was done; --yes does it.")


class Deleted(Struct, frozen=True):
    """A group that is forgotten, or would be."""

    group: str
    tasks: int
    lag: int
    done: bool


@groups.command
@click.argument("group")
@click.option("--yes", is_flag=True, help="Do it. Without it, only what would be done is printed.")
@broker_options
@json_option
def delete(*, group: str, yes: bool, broker: str | None, dev: bool, as_json: bool) -> None:
    """Forget a group that nobody runs: its positions, its stores, its inbox, and what the catalogue says about it.

    A group of that name starts anew, as if there had been none. What it has told stays: the topics of its dead letters
    and answers.
    """
    deleted = asyncio.run(_deleted(group, broker, dev=dev, yes=yes))
    if as_json:
        print_json(deleted)
        return
    said = f"{group}: {plural(deleted.tasks, 'task')} with all positions and stores, lag {deleted.lag}"
    click.echo(f"{said}: deleted." if yes else f"{said}. Nothing was done; --yes deletes it.")


async def _deleted(name: str, given: str | None, *, dev: bool, yes: bool) -> Deleted:
    async with opened(given, dev=dev) as broker:
        # The catalogue alone knows a service that only publishes, and a group whose deletion was cut off.
        told = any(entry.group == name for entry in await read_catalogue(broker))
        there = not told or name in await broker.admin.groups()
        lines = await _lines(broker, name) if there else []
        if yes and there:
            await broker.admin.delete_group(name)
        if yes:
            await forget_group(broker, name, SystemClock().now_ms())
    return Deleted(name, sum(len(line.tasks) for line in lines), sum(line.lag for line in lines), yes)


class RollbackRequest(Struct, frozen=True):
    """A rollback, as it was typed."""

    group: str
    definition: int
    yes: bool
    broker: str | None
    dev: bool
    as_json: bool


class RolledBack(Struct, frozen=True):
    """What a rollback does, or would do. ``tasks`` are those that a newer definition has run, with its number."""

    group: str
    definition: int
    done: bool
    tasks: dict[int, int]


@groups.command
@click.argument("group")
@click.option("--definition", type=click.IntRange(min=0), required=True, help="The number to go back to; 0 for none.")
@click.option("--yes", is_flag=True, help="Do it. Without it, only what would be done is printed.")
@broker_options
@json_option
def rollback(**options: object) -> None:
    """Let an older definition run a group again, which nobody runs now.

    A process gives back tasks that a higher definition has run; this records the lower number. Stores and positions
    stay as they are, so make sure that the older code can read what the newer one has left.
    """
    wanted = msgspec.convert(options, RollbackRequest)
    done = asyncio.run(_rollback(wanted))
    if wanted.as_json:
        print_json(done)
        return
    print_table(
        ("task", "definition", "becomes"), [(task, number, done.definition) for task, number in done.tasks.items()]
    )
    said = plural(len(done.tasks), "task")
    click.echo(f"{said} rolled back" if done.done else f"{said} would be rolled back. Nothing was done; --yes does it.")


async def _rollback(wanted: RollbackRequest) -> RolledBack:
    async with opened(wanted.broker, dev=wanted.dev) as broker:
        group = await group_named(broker, wanted.group)
        change = Rollback(broker, group, wanted.definition)
        found = await change.look()
        if not found:
            raise NotFound(
                f"no task of {group.name!r} was run by a definition above {wanted.definition}",
                where=broker.name,
                remedy="start the service; the number stands in its definition=",
            )
        if wanted.yes:
            # Moves nothing, and refuses a group that has live members.
            await broker.admin.reset(group.name, {})
            await change.carry_out()
    return RolledBack(group.name, wanted.definition, wanted.yes, found)


# --- as they are


async def _shown(given: str | None, group: str | None, *, dev: bool) -> list[GroupLine]:
    async with opened(given, dev=dev) as broker:
        return await _lines(broker, group)


async def _lines(broker: Backend, group: str | None) -> list[GroupLine]:
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


# --- reset


async def _reset(request: ResetRequest) -> Reset:
    async with opened(request.broker, dev=request.dev) as broker:
        group = await group_named(broker, request.group)
        wanted = await _positions(broker, group, request.points, request.topics)
        if request.yes:
            await broker.admin.reset(group.name, wanted)
    moves = [Move(*at, group.positions.get(at), offset) for at, offset in sorted(wanted.items())]
    return Reset(group.name, request.yes, moves)


async def _positions(
    broker: Backend, group: GroupDescription, points: Iterable[str], topics: Sequence[str]
) -> dict[TopicPartition, int]:
    # The inbox only when it is named: whoever wants events again does not want old commands again.
    inputs = [at for task in range(group.tasks) for at in inputs_of(group.name, task, group.tasks, group.inputs)]
    events = [at for at in inputs if at.topic != inbox_of(group.name) and (not topics or at.topic in topics)]
    now = SystemClock().now_ms()
    wanted: dict[TopicPartition, int] = {}
    for text in points:
        name, equals, offset = text.partition("=")
        if not equals:
            point = point_of(text, now)
            if point.kind == "offset":
                raise _unread(text)
            wanted.update({at: await resolve(broker.log, at, point) for at in events})
            continue
        topic, _, partition = name.rpartition("/")
        if not (partition.isdecimal() and offset.isdecimal()):
            raise _unread(text)
        at = TopicPartition(topic, int(partition))
        if at not in inputs:
            raise NotFound(
                f"{name} is no input of {group.name!r}",
                why=f"its inputs are {', '.join(sorted({each.topic for each in inputs}))}",
                remedy="mainstem groups show lists them with their partitions",
            )
        wanted[at] = await _within(broker, at, int(offset))
    return wanted


async def _within(broker: Backend, at: TopicPartition, offset: int) -> int:
    start, end = await broker.log.bounds(at)
    if not start <= offset <= end:
        raise DefinitionError(
            f"offset {offset} is not in {at.topic}/{at.partition}",
            why=f"it holds {start} to {end}",
            remedy="name an offset between the two",
        )
    return offset


def _unread(text: str) -> MainstemError:
    return DefinitionError(
        f"{text!r} says no position",
        remedy="write earliest, latest, a time, how long ago (2h), or topic/partition=offset",
    )
