"""Everything that can be wrong with services before the first event, found at once."""

import sys
from collections.abc import Iterator, Mapping

from mainstem.delivery import Store, answers_topic, audit_topic, faults_of
from mainstem.errors import DefinitionError, MainstemError, StoreRefused, UnknownTopic
from mainstem.service.definition import Definition, HandlerGroup
from mainstem.service.plans.compiling import outputs_of, plan_of
from mainstem.service.plans.drafting import Draft, tasks_of
from mainstem.service.providing import faults_in


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
