"""Services checked against what is there: every fault found at once, then plans that can run."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, ParamSpec, TypeVar

from msgspec import Struct

from mainstem.broker import GroupDescription, GroupSpec, TopicDescription, TopicSpec, at_least
from mainstem.delivery import (
    Outputs,
    Plan,
    Registration,
    Store,
    answers_topic,
    audit_topic,
    compile_handler,
    declared_outputs,
    faults_of,
    tasks_for,
)
from mainstem.errors import DefinitionError, MainstemError, StoreRefused, UnknownTopic
from mainstem.events import Declaration, check_publication, check_subscription, declaration_of
from mainstem.schemas import codec_for
from mainstem.service.definition import Definition, HandlerGroup
from mainstem.service.providing import faults_in
from mainstem.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")

CATALOGUE: Final = "mainstem.catalogue"
"""The topic in which every group says at start what it publishes, wants and remembers."""

ANSWERS_KEPT_MS: Final = 86_400_000

AUDIT_BYTES_MAX: Final = 16_000_000
AUDIT_TIMES: Final = 6
"""What is told of a dead letter holds its key four times, partly as text of a third more; it must fit whatever fits
elsewhere, or the task stands."""


class Existing(Struct, frozen=True):
    """What the broker has: topics and groups by name."""

    topics: Mapping[str, TopicDescription] = {}
    groups: Mapping[str, GroupDescription] = {}


class Draft(Struct):
    """Services that are to run in one process. ``faults`` is everything that must be mended first.

    With ``dev``, in play, what they publish is read back before it is sent.
    """

    services: Sequence[Definition]
    existing: Existing
    dev: bool = False
    faults: list[MainstemError] = []
    inputs: dict[str, tuple[Declaration, ...]] = {}
    outputs: dict[str, tuple[Declaration, ...]] = {}
    topics: dict[str, TopicSpec] = {}
    """Every topic that is needed: as it is, or as it is to be created."""

    @property
    def missing(self) -> list[TopicSpec]:
        """The topics that are not there yet."""
        return [spec for name, spec in self.topics.items() if name not in self.existing.topics]

    def attempt(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
        """Do something that may find a fault; None when it has."""
        try:
            return function(*args, **kwargs)
        except MainstemError as fault:
            if str(fault) not in map(str, self.faults):
                self.faults.append(fault)
            return None


def topics_of(services: Iterable[Definition], existing: Existing | None = None) -> list[TopicSpec]:
    """Every topic that these services need, as it should be. Raises the first fault in their declarations.

    What only the broker knows of is left out, as inboxes: :meth:`mainstem.broker.Admin.prepare` adds it for
    :func:`groups_of`. What is there already stays as it is where no service says anything else, except the topics of
    the runtime itself.
    """
    drafted = _sound(services, existing)
    topics = dict(drafted.topics)
    for spec in _own_topics(drafted):
        described = drafted.existing.topics.get(spec.name)
        topics[spec.name] = at_least(spec, None if described is None else described.spec)
    return list(topics.values())


def groups_of(services: Iterable[Definition], existing: Existing | None, settings: Settings) -> list[GroupSpec]:
    """What the groups of these services are joined with. Raises the first fault in their declarations."""
    drafted = _sound(services, existing)
    return [
        GroupSpec(
            group.name,
            service.name,
            tasks_of(group, drafted),
            {topic: drafted.topics[topic].partitions for topic in sorted(_topics_read(group))},
            settings.session_timeout_seconds,
            settings.grace_seconds if service.grace_seconds is None else service.grace_seconds,
        )
        for service, group in _running_groups(drafted)
    ]


def _sound(services: Iterable[Definition], existing: Existing | None) -> Draft:
    drafted = draft(tuple(services), existing or Existing())
    if drafted.faults:
        raise drafted.faults[0]
    return drafted


def draft(services: Sequence[Definition], existing: Existing, *, dev: bool = False) -> Draft:
    """Which events and topics the services need, and what is wrong with these."""
    drafted = Draft(services, existing, dev)
    names = [service.name for service in services]
    for name in sorted({name for name in names if names.count(name) > 1}):
        drafted.faults.append(DefinitionError(f"two services are called {name!r}", remedy="rename one of them"))
    for service in services:
        drafted.inputs[service.name] = _inputs(service, drafted)
        drafted.outputs[service.name] = _outputs(service, drafted)
        for declaration in (*drafted.inputs[service.name], *drafted.outputs[service.name]):
            drafted.topics.setdefault(declaration.topic, _as_it_is(TopicSpec(declaration.topic), existing))
    stated: dict[str, tuple[TopicSpec, Definition]] = {}
    for service in services:
        for spec in service.topics.values():
            drafted.attempt(_state, spec, service, stated, drafted)
    for spec in _own_topics(drafted):
        drafted.topics[spec.name] = _as_it_is(spec, existing)
    return drafted


def check(drafted: Draft, replaced: Mapping[type[object], object], *, may_create: bool) -> None:
    """Look for everything else that can be wrong before the first event."""
    for service in drafted.services:
        drafted.faults += faults_in(service, replaced)
        outputs = outputs_of(service, drafted)
        provided = {**dict.fromkeys(service.provided), **replaced}
        names: dict[str, str] = {}
        for group in service.groups:
            plan = plan_of(service, group, outputs, drafted, provided)
            drafted.faults += faults_of(plan)
            drafted.attempt(plan.routes)
            drafted.faults += [*_used_elsewhere(group, names), *_taken(service, group, drafted)]
            drafted.faults += [*_audited(group, drafted), *_twice(group)]
    if not may_create:
        drafted.faults += _missing(drafted)


def outputs_of(service: Definition, drafted: Draft) -> Outputs:
    """What encodes the events that a service may publish."""
    encodable = [each for each in drafted.outputs[service.name] if drafted.attempt(codec_for, each) is not None]
    counts = {name: spec.partitions for name, spec in drafted.topics.items()}
    limits = {name: spec.record_bytes_max for name, spec in drafted.topics.items()}
    return Outputs(encodable, counts, f"/{service.name}", limits, read_back=drafted.dev)


def plan_of(
    service: Definition, group: HandlerGroup, outputs: Outputs, drafted: Draft, provided: Mapping[type, object]
) -> Plan:
    """A group, compiled with what its service provides; faults go into the draft."""
    attempts = [drafted.attempt(compile_handler, registration, provided) for registration in group.registered]
    processors = tuple(each for each in attempts if each is not None)
    return Plan(
        service=service.name,
        group=group.name,
        processors=processors,
        partitions={topic: drafted.topics[topic].partitions for topic in sorted(_topics_read(group))},
        outputs=outputs,
        stores={store.name: store for store in group.stores},
        lanes=group.lanes,
        tasks=tasks_of(group, drafted),
        start=group.start,
        definition=service.definition,
        standbys=group.standbys,
        dev=drafted.dev,
        delivery=group.delivery,
    )


def tasks_of(group: HandlerGroup, drafted: Draft) -> int:
    """How many tasks a group has; fixed when it was created."""
    described = drafted.existing.groups.get(group.name)
    if described is not None:
        return described.tasks
    return group.tasks or tasks_for(drafted.topics[topic].partitions for topic in _topics_read(group))


def unpinnable(drafted: Draft, pinned: frozenset[int] | None) -> list[MainstemError]:
    """What is wrong with running exactly these tasks of each group."""
    sizes = {
        group.name: tasks_of(group, drafted)
        for service in drafted.services
        for group in service.groups
        if group.registered
    }
    return [
        DefinitionError(
            f"group {name!r} has {tasks} tasks, and this process is to run {sorted(pinned)}",
            where="pinned_tasks",
            why="tasks are counted from 0; one that is not there would be waited for in silence",
            remedy=f"pin tasks between 0 and {tasks - 1}; services whose groups differ run in processes of their own",
        )
        for name, tasks in sizes.items()
        if pinned is not None and max(pinned) >= tasks
    ]


# --- declarations


def _inputs(service: Definition, drafted: Draft) -> tuple[Declaration, ...]:
    found = {each.type: each for group in service.groups for each in inputs_of(group.registered)}
    for declaration in found.values():
        drafted.attempt(check_subscription, declaration, service.name)
    return tuple(found.values())


def _outputs(service: Definition, drafted: Draft) -> tuple[Declaration, ...]:
    """What its handlers publish, what it says it publishes from outside, and what it reads and owns itself."""
    found = {each.type: each for each in service.published}
    for group in service.groups:
        for registration in group.registered:
            found.update({each.type: each for each in drafted.attempt(declared_outputs, registration) or ()})
    for declaration in drafted.inputs[service.name]:
        if declaration.service == service.name:
            found.setdefault(declaration.type, declaration)
    for declaration in found.values():
        drafted.attempt(check_publication, declaration, service.name)
    return tuple(found.values())


def inputs_of(registrations: Iterable[Registration]) -> list[Declaration]:
    """The declarations of what handlers subscribe to, each once."""
    return list(dict.fromkeys(declaration_of(each) for registration in registrations for each in registration.types))


def _topics_read(group: HandlerGroup) -> set[str]:
    return {each.topic for each in inputs_of(group.registered)}


# --- topics


def _as_it_is(spec: TopicSpec, existing: Existing) -> TopicSpec:
    described = existing.topics.get(spec.name)
    return spec if described is None else described.spec


def _state(
    spec: TopicSpec, service: Definition, stated: dict[str, tuple[TopicSpec, Definition]], drafted: Draft
) -> None:
    """Take in what a service says about a topic."""
    other, by = stated.setdefault(spec.name, (spec, service))
    if other != spec:
        raise DefinitionError(
            f"topic {spec.name!r} is declared in two ways, by {by.name!r} and by {service.name!r}",
            remedy="let one of them declare it",
        )
    described = drafted.existing.topics.get(spec.name)
    if described is not None and described.spec.partitions != spec.partitions:
        raise DefinitionError(
            f"topic {spec.name!r} has {described.spec.partitions} partitions, and {service.name!r} declares "
            f"{spec.partitions}",
            why="the number of partitions never changes: it decides where each key lives",
            remedy=f"declare partitions={described.spec.partitions}, or move to a topic of another name",
        )
    drafted.topics[spec.name] = spec


def _running_groups(drafted: Draft) -> Iterator[tuple[Definition, HandlerGroup]]:
    return ((service, group) for service in drafted.services for group in service.groups if group.registered)


def _own_topics(drafted: Draft) -> Iterator[TopicSpec]:
    """The topics of the runtime itself, as they should be."""
    for _, group in _running_groups(drafted):
        largest = max((drafted.topics[topic].record_bytes_max for topic in _topics_read(group)), default=0)
        bytes_max = max(AUDIT_BYTES_MAX, AUDIT_TIMES * largest)
        yield TopicSpec(audit_topic(group.name), tasks_of(group, drafted), compact=True, record_bytes_max=bytes_max)
        yield TopicSpec(answers_topic(group.name), 1, retention_ms=ANSWERS_KEPT_MS)
    yield TopicSpec(CATALOGUE, 1, compact=True)


# --- faults


def _missing(drafted: Draft) -> list[MainstemError]:
    """One fault for all topics that are not there, with who needs each, and the command that creates them."""
    needed = {spec.name: _who_needs(spec.name, drafted) for spec in drafted.missing}
    if not needed:
        return []
    names = ", ".join(repr(name) for name in needed)
    return [
        UnknownTopic(
            f"topics {names} are not there" if len(needed) > 1 else f"topic {names} is not there",
            where="; ".join(f"{name} is needed by {who}" for name, who in needed.items()),
            why="topics are created by themselves only in play: with --dev, or dev=True",
            remedy=f"mainstem topics apply {' '.join(map(_named_in_a_command, drafted.services))}, with the --broker "
            "that was named here; or start with --dev, or dev=True",
        )
    ]


def _who_needs(topic: str, drafted: Draft) -> str:
    names = [
        service.name
        for service in drafted.services
        if topic in service.topics
        or topic in {each.topic for each in (*drafted.inputs[service.name], *drafted.outputs[service.name])}
        or topic in {own for group in service.groups for own in (audit_topic(group.name), answers_topic(group.name))}
    ]
    return ", ".join(names) or "every service"


def _named_in_a_command(service: Definition) -> str:
    """``shop:billing``, where a module has the service under a name; otherwise what is to be put in."""
    for name, module in list(sys.modules.items()):
        if name != "__main__":
            for attribute, value in list(getattr(module, "__dict__", {}).items()):
                if value is service:
                    return f"{name}:{attribute}"
    return f"MODULE:{service.name}"


def _used_elsewhere(group: HandlerGroup, names: dict[str, str]) -> Iterator[MainstemError]:
    for registration in group.registered:
        if names.setdefault(registration.name, group.name) != group.name:
            yield DefinitionError(
                f"two groups have a handler called {registration.name!r}: {names[registration.name]!r} and "
                f"{group.name!r}",
                why="the name is a handler's identity, unique in its service",
                remedy='give one of them name="..."',
            )


def _taken(service: Definition, group: HandlerGroup, drafted: Draft) -> Iterator[MainstemError]:
    described = drafted.existing.groups.get(group.name)
    if described is None:
        return
    if described.service != service.name:
        yield StoreRefused(
            f"the group {group.name!r} and its stores belong to the service {described.service!r}",
            where=f"service {service.name!r}",
            why="two services would write each other's memory",
            remedy="choose another name",
        )
    elif group.tasks not in (None, described.tasks):
        yield DefinitionError(
            f"group {group.name!r} has {described.tasks} tasks, and tasks={group.tasks} is declared",
            why="the number is fixed when a group is created: it decides which task keeps which key's memory",
            remedy=f"declare tasks={described.tasks}, or leave it out",
        )


def _audited(group: HandlerGroup, drafted: Draft) -> Iterator[MainstemError]:
    audit = audit_topic(group.name)
    described = drafted.existing.topics.get(audit)
    tasks = tasks_of(group, drafted)
    if group.registered and described is not None and described.spec.partitions != tasks:
        yield DefinitionError(
            f"topic {audit!r} has {described.spec.partitions} partitions, and group {group.name!r} {tasks} tasks",
            why="each task tells of its dead letters in a partition of its own; the group had another size before",
            remedy=f"delete the topic, or declare tasks={described.spec.partitions}",
        )


def _twice(group: HandlerGroup) -> Iterator[MainstemError]:
    seen: dict[str, Store[object]] = {}
    for store in group.stores:
        if seen.setdefault(store.name, store) is not store:
            yield DefinitionError(
                f"two stores of {group.name!r} are called {store.name!r}",
                why="they would share their rows",
                remedy="declare it once, and let both files of handlers use it",
            )
