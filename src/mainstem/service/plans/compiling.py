"""From what a service declares to plans that can run."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from mainstem.delivery import Outputs, Plan, Processor, compile_handler
from mainstem.events import Declaration
from mainstem.schemas import SchemaMark, codec_for
from mainstem.service.definition import Definition, HandlerGroup
from mainstem.service.plans.drafting import Draft, tasks_of, topics_read


def outputs_of(service: Definition, drafted: Draft) -> Outputs:
    """What encodes the events that a service may publish."""
    encodable = [each for each in drafted.outputs[service.name] if drafted.attempt(codec_for, each) is not None]
    marks = _marks(encodable, service, drafted)
    counts = {name: spec.partitions for name, spec in drafted.topics.items()}
    limits = {name: spec.record_bytes_max for name, spec in drafted.topics.items()}
    return Outputs(encodable, counts, f"/{service.name}", limits, marks, read_back=drafted.dev)


def _marks(declarations: Sequence[Declaration], service: Definition, drafted: Draft) -> dict[Declaration, SchemaMark]:
    """What records say of their schemas, by the committed lock file; in play nothing need be registered."""
    marked = [each for each in declarations if each.schema_id is not None]
    if drafted.dev or not marked:
        return {}
    # Few want an id, and the others need not pay for what looks it up.
    from mainstem.schemas.registries import LOCK_NAME, LockFile, mark_of  # noqa: PLC0415

    lock = drafted.attempt(LockFile.read, Path(LOCK_NAME))
    if lock is None:
        return {}
    found = {each: drafted.attempt(mark_of, each, service.name, lock) for each in marked}
    return {each: mark for each, mark in found.items() if mark is not None}


def _patient(processor: Processor, service: Definition, group: HandlerGroup) -> Processor:
    """A handler that waits for who knows a later version as its service does, unless it says something else itself."""
    if group.delivery == "at_least_once":
        # Nothing waits there: it is told in the audit topic, and passed over.
        return processor
    return replace(processor, retry=processor.retry.completed(service.later_versions))


def plan_of(
    service: Definition, group: HandlerGroup, outputs: Outputs, drafted: Draft, provided: Mapping[type, object]
) -> Plan:
    """A group, compiled with what its service provides; faults go into the draft."""
    attempts = [drafted.attempt(compile_handler, registration, provided) for registration in group.registered]
    processors = tuple(_patient(each, service, group) for each in attempts if each is not None)
    return Plan(
        service=service.name,
        group=group.name,
        processors=processors,
        partitions={topic: drafted.topics[topic].partitions for topic in sorted(topics_read(group))},
        outputs=outputs,
        stores={store.name: store for store in group.stores},
        caches={source.name: bound for source in group.sources if (bound := drafted.attempt(source.bind, provided))},
        lanes=group.lanes,
        tasks=tasks_of(group, drafted),
        start=group.start,
        definition=service.definition,
        standbys=group.standbys,
        dev=drafted.dev,
        delivery=group.delivery,
        gives_way_ms=group.gives_way_ms,
        alerts=service.alerts,
    )
