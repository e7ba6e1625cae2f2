"""Which events, topics and groups services need, beside what is there already."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, ParamSpec, TypeVar

from msgspec import Struct

from mainstem.broker import GroupDescription, GroupSpec, TopicDescription, TopicSpec, at_least, inbox_of
from mainstem.delivery import (
    Registration,
    answers_topic,
    audit_topic,
    declared_outputs,
    tasks_for,
)
from mainstem.errors import DefinitionError, MainstemError
from mainstem.events import Declaration, check_publication, check_subscription, declaration_of
from mainstem.service.definition import Definition, HandlerGroup
from mainstem.service.plans.reserved import CATALOGUE, reserved
from mainstem.service.plans.subjects import shared_subjects
from mainstem.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")

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
            {topic: drafted.topics[topic].partitions for topic in sorted(topics_read(group))},
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
    inboxes = {inbox_of(group.name) for service in services for group in service.groups}
    for service in services:
        inputs = drafted.inputs[service.name] = _inputs(service, drafted)
        outputs = drafted.outputs[service.name] = _outputs(service, drafted)
        drafted.faults += [*reserved(service, inputs, outputs, inboxes), *shared_subjects(service.name, outputs)]
        for declaration in (*inputs, *outputs):
            drafted.topics.setdefault(declaration.topic, _as_it_is(TopicSpec(declaration.topic), existing))
    stated: dict[str, tuple[TopicSpec, Definition]] = {}
    for service in services:
        for spec in service.topics.values():
            drafted.attempt(_state, spec, service, stated, drafted)
    for spec in _own_topics(drafted):
        drafted.topics[spec.name] = _as_it_is(spec, existing)
    return drafted


def tasks_of(group: HandlerGroup, drafted: Draft) -> int:
    """How many tasks a group has; fixed when it was created."""
    described = drafted.existing.groups.get(group.name)
    if described is not None:
        return described.tasks
    return group.tasks or tasks_for(drafted.topics[topic].partitions for topic in topics_read(group))


# --- declarations


def _inputs(service: Definition, drafted: Draft) -> tuple[Declaration, ...]:
    found = dict.fromkeys(each for group in service.groups for each in inputs_of(group.registered))
    for declaration in found:
        drafted.attempt(check_subscription, declaration, service.name)
    return tuple(found)


def _outputs(service: Definition, drafted: Draft) -> tuple[Declaration, ...]:
    """What its handlers publish, what it says it publishes from outside, and what it reads and owns itself."""
    found = {each.type: each for each in service.published}
    for group in service.groups:
        for registration in group.registered:
            found.update({each.type: each for each in drafted.attempt(declared_outputs, registration) or ()})
    for declaration in drafted.inputs[service.name]:
        if declaration.service == service.name and declaration.whole is None:
            found.setdefault(declaration.type, declaration)
    for declaration in found.values():
        drafted.attempt(check_publication, declaration, service.name)
    return tuple(found.values())


def inputs_of(registrations: Iterable[Registration]) -> list[Declaration]:
    """The declarations of what handlers subscribe to, each once."""
    return list(dict.fromkeys(declaration_of(each) for registration in registrations for each in registration.types))


def topics_read(group: HandlerGroup) -> set[str]:
    """The topics that a group subscribes to."""
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
        largest = max((drafted.topics[topic].record_bytes_max for topic in topics_read(group)), default=0)
        bytes_max = max(AUDIT_BYTES_MAX, AUDIT_TIMES * largest)
        yield TopicSpec(audit_topic(group.name), tasks_of(group, drafted), compact=True, record_bytes_max=bytes_max)
        yield TopicSpec(answers_topic(group.name), 1, retention_ms=ANSWERS_KEPT_MS)
    yield TopicSpec(CATALOGUE, 1, compact=True)
