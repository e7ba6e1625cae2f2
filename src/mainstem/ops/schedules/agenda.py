"""What waits for its time in the tasks of groups: read where it was committed, also while nobody runs them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import islice
from typing import TypeVar

import click
import msgspec
from msgspec import Struct

from mainstem.broker import GroupDescription
from mainstem.delivery import NextRun, Upcoming, next_by_calendar, upcoming
from mainstem.events import CE_TYPE
from mainstem.ops.arguments import group_named
from mainstem.ops.requests import added, moment_ms
from mainstem.service import Backend
from mainstem.state import TaskState

F = TypeVar("F", bound=Callable[..., object])


class Wanted(Struct, frozen=True, kw_only=True):
    """Which of what waits is meant; what is empty says nothing. Times are wall-clock milliseconds."""

    names: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    before_ms: int | None = None

    @property
    def narrows(self) -> bool:
        """Whether some filter is set."""
        return bool(self.names or self.keys or self.topics or self.types) or self.before_ms is not None

    def holds(self, each: Upcoming) -> bool:
        """Whether it is meant."""
        return (
            (not self.names or each.owner.handle in self.names)
            and (not self.keys or key_of(each) in self.keys)
            and (not self.topics or topic_of(each) in self.topics)
            and (not self.types or type_of(each) in self.types)
            and (self.before_ms is None or each.due_ms < self.before_ms)
        )


class Due(Struct, frozen=True):
    """Something that waits, and the group and task that have it."""

    group: str
    task: int
    upcoming: Upcoming


class Scheduled(Struct, frozen=True):
    """A schedule, and the group that has it."""

    group: str
    next_run: NextRun


def filters(command: F) -> F:
    """Add the options that say which of what waits is meant."""
    return added(
        click.option("--name", "names", multiple=True, help="Of this handle or name. May be given several times."),
        click.option("--key", "keys", multiple=True, help="Of this key: the event's, or for a timer the one it has."),
        click.option("--topic", "topics", multiple=True, help="Events for this topic."),
        click.option("--type", "types", multiple=True, help="Events of this type, as it is called on the wire."),
        click.option("--before", "before_ms", callback=moment_ms, metavar="TIME", help="Due before then, in UTC."),
    )(command)


async def groups_of(broker: Backend, group: str | None) -> Sequence[GroupDescription]:
    """This group, or all. Raises :class:`~mainstem.errors.NotFound`."""
    return list((await broker.admin.groups()).values()) if group is None else [await group_named(broker, group)]


async def schedules_of(broker: Backend, groups: Sequence[GroupDescription]) -> list[Scheduled]:
    """What runs by the calendar."""
    found: list[Scheduled] = []
    for group in groups:
        for task in range(group.tasks):
            state = TaskState(await broker.snapshot(group.name, task))
            found += [Scheduled(group.name, each) for each in next_by_calendar(state)]
    return found


async def waiting(
    broker: Backend, groups: Sequence[GroupDescription], wanted: Wanted, limit: int | None = None
) -> list[Due]:
    """What waits for its time, earliest first, at most so much."""
    rows = [
        (group.name, task, await broker.snapshot(group.name, task)) for group in groups for task in range(group.tasks)
    ]

    def of(group: str, task: int, state: TaskState) -> Iterator[Due]:
        return (Due(group, task, each) for each in upcoming(state) if wanted.holds(each))

    every = [of(group, task, TaskState(each)) for group, task, each in rows]
    return list(islice(merge(*every, key=lambda due: due.upcoming.due_ms), limit))


def topic_of(each: Upcoming) -> str | None:
    """The topic of an event."""
    return None if each.fact is None else each.fact[0].topic


def key_of(each: Upcoming) -> str | None:
    """The key of an event, or that of a timer."""
    key = each.owner.key if each.fact is None else each.fact[1].key
    return None if key is None else key.decode(errors="backslashreplace")


def headers_of(each: Upcoming) -> Mapping[str, bytes]:
    """The headers of an event."""
    return {} if each.fact is None else {**each.fact[1].common, **each.fact[1].own}


def type_of(each: Upcoming) -> str | None:
    """The type of an event, as it is called on the wire."""
    name = headers_of(each).get(CE_TYPE)
    return None if name is None else name.decode(errors="backslashreplace")


def payload_of(each: Upcoming) -> object:
    """The payload of an event as JSON has it; bytes that are none stay bytes."""
    value = None if each.fact is None else each.fact[1].value
    if value is None:
        return None
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return value
