"""The command ``groups reset``: move the positions of a group that nobody runs."""

import asyncio
from collections.abc import Iterable, Sequence

import click
import msgspec
from msgspec import Struct

from mainstem.broker import GroupDescription, TopicPartition, inbox_of, inputs_of
from mainstem.clock import SystemClock
from mainstem.errors import DefinitionError, MainstemError, NotFound
from mainstem.ops.arguments import broker_options, group_named, json_option, opened
from mainstem.ops.events import point_of, resolve
from mainstem.ops.screen import plural, print_json, print_table
from mainstem.service import Backend


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


@click.command
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
