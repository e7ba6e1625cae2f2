"""The one form every pattern compiles to: what it reads, writes, remembers and waits for, and a function."""

import inspect
from collections.abc import Callable
from typing import Literal, Self, TypeAlias

from msgspec import Struct

from mainstem.delivery.context import Context
from mainstem.delivery.failures import Retry
from mainstem.delivery.gates import Limit, Sieve
from mainstem.delivery.guards import Fuse
from mainstem.delivery.schedules import Recurring
from mainstem.errors import DefinitionError
from mainstem.events import Declaration, Envelope

Call: TypeAlias = Callable[[object, Context], object]
"""Takes an event (or a list of events) and its context; returns what is to be published, or an awaitable of that."""

KeyOrder: TypeAlias = Literal["key", "skip", "none"]
"""What the later events of a key wait for: for one that fails until it is through, until it is a dead letter, never."""

Predicate: TypeAlias = Callable[[Envelope], bool]
"""Looks at an event's attributes before it is decoded, and says whether the handler wants it."""


class EventEntry(Struct, frozen=True, order=True):
    """An event type as it is published or wanted."""

    name: str
    topic: str
    version: int
    kind: str | None
    key: tuple[str, ...]
    owner: str | None

    @classmethod
    def of(cls, declaration: Declaration) -> Self:
        """What a declaration comes to, as printable data."""
        it = declaration
        return cls(it.wire_name, it.topic, it.version, it.kind, it.key, it.service)


class ContractEntry(Struct, frozen=True):
    """What a handler reads of an event type: the schema of what it takes, and the major versions that it takes.

    Whoever changes the event can ask it of the running system: a field that no contract names is read by nobody who
    has told. ``schema`` is empty where what is taken cannot be said.
    """

    name: str
    topic: str
    oldest: int
    version: int
    format: str
    schema: str

    @classmethod
    def of(cls, declaration: Declaration) -> Self:
        """The contract of who subscribes to this declaration."""
        # A file that declares a service need not pay for this one.
        from mainstem.schemas import formats  # noqa: PLC0415

        it = declaration
        try:
            text = formats.schema_of(it).text
        except DefinitionError:
            text = ""  # it can be read all the same: whether it can, its codec says
        return cls(it.wire_name, it.topic, it.oldest, it.version, it.format, text)


class SubscriptionEntry(Struct, frozen=True):
    """A processor as printable data: what it wants, what it publishes, or which timer it waits for.

    ``schedule`` is the cron expression and time zone of one that runs by the calendar. Stores are those of its group,
    and described there. ``reads`` is its contract with those who publish what it wants.
    """

    handler: str
    wants: tuple[EventEntry, ...]
    publishes: tuple[EventEntry, ...]
    timer: str | None
    batch: bool
    schedule: str | None = None
    reads: tuple[ContractEntry, ...] = ()


class Processor(Struct, frozen=True, kw_only=True):
    """A handler, compiled. ``name`` is its identity in its service; ``was`` are names it had before.

    It is run for events of ``inputs``, or when ``timer`` is due, which a ``schedule`` sets again. A ``plain`` one is an
    ordinary function and runs in a worker thread; a ``batch`` one takes a list. ``timeout_seconds`` None lets it take
    as long as it wants. Of those of its ``outputs`` that are ``latest``, a commit carries the last one of each topic
    and key. A ``sieve`` lets no event through that it has been given before, a ``limit`` not more than so
    many at a time, a ``fuse`` none while what it needs is away. While its task is over ``gives_way_ms`` behind, its
    events are put aside. ``stores`` are the names of those that it uses, None where it may use any of its group's.
    """

    name: str
    call: Call
    inputs: tuple[Declaration, ...] = ()
    outputs: tuple[Declaration, ...] = ()
    timer: str | None = None
    schedule: Recurring | None = None
    plain: bool = False
    batch: bool = False
    retry: Retry = Retry()
    timeout_seconds: float | None = None
    where: Predicate | None = None
    sieve: Sieve | None = None
    limit: Limit | None = None
    gives_way_ms: int | None = None
    fuse: Fuse | None = None
    latest: tuple[Declaration, ...] = ()
    was: tuple[str, ...] = ()
    order: KeyOrder = "key"
    stores: frozenset[str] | None = None

    def describe(self) -> SubscriptionEntry:
        """What it is, as the catalogue says it."""
        wants, publishes = map(EventEntry.of, self.inputs), map(EventEntry.of, self.outputs)
        cron = None if self.schedule is None else self.schedule.cron
        schedule = None if cron is None else f"{cron.text} {cron.zone_name}"
        reads = tuple(map(ContractEntry.of, self.inputs))
        return SubscriptionEntry(self.name, tuple(wants), tuple(publishes), self.timer, self.batch, schedule, reads)


def written_at(function: Callable[..., object]) -> str:
    """Where a function stands, for errors."""
    inner = inspect.unwrap(function)
    code = getattr(inner, "__code__", None)
    if code is None:  # a partial or another object that can be called
        return repr(function)
    return f"{inner.__module__}.{inner.__qualname__} ({code.co_filename}:{code.co_firstlineno})"
