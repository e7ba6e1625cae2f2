"""A group before it runs: which handlers want which events, and everything that must be right before the first one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from mainstem.broker import Delivery, GroupSpec, TopicPartition, inbox_of, inputs_of
from mainstem.delivery.caches import Bound
from mainstem.delivery.context import Outputs, Store
from mainstem.delivery.failures import NO_ALERTS, Alerts, audit_topic
from mainstem.delivery.gates import Limit
from mainstem.delivery.processor import Processor
from mainstem.delivery.schedules import SCHEDULES_TASK, Calendar
from mainstem.errors import DefinitionError, MainstemError
from mainstem.events import Declaration
from mainstem.identifiers import Derivation
from mainstem.schemas.upcasting import Reading, check_chain, reading_of
from mainstem.schemas.writers import Writers
from mainstem.settings import Settings

TASKS_MOST = 32
EDITION_STORE = "$edition"
HANDLERS_STORE = "$handlers"
INPUTS_STORE = "$inputs"
FORGETTABLE = frozenset({EDITION_STORE, HANDLERS_STORE, INPUTS_STORE})
"""Of no use to a group that remembers nothing."""


class Route(NamedTuple):
    """What is done with events of one type: how they are read, and who wants them, in order."""

    reading: Reading
    processors: tuple[Processor, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A group, compiled. ``partitions`` are the partition counts of its inputs.

    ``definition`` is the number that the service gives its definition, 0 when it gives none. Without ``standbys`` there
    are as many as the settings say. While another group of its service is more than ``gives_way_ms`` behind in the same
    process, and gives way later or never, its inputs stand still. With ``dev``, in play, a handler that is not there
    any more is forgotten where nothing is parked for it.

    At least once, nothing is remembered: what a handler fails at for good is told in the audit topic, and passed over.
    """

    service: str
    group: str
    processors: tuple[Processor, ...]
    partitions: Mapping[str, int]
    outputs: Outputs
    stores: Mapping[str, Store[object]] = field(default_factory=dict)
    caches: Mapping[str, Bound] = field(default_factory=dict)
    lanes: int = 64
    tasks: int = 1
    start: Literal["earliest", "latest"] = "earliest"
    definition: int = 0
    standbys: int | None = None
    dev: bool = False
    delivery: Delivery = "exactly_once"
    gives_way_ms: int | None = None
    alerts: Alerts = NO_ALERTS

    @property
    def at_least_once(self) -> bool:
        """Whether the group does without a memory of its own."""
        return self.delivery == "at_least_once"

    def spec(self, settings: Settings) -> GroupSpec:
        """What the group is joined with."""
        return GroupSpec(
            self.group,
            self.service,
            self.tasks,
            dict(self.partitions),
            settings.session_timeout_seconds,
            settings.grace_seconds,
            self.delivery,
            FORGETTABLE if self.at_least_once else frozenset(),
            settings.standbys if self.standbys is None else self.standbys,
        )

    @property
    def inbox(self) -> str:
        """The topic of commands to the group."""
        return inbox_of(self.group)

    @property
    def audit(self) -> str:
        """The topic that tells what was parked, given up, redriven and discarded."""
        return audit_topic(self.group)

    def inputs_of(self, task: int) -> list[TopicPartition]:
        """The partitions that a task reads, its inbox partition first."""
        return inputs_of(self.group, task, self.tasks, self.partitions)

    def timers(self) -> dict[str, Processor]:
        """The processors by the timer they handle."""
        return {each.timer: each for each in self.processors if each.timer is not None}

    def schedules_of(self, task: int) -> dict[str, Calendar]:
        """The schedules that a task owns, by handler."""
        if task != SCHEDULES_TASK:
            return {}
        return {
            each.name: Calendar(each.name, each.was, each.schedule, Derivation(self.service, self.group, each.name))
            for each in self.processors
            if each.schedule is not None
        }

    def parties(self) -> dict[str, frozenset[str]]:
        """By handler, all those that wait with it: that use a store that it uses, or that another of them does.

        One that says nothing of its stores may use any. One without order waits for nobody, and nobody for it; nor does
        a schedule, whose runs have no key.
        """
        parties = {each.name: {each.name} for each in self.processors}
        for store in self.stores:
            keyed = [each for each in self.processors if each.order != "none" and each.schedule is None]
            using = [each for each in keyed if may_use(each, store)]
            joined = set[str]().union(*(parties[each.name] for each in using))
            parties.update(dict.fromkeys(joined, joined))
        return {name: frozenset(party) for name, party in parties.items()}

    @property
    def giving_way(self) -> dict[str, int]:
        """The handlers that give way, and how far behind their task is then."""
        return {each.name: each.gives_way_ms for each in self.processors if each.gives_way_ms is not None}

    def routes(self, writers: Writers | None = None) -> dict[tuple[str, str | None], Route]:
        """The routes by topic and wire name; None stands for a topic without envelope.

        ``writers`` know the schemas that others have written with.
        """
        wanted: dict[tuple[str, str | None], tuple[Declaration, list[Processor]]] = {}
        for processor in self.processors:
            for declaration in processor.inputs:
                names = declaration.names if declaration.envelope else (None,)
                for name in names:
                    _, processors = wanted.setdefault((declaration.topic, name), (declaration, []))
                    processors.append(processor)
        return {
            at: Route(reading_of(declaration, writers), tuple(processors))
            for at, (declaration, processors) in wanted.items()
        }


def may_use(processor: Processor, store: str) -> bool:
    """Whether a handler may use a store of its group."""
    return processor.stores is None or store in processor.stores


def no_checkpoint(plan: Plan) -> DefinitionError:
    """A handler wants to commit a part of what it does where nobody would know of that part."""
    return DefinitionError(
        f"a handler of {plan.group!r} makes a checkpoint, and the group is delivered at least once",
        why="how far a handler has come is remembered in a store, and at least once there is none",
        remedy='leave the checkpoint out; or declare delivery="exactly_once", which is the default',
    )


def tasks_for(partitions: Iterable[int]) -> int:
    """How many tasks a new group gets: as its largest input has partitions; of more than 32, the largest divisor."""
    largest = max(partitions, default=1)
    if largest <= TASKS_MOST:
        return largest
    return max(n for n in range(1, TASKS_MOST + 1) if largest % n == 0)


def faults_of(plan: Plan) -> list[MainstemError]:
    """Everything in a plan that cannot work."""
    return [
        *_names(plan),
        *_one_order(plan),
        *_shared_stores(plan),
        *_types(plan),
        *_versions(plan),
        *_without_memory(plan),
        *_limits(plan),
        *_stated(plan),
        *_giving_way(plan),
    ]


def _names(plan: Plan) -> Iterable[MainstemError]:
    seen: set[str] = set()
    for processor in plan.processors:
        for name in (processor.name, *processor.was):
            if name in seen:
                yield DefinitionError(
                    f"two handlers of {plan.group!r} are called {name!r}",
                    why="the name is a handler's identity: what it has parked and remembered is found by it",
                    remedy='give one of them name="..."',
                )
            seen.add(name)
    by_timer: dict[str, str] = {}
    for processor in plan.processors:
        if processor.timer is not None and by_timer.setdefault(processor.timer, processor.name) != processor.name:
            yield DefinitionError(
                f"two handlers for the timer {processor.timer!r}: {by_timer[processor.timer]!r} and {processor.name!r}",
                remedy="let one of them handle it",
            )


def _one_order(plan: Plan) -> Iterable[MainstemError]:
    if plan.lanes == 1:
        return
    for processor in plan.processors:
        if processor.batch:
            yield DefinitionError(
                f"the batch handler {processor.name!r} needs lanes=1",
                where=f"group {plan.group!r}, lanes={plan.lanes}",
                why="a batch holds many keys, so nothing else of the task may run beside it",
                remedy="declare the service or a group of its own with lanes=1",
            )
    for name, store in plan.stores.items():
        if store.scope == "partition":
            yield DefinitionError(
                f'the store {name!r} has scope="partition", which needs lanes=1',
                where=f"group {plan.group!r}, lanes={plan.lanes}",
                why="events of different keys would read and write the same row at the same time",
                remedy="declare the service or a group of its own with lanes=1, or key the store by the event's key",
            )


def _without_memory(plan: Plan) -> Iterable[MainstemError]:
    if not plan.at_least_once:
        return
    remedy = (
        'declare delivery="exactly_once", which is the default; or give these handlers a group of their own with it'
    )
    needed = [f"the store {name!r}" for name in sorted(plan.stores)]
    needed += [f"the timer {name!r}" for name in sorted(plan.timers())]
    if needed:
        yield DefinitionError(
            f"group {plan.group!r} is delivered at least once, and has {', '.join(needed)}",
            why="what a group remembers commits together with its positions, and at least once nothing does",
            remedy=remedy,
        )
    for processor in plan.processors:
        parks = processor.fuse is not None and processor.fuse.fields is not None
        if processor.sieve is not None or processor.limit is not None or parks:
            what = "a breaker that parks" if parks else "a limit" if processor.sieve is None else "doubles to know"
            yield DefinitionError(
                f"handler {processor.name!r} of {plan.group!r} has {what}, and the group is delivered at least once",
                why="what it was given is kept in a store, and at least once there is none",
                remedy=remedy,
            )
        if processor.retry.parks:
            yield DefinitionError(
                f"handler {processor.name!r} of {plan.group!r} is to be tried again later, and the group is delivered "
                "at least once",
                why="an event that waits is kept in a store, and at least once there is none",
                remedy="leave out later(...): an event that fails inline is told in the audit topic, and passed over; "
                f"or {remedy}",
            )


def _limits(plan: Plan) -> Iterable[MainstemError]:
    for processor in plan.processors:
        limit = processor.limit
        given: object = limit
        if given is not None and not isinstance(given, Limit):
            yield DefinitionError(
                f"limit={given!r} of handler {processor.name!r} is no limit",
                remedy="write limit=Limit(TokenBucket(limit=5, period_ms=1_000))",
            )
        elif limit is not None and processor.batch:
            yield DefinitionError(
                f"the batch handler {processor.name!r} has a limit",
                why="a limit counts runs, one for each event, and a batch handler runs once for many",
                remedy="take one event at a time, or use a RateLimiter of mainstem.resilience in the handler",
            )
        elif limit is not None:
            try:
                limit.share(plan.tasks)
            except DefinitionError as error:
                yield error


def _giving_way(plan: Plan) -> Iterable[MainstemError]:
    parties = plan.parties()
    for processor in plan.processors:
        others = sorted(parties[processor.name] - {processor.name})
        if processor.gives_way_ms is None:
            continue
        if processor.batch or plan.at_least_once:
            why = "what it is not given would wait for it, event by event, in a store"
            why += "" if processor.batch else ", and at least once there is none"
        elif others:
            why = f"it may use a store that {others[0]!r} uses, which would have to wait with it for each key"
        else:
            continue
        yield DefinitionError(
            f"the handler {processor.name!r} of {plan.group!r} is to give way",
            why=why,
            remedy='give it a group of its own that gives way: service.group("later", gives_way="30s")'
            + ("; or say which stores it uses: stores=()" if others else ""),
        )


def _shared_stores(plan: Plan) -> Iterable[MainstemError]:
    stores = [name for name, store in plan.stores.items() if store.scope == "key"]
    using = [p for p in plan.processors if any(may_use(p, name) for name in stores)]
    # An event of our own that is declared without a key has none, and so no place in a store.
    keyed = {each.topic for p in using for each in p.inputs if each.key or each.kind is None}
    counts = {topic: plan.partitions[topic] for topic in sorted(keyed) if topic in plan.partitions}
    if len(set(counts.values())) > 1:
        yield DefinitionError(
            f"inputs that share stores have different partition counts: {counts}",
            where=f"group {plan.group!r}, stores {', '.join(sorted(stores))}",
            why="a key would live in one task for one topic and in another task for the other",
            remedy="create the topics with equal partition counts, or give one input a group of its own",
        )


def _stated(plan: Plan) -> Iterable[MainstemError]:
    for processor in plan.processors:
        for store in sorted((processor.stores or frozenset()) - plan.stores.keys()):
            yield DefinitionError(
                f"handler {processor.name!r} states the store {store!r}, which {plan.group!r} does not have",
                why="a group has stores of its own; this one was declared by another group or service, or by nobody",
                remedy="declare it on the handler's group, or include() the handlers that declare it",
            )


def _versions(plan: Plan) -> Iterable[MainstemError]:
    for declaration in dict.fromkeys(each for processor in plan.processors for each in processor.inputs):
        try:
            check_chain(declaration)
        except DefinitionError as error:
            yield error


def _types(plan: Plan) -> Iterable[MainstemError]:
    seen: dict[tuple[str, str | None], Declaration] = {}
    for processor in plan.processors:
        for declaration in processor.inputs:
            for name in declaration.names if declaration.envelope else (None,):
                other = seen.setdefault((declaration.topic, name), declaration)
                if other.type is not declaration.type:
                    yield DefinitionError(
                        f"{name or 'the records'} on {declaration.topic!r} would be two types: "
                        f"{other.type.__name__} and {declaration.type.__name__}",
                        where=f"handler {processor.name!r}",
                        remedy="let all handlers of a group take the same type, or give one of them a group of its own",
                    )
    bare = {topic for topic, name in seen if name is None}
    for topic in sorted(bare & {topic for topic, name in seen if name is not None}):
        yield DefinitionError(
            f"topic {topic!r} is declared with and without an envelope",
            where=f"group {plan.group!r}",
            why="without one every record counts as the same type, and the others would never be seen",
            remedy="declare all its types alike, or take what carries no envelope from a topic of its own",
        )
