"""The command ``tail``: events of a topic, as a person or a program wants to see them."""

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from itertools import islice
from typing import Final

import click
import msgspec
from msgspec import Struct

from mainstem.broker import Batch, TopicPartition, read
from mainstem.clock import SystemClock
from mainstem.delivery import in_binary_mode
from mainstem.errors import UnknownTopic
from mainstem.ops.arguments import broker_options, did_you_mean, json_option, opened
from mainstem.ops.events.payloads import Payloads
from mainstem.ops.events.points import LogPoint, point_of, resolve
from mainstem.ops.screen import moment, print_line
from mainstem.service import Backend
from mainstem.service.promises import writers_of_anybody
from mainstem.settings import Settings

LAST: Final = 10
PREFIX: Final = "ce_"
UNSAID: Final = frozenset({"specversion", "kind", "content-type"})
"""Headers that nearly every event has, with the same value; a program gets them all the same."""


class Line(Struct, frozen=True, omit_defaults=True):
    """An event as it is shown. ``data`` is its payload where that can be read, ``data_base64`` where it cannot."""

    topic: str
    partition: int
    offset: int
    timestamp: str
    key: str | None
    attributes: dict[str, str]
    headers: dict[str, str] = {}
    data: object = msgspec.UNSET
    data_base64: bytes | msgspec.UnsetType = msgspec.UNSET


class Filter(Struct, frozen=True):
    """Which events are shown: of this type, of this key."""

    type_name: str | None
    key: str | None
    payloads: Payloads = Payloads()

    @property
    def is_none(self) -> bool:
        """Whether every event is wanted."""
        return self.type_name is None and self.key is None

    def lines(self, batch: Batch) -> Iterator[Line]:
        """The events of a batch that are wanted."""
        wanted = None if self.key is None else self.key.encode()
        batch = in_binary_mode(batch)
        for index, key in enumerate(batch.keys):
            if wanted is not None and key != wanted:
                continue
            line = _line(batch, index, self.payloads)
            type_name = line.attributes.get("type", "")
            if self.type_name is None or self.type_name in (type_name, type_name.rpartition(".")[2]):
                yield line


@click.command
@click.argument("topic")
@click.option("--from", "start", metavar="POINT", help="earliest, latest, an offset, a time, or 15m ago as 15m.")
@click.option("--type", "type_name", help="Only events of this type.")
@click.option("--key", help="Only events of this key.")
@click.option("--limit", type=click.IntRange(min=1), help="So many events.")
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes.")
@broker_options
@json_option
def tail(*, topic: str, start: str | None, follow: bool, broker: str | None, dev: bool, **shown: object) -> None:
    """Print events of a topic: the last 10, or those from a point on.

    It reads the log without a group, and changes nothing.
    """
    now = SystemClock().now_ms()
    point = None if start is None else point_of(start, now)
    try:
        asyncio.run(_tail(topic, point, msgspec.convert(shown, Shown), broker, follow=follow, dev=dev))
    except KeyboardInterrupt:
        if not follow:
            raise


class Shown(Struct, frozen=True):
    """What is shown of a topic, and how."""

    type_name: str | None
    key: str | None
    limit: int | None
    as_json: bool


async def _tail(
    topic: str, point: LogPoint | None, shown: Shown, given: str | None, *, follow: bool, dev: bool
) -> None:
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(opened(given, dev=dev))
        described = (await broker.admin.topics([topic])).get(topic)
        if described is None:
            names = list(await broker.admin.topics())
            raise UnknownTopic(
                f"topic {topic!r} is not there",
                where=broker.name,
                why=f"the topics are {', '.join(names)}" if names else "there is no topic at all",
                remedy=did_you_mean(topic, names) or "mainstem topics list shows them",
            )
        bounds = described.bounds
        ends = {at: end for at, (_, end) in bounds.items()}
        writers = writers_of_anybody(broker, Settings.load(), SystemClock(), stack, dev=dev)
        wanted = Filter(shown.type_name, shown.key, Payloads(writers))
        if point is None:
            await _last(broker, bounds, wanted, shown)
            positions: Mapping[TopicPartition, int] = ends
        else:
            positions = {at: await resolve(broker.log, at, point) for at in bounds}
        if follow or point is not None:
            await _from(broker, positions, None if follow else ends, wanted, shown)


async def _last(
    broker: Backend, bounds: Mapping[TopicPartition, tuple[int, int]], wanted: Filter, shown: Shown
) -> None:
    """Print the last events in the order of their timestamps; without a filter hardly more than they are read."""
    count = shown.limit or LAST
    everything = not wanted.is_none
    kept: dict[TopicPartition, deque[Line]] = {at: deque(maxlen=count) for at in bounds}
    back, left = count, dict(bounds)
    # Commits on Kafka have offsets too, and compaction leaves gaps: where too few are found, it is looked further back.
    while left:
        starts = {at: start if everything else max(start, end - back) for at, (start, end) in left.items()}
        for at in left:
            kept[at].clear()
        async for batch in read(broker.log, starts, {at: end for at, (_, end) in left.items()}):
            await wanted.payloads.acquaint(batch)
            kept[TopicPartition(batch.topic, batch.partition)].extend(wanted.lines(batch))
        left = {at: left[at] for at in left if len(kept[at]) < count and starts[at] > left[at][0]}
        back *= 4
    found = sorted((line for lines in kept.values() for line in lines), key=lambda line: (line.timestamp, line.offset))
    _print(found[-count:], shown)


async def _from(
    broker: Backend,
    positions: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int] | None,
    wanted: Filter,
    shown: Shown,
) -> None:
    """Print events as they are read."""
    left = shown.limit
    async with aclosing(read(broker.log, positions, ends)) as batches:
        async for batch in batches:
            await wanted.payloads.acquaint(batch)
            lines = list(islice(wanted.lines(batch), left))
            _print(lines, shown)
            if left is not None:
                left -= len(lines)
                if left == 0:
                    return


def _print(lines: Sequence[Line], shown: Shown) -> None:
    for line in lines:
        if shown.as_json:
            print_line(line)
            continue
        attributes = dict(line.attributes)
        click.echo(f"{line.timestamp}  {line.topic}/{line.partition}@{line.offset}  ", nl=False)
        click.secho(f"{attributes.pop('type', '-')}  ", nl=False, bold=True)
        click.secho("-" if line.key is None else line.key, nl=False, fg="cyan")
        rest = {**attributes, **line.headers}
        click.secho("".join(f"  {name}={value}" for name, value in rest.items() if name not in UNSAID), dim=True)
        click.echo(f"    {_payload(line)}")


def _payload(line: Line) -> str:
    if line.data_base64 is not msgspec.UNSET:
        return f"{line.data_base64!r}"
    return "(a tombstone)" if line.data is msgspec.UNSET else msgspec.json.encode(line.data).decode()


def event_lines(batch: Batch) -> Iterator[Line]:
    """All events of a batch, as they are shown."""
    return Filter(None, None).lines(batch)


def _line(batch: Batch, index: int, payloads: Payloads) -> Line:
    headers = {name: value.decode(errors="backslashreplace") for name, value in batch.headers(index).items()}
    key, value = batch.keys[index], batch.values[index]
    data: object = msgspec.UNSET
    data_base64: bytes | msgspec.UnsetType = msgspec.UNSET
    if value is not None:
        data = payloads.data(batch, index)
        if data is msgspec.UNSET:
            data_base64 = value
    return Line(
        batch.topic,
        batch.partition,
        batch.offsets[index],
        moment(batch.timestamps[index]) or "",
        None if key is None else key.decode(errors="backslashreplace"),
        {name.removeprefix(PREFIX): text for name, text in headers.items() if name.startswith(PREFIX)},
        {name: text for name, text in headers.items() if not name.startswith(PREFIX)},
        data,
        data_base64,
    )
