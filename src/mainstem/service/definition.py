"""A service as it is written down: its groups, what it provides, its hooks and its topics."""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final, Literal, NamedTuple, TypeAlias, TypedDict, TypeVar, Unpack

from mainstem.broker import Delivery, TopicSpec
from mainstem.calendar import Duration, milliseconds, seconds
from mainstem.delivery import Alerts, Registration, Retry, check_alerts
from mainstem.errors import DefinitionError, VersionUnknown
from mainstem.events import Declarable, Declaration, declaration_of
from mainstem.options import check_options
from mainstem.service.brokers import Backend
from mainstem.service.handlers import Handlers, several, way_given, with_registrations
from mainstem.service.publishing import Publisher
from mainstem.settings import Settings

Hook = TypeVar("Hook", bound=Callable[..., Awaitable[None] | None])
Start: TypeAlias = Literal["earliest", "latest"]
Factory: TypeAlias = Callable[..., object]

LANES: Final = 64
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class GroupOptions(TypedDict, total=False):
    """The options of a :class:`HandlerGroup`."""

    lanes: int
    tasks: int | None
    start: Start
    delivery: Delivery
    standbys: int | None


class HandlerGroup(Handlers):
    """Handlers that share the reading and the position, with stores of their own.

    ``lanes`` is how many keys are worked on at a time in each task; ``tasks`` is fixed when the group is created;
    ``start`` says where a new group begins to read. ``delivery="at_least_once"`` gives up stores, timers and events
    that wait, for less latency and less work on a cluster. On Kafka ``standbys`` further machines keep a copy of each
    task's stores that is ready to be used; without it as many as the settings say.
    """

    def __init__(
        self,
        name: str,
        *,
        lanes: int = LANES,
        tasks: int | None = None,
        start: Start = "earliest",
        delivery: Delivery = "exactly_once",
        standbys: int | None = None,
    ) -> None:
        super().__init__()
        given: object = name
        if not isinstance(given, str) or not _NAME.fullmatch(given):
            raise DefinitionError(
                f"{name!r} cannot be the name of a service or group",
                why="topics are named after it",
                remedy="begin with a letter or digit; go on with letters, digits, dots, underscores and hyphens",
            )
        _check_count(f"{name!r} has lanes", lanes, 1)
        _check_count(f"{name!r} has tasks", 1 if tasks is None else tasks, 1)
        _check_count(f"{name!r} has standbys", standbys or 0, 0)
        if start not in ("earliest", "latest"):
            raise DefinitionError(f"{name!r} has start={start!r}", remedy='write "earliest" or "latest"')
        if delivery not in ("exactly_once", "at_least_once"):
            raise DefinitionError(
                f"{name!r} has delivery={delivery!r}", remedy='write "exactly_once" or "at_least_once"'
            )
        self.name = name
        self.lanes = lanes
        self.tasks = tasks
        self.start: Start = start
        self.delivery: Delivery = delivery
        self.standbys = standbys
        self.gives_way_ms: int | None = None


class Safekeeping(NamedTuple):
    """The group that keeps what is to be published later, and how many tasks it has."""

    group: str
    tasks: int


class Reach(NamedTuple):
    """What a service that runs can reach from outside its handlers."""

    publisher: Publisher
    broker: Backend
    settings: Settings
    safekeeping: Safekeeping | None


class Definition(HandlerGroup):
    """Everything a service is made of. Making one opens and reads nothing."""

    def __init__(
        self,
        name: str,
        *,
        grace: Duration | None = None,
        publishes: tuple[Declarable, ...] = (),
        definition: int = 0,
        alerts: Alerts | None = None,
        later_versions: tuple[Duration, ...] = (),
        **options: Unpack[GroupOptions],
    ) -> None:
        _check_options("Service", options, ("grace", "publishes", "definition", "alerts", "later_versions"))
        super().__init__(name, **options)
        _check_count(f"{name!r} has definition", definition, 0)
        self.definition = definition
        self.alerts = check_alerts(alerts)
        times = several("later_versions", later_versions)
        self.later_versions = Retry.on(VersionUnknown).later(*times) if times else Retry()
        self.later_versions.check()
        self.grace_seconds = None if grace is None else seconds(grace)
        self.published: tuple[Declaration, ...] = tuple(
            declaration_of(each) for each in several("publishes", publishes)
        )
        self.groups: list[HandlerGroup] = [self]
        self.topics: dict[str, TopicSpec] = {}
        self.provided: dict[type[object], Factory] = {}
        self.in_replay: dict[type[object], Factory] = {}
        self.startup: list[Callable[..., Awaitable[None] | None]] = []
        self.shutdown: list[Callable[..., Awaitable[None] | None]] = []
        self.reaches: list[Reach] = []

    def group(self, name: str, *, gives_way: Duration | None = None, **options: Unpack[GroupOptions]) -> HandlerGroup:
        """A group beside the service's own, for handlers that must not hold the others back or start elsewhere.

        It reads, commits and remembers by itself. On the broker it is called ``service.name``. One that ``gives_way``
        stands still while another group of the service is so far behind in its process; but it does not wait for one
        that gives way sooner.
        """
        _check_options("group", options, ("gives_way",))
        group = HandlerGroup(f"{self.name}.{name}", **options)
        group.gives_way_ms = way_given(gives_way)
        if group.name in [each.name for each in self.groups]:
            raise DefinitionError(f"service {self.name!r} has a group {name!r} already", remedy="choose another name")
        self.groups.append(group)
        return group

    def topic(
        self,
        name: str,
        *,
        partitions: int = 8,
        retention: Duration | None = None,
        compact: bool = False,
        record_bytes_max: int = 1_000_000,
        retention_bytes: int | None = None,
    ) -> None:
        """Say how a topic is to be created. One that is not named here has 8 partitions and keeps its records.

        ``retention`` is how long records are kept, and ``retention_bytes`` about how many bytes of them in each
        partition; where both are given, a record leaves with the first of them. ``compact`` keeps the last record of
        each key. A record with more than ``record_bytes_max``, key and value together, is refused.
        """
        given: object = name
        if not isinstance(given, str):
            raise DefinitionError(
                f"topic({given!r}) names no topic",
                why="how a topic is to be created is said by its name; an event class says which topic it is on",
                remedy='write service.topic("orders", partitions=12)',
            )
        counts = {"partitions": partitions, "record_bytes_max": record_bytes_max, "retention_bytes": retention_bytes}
        for option, number in counts.items():
            if number is not None:
                _check_count(f"topic {name!r} has {option}", number, 1)
        if name in self.topics:
            raise DefinitionError(f"topic {name!r} is declared twice", where=f"service {self.name!r}")
        kept_ms = None if retention is None else milliseconds(retention)
        self.topics[name] = TopicSpec(name, partitions, kept_ms, compact, record_bytes_max, retention_bytes)

    def provide(self, kind: type[object], factory: Factory, *, in_replay: Factory | None = None) -> None:
        """Open what handlers ask for by the annotation ``kind``, once in each process, at start and in this order.

        ``factory`` is a context manager's function, sync or async, a generator that yields it, or any function that
        returns it; what can be entered is entered, and left again at the end, in reverse. Its parameters are found
        by annotation among what was provided before.

        In a replay every call is refused, for it may reach outside. ``in_replay`` is the factory of what stands in for
        it there; name the same one for what only reads.
        """
        given: object = kind
        if not isinstance(given, type):
            raise DefinitionError(
                f"provide({given!r}) names no type",
                why="what a handler asks for is found by the type it is annotated with",
                remedy="write service.provide(Bank, open_bank)",
            )
        if not callable(factory):
            raise DefinitionError(
                f"provide({kind.__name__}, {factory!r}) names no factory",
                why="it is called once in each process, and what it returns or yields is given to handlers",
                remedy=f"write service.provide({kind.__name__}, {kind.__name__}), or a function that returns one",
            )
        if kind in self.provided:
            raise DefinitionError(f"service {self.name!r} provides a {kind.__name__} already")
        self.provided[kind] = factory
        if in_replay is not None:
            self.in_replay[kind] = in_replay

    def on_startup(self, hook: Hook) -> Hook:
        """Call a function, sync or async, before the first event; its parameters are provided by annotation."""
        self.startup.append(hook)
        return hook

    def on_shutdown(self, hook: Hook) -> Hook:
        """Call a function, sync or async, after the last event, while everything provided is still open."""
        self.shutdown.append(hook)
        return hook


def _check_count(what: str, given: object, least: int) -> None:
    if type(given) is not int or given < least:
        raise DefinitionError(f"{what}={given!r}", remedy=f"give a whole number from {least} on")


def _check_options(what: str, given: Iterable[str], others: tuple[str, ...]) -> None:
    """Refuse an option that there is none of, in the name of what was called, and not of what it builds upon."""
    check_options(what, given, (*others, *GroupOptions.__annotations__))


def narrowed(service: Definition, choose: Callable[[Registration], Registration | None]) -> Definition:
    """A copy of a service whose handlers are what ``choose`` makes of its own; they publish through one runtime."""
    copied = with_registrations(service, choose)
    copied.groups = [copied, *(with_registrations(each, choose) for each in service.groups[1:])]
    return copied


@contextmanager
def reaching(service: Definition, reach: Reach) -> Iterator[None]:
    """Inside the block a service can publish, and has leases."""
    service.reaches.append(reach)
    try:
        yield
    finally:
        service.reaches.remove(reach)
